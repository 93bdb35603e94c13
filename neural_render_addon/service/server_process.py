"""Finding, starting and stopping the server. No ``bpy``.

A running server writes its address and token to ``server.json`` in its state folder, so that a second
Blender finds it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ServerProcessError, ServerUnreachable
from .messages import Health

if TYPE_CHECKING:
    from .client import Client

# Seconds. A first start imports torch from a cold disk and compiles kernels.
START_TIMEOUT = 120.0
STOP_TIMEOUT = 30.0
POLL_INTERVAL = 0.1

LOOPBACK_HOSTS = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class ServerSettings:
    """What the add-on's preferences say about the server; empty or 0 means: choose by yourself.

    ``environment`` is a virtual environment or a ``neural-render`` executable; ``installed`` the
    environment that Install Server makes. ``may_go_online`` is Blender's Allow Online Access.
    ``certificate`` is the PEM file of a server on another machine.
    """

    host: str
    port: int
    token: str
    state_dir: Path
    environment: str
    installed: Path
    log_path: Path
    may_go_online: bool
    certificate: str = ""

    @property
    def is_local(self) -> bool:
        return self.host in LOOPBACK_HOSTS


@dataclass(frozen=True)
class Connection:
    """A server that answered."""

    client: Client
    health: Health


def default_state_dir() -> Path:
    """The server's own default: the user's data folder of the platform, below ``neural-render``."""
    override = os.environ.get("NEURAL_RENDER_STATE_DIR")
    if override:
        return Path(override)
    home = Path.home()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local") / "neural-render"
    if sys.platform == "darwin":
        return home / "Library" / "Application Support" / "neural-render"
    return Path(os.environ.get("XDG_DATA_HOME") or home / ".local" / "share") / "neural-render"


def read_server_file(state_dir: Path) -> dict[str, Any] | None:
    """What a running server wrote into its state folder, or None where there is none."""
    try:
        data = json.loads((state_dir / "server.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(data, dict) or not {"host", "port", "token"} <= data.keys():
        return None
    return data


def connect(settings: ServerSettings) -> Connection:
    """Reach the server that the settings name, or the one that runs on this machine.

    Raises:
        ServerUnreachable: there is none.
        WrongToken, ApiMismatch: it is not ours to use.
        ServerProcessError: it is on another machine and Blender may not go online.
    """
    announced = read_server_file(settings.state_dir)
    if settings.port:
        if not settings.is_local and not settings.may_go_online:
            raise ServerProcessError(
                f"The server {settings.host} is on another machine; enable Preferences > System > "
                "Allow Online Access, or use 127.0.0.1"
            )
        # Another machine never gets the token of this one's server.
        ours = (announced or {}) if settings.is_local else {}
        token = settings.token or str(ours.get("token", ""))
        client = _client(settings, settings.host, settings.port, token, announced)
    elif announced:
        token = settings.token or str(announced["token"])
        client = _client(settings, str(announced["host"]), int(announced["port"]), token, announced)
    else:
        raise ServerUnreachable("No server is running; press Start Server in the Neural Render tab")
    health = client.health()
    if settings.is_local:
        # The server then stays for as long as this Blender lives.
        client.register_client(os.getpid())
    return Connection(client, health)


def _client(
    settings: ServerSettings, host: str, port: int, token: str, announced: dict[str, Any] | None
) -> Client:
    """Over TLS to another machine, whatever else: the token must not travel in the clear."""
    # Not at the top: 4.5 loads ``requests`` in 0.1 s, which Blender's start would wait for.
    from .client import Client

    if not settings.is_local:
        return Client(host, port, token, use_tls=True, certificate=settings.certificate)
    ours = announced if announced is not None and announced.get("port") == port else {}
    # A server that listens on all interfaces is here, too.
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    certificate = settings.certificate or str(ours.get("certificate", ""))
    return Client(host, port, token, ours.get("scheme") == "https", certificate)


def find_executable(settings: ServerSettings) -> Path:
    """The ``neural-render`` command: the preferences' environment, the installed one, or the PATH's.

    Raises:
        ServerProcessError: there is none.
    """
    if settings.environment:
        given = Path(settings.environment)
        if given.is_file():
            return given
        candidate = environment_command(given)
        if candidate.is_file():
            return candidate
        raise ServerProcessError(
            f"{given}: no neural-render command is there; choose a virtual environment that has "
            "neural-render-server installed, or clear the preference and press Install Server"
        )
    candidate = environment_command(settings.installed)
    if candidate.is_file():
        return candidate
    on_path = shutil.which("neural-render")
    if on_path:
        return Path(on_path)
    raise ServerProcessError(
        "The server is not installed; press Install Server, or name its environment in the preferences"
    )


def environment_command(environment: Path, command: str = "neural-render") -> Path:
    """Where a virtual environment keeps a command on this platform."""
    if sys.platform == "win32":
        return environment / "Scripts" / f"{command}.exe"
    return environment / "bin" / command


def start(settings: ServerSettings, stopped: Callable[[], bool] = lambda: False) -> Connection:
    """Start the server, or find the running one, and wait until it answers.

    It ends by itself with this process.

    Raises:
        ServerProcessError: it cannot be started, ended at once, or was not ready in time.
    """
    if not settings.is_local:
        raise ServerProcessError(
            f"The server {settings.host} is on another machine; start it there, or set the host to 127.0.0.1"
        )
    if settings.token:
        raise ServerProcessError(
            "The preferences hold the token of a server started elsewhere, but a server makes its own; "
            f"clear it to start one here, or start that server at {settings.host}:{settings.port}"
        )
    executable = find_executable(settings)
    command = [str(executable), "serve", "--host", settings.host, "--state-dir", str(settings.state_dir)]
    command += ["--parent-pid", str(os.getpid())]
    if settings.port:
        command += ["--port", str(settings.port)]
    settings.log_path.parent.mkdir(parents=True, exist_ok=True)
    try:
        # A file, not a pipe: nobody need read it for the server to go on writing. It holds the token.
        with open(settings.log_path, "wb", opener=_only_for_this_user) as log:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=clean_environment(), **DETACHED
            )
    except OSError as error:
        raise ServerProcessError(
            f"{executable}: cannot be started ({error.strerror}); press Install Server again"
        ) from error
    ready = _wait_until_ready(process, settings.log_path, stopped)
    client = _client(settings, str(ready["host"]), int(ready["port"]), str(ready["token"]), ready)
    health = client.health()
    client.register_client(os.getpid())
    return Connection(client, health)


def stop(connection: Connection, state_dir: Path) -> None:
    """End the server and wait until it is gone; running trainings write a checkpoint first.

    Raises:
        ServerProcessError: it is still there after a while.
    """
    connection.client.shutdown()
    end = time.monotonic() + STOP_TIMEOUT
    while time.monotonic() < end:
        if not _is_announced(state_dir, connection.health.pid) and not _answers(connection.client):
            return
        time.sleep(POLL_INTERVAL)
    raise ServerProcessError(
        f"The server (process {connection.health.pid}) is still there after {STOP_TIMEOUT:.0f} s; "
        "wait for its training to write a checkpoint, then try again"
    )


def _is_announced(state_dir: Path, pid: int) -> bool:
    """Whether the process has not yet taken its address back, which it does last."""
    announced = read_server_file(state_dir)
    return announced is not None and announced.get("pid") == pid


def _answers(client: Client) -> bool:
    try:
        client.health()
    except ServerUnreachable:
        return False
    return True


def clean_environment() -> dict[str, str]:
    """The environment for another Python: without what points this one at Blender's modules."""
    drop = {"PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "PYTHONUSERBASE", "VIRTUAL_ENV"}
    return {key: value for key, value in os.environ.items() if key not in drop}


# The server must not die of a Ctrl-C meant for Blender, and must open no console window.
DETACHED: dict[str, Any]
if sys.platform == "win32":
    DETACHED = {"creationflags": subprocess.CREATE_NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP}
else:
    DETACHED = {"start_new_session": True}


def _only_for_this_user(path: str, flags: int) -> int:
    """As ``os.open``, readable by nobody else from the first moment, also where an older file was."""
    Path(path).unlink(missing_ok=True)
    return os.open(path, flags, 0o600)


def _wait_until_ready(
    process: subprocess.Popen[bytes], log_path: Path, stopped: Callable[[], bool]
) -> dict[str, Any]:
    end = time.monotonic() + START_TIMEOUT
    while time.monotonic() < end and not stopped():
        ended = process.poll() is not None
        ready = _ready_line(log_path)
        if ready is not None:
            return ready
        if ended:
            raise ServerProcessError(
                f"The server ended at once: {last_line(log_path)} (its log is {log_path}; if the sentence "
                "does not help, press Install Server again)"
            )
        time.sleep(POLL_INTERVAL)
    process.terminate()
    raise ServerProcessError(
        f"The server was not ready within {START_TIMEOUT:.0f} s; see its log {log_path}, then start it again"
    )


def _ready_line(log_path: Path) -> dict[str, Any] | None:
    for line in log_path.read_text(encoding="utf-8", errors="replace").splitlines():
        if line.startswith("{") and '"ready"' in line:
            try:
                data = json.loads(line)
            except ValueError:
                continue  # still being written
            if data.get("event") == "ready":
                return dict(data)
    return None


def last_line(path: Path) -> str:
    """The last line with something on it, or a note that there is none."""
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8", errors="replace").splitlines()]
    except OSError:
        lines = []
    return next((line for line in reversed(lines) if line), "it wrote nothing")
