"""The state folder: where a server keeps its jobs, and how other programs find the running one."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import platformdirs

from ..errors import ServiceError
from ..files import remove

STATE_DIR_VARIABLE = "NEURAL_RENDER_STATE_DIR"


@dataclass(frozen=True)
class ServerInfo:
    """How to reach a running server: the content of ``server.json`` and of the ready line.

    ``scheme`` is ``http`` on loopback and ``https`` beyond it, with the PEM file ``certificate``.
    """

    host: str
    port: int
    token: str
    pid: int
    version: str
    api_version: int
    scheme: str = "http"
    certificate: str = ""

    @property
    def url(self) -> str:
        """The address from this machine, also where the server listens on all of its interfaces."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)
        return f"{self.scheme}://{f'[{host}]' if ':' in host else host}:{self.port}"

    def ready_line(self, already_running: bool = False) -> str:
        """The one JSON line that ``neural-render serve`` prints."""
        line: dict[str, Any] = {"event": "ready", **asdict(self)}
        if already_running:
            line["already_running"] = True
        return json.dumps(line)


def default_state_dir() -> Path:
    """``NEURAL_RENDER_STATE_DIR``, else the platform's user data folder for ``neural-render``."""
    named = os.environ.get(STATE_DIR_VARIABLE)
    return Path(named) if named else platformdirs.user_data_path("neural-render", appauthor=False)


class StateFolder:
    """One server's state folder. A lock keeps it single; the system drops it when its holders die.

    Workers hold the lock too, so that no new server starts beside a dead one's last workers.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.expanduser().absolute()
        self._lock_file: int | None = None

    @property
    def database(self) -> Path:
        return self.path / "jobs.sqlite"

    @property
    def frame_cache(self) -> Path:
        return self.path / "frame_cache"

    @property
    def _server_file(self) -> Path:
        return self.path / "server.json"

    def prepare(self) -> None:
        """Create the folder, readable by its user only.

        Raises:
            ServiceError: it cannot be created or written.
        """
        probe = self.path / f".write-test-{os.getpid()}"
        try:
            self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
            probe.write_bytes(b"")
            probe.unlink()
        except OSError as error:
            raise ServiceError(
                f"{self.path}: the state folder cannot be written ({error.strerror}); "
                f"choose another with --state-dir or {STATE_DIR_VARIABLE}"
            ) from error

    def lock(self) -> bool:
        """Take the folder for this process; False where another server holds it."""
        lock_file = os.open(self.path / "server.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            if sys.platform == "win32":
                import msvcrt

                msvcrt.locking(lock_file, msvcrt.LK_NBLCK, 1)
            else:
                import fcntl

                fcntl.flock(lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock_file)
            return False
        self._lock_file = lock_file
        return True

    def is_locked(self) -> bool:
        """Whether a server, or the last worker of one, holds the folder."""
        if not self.lock():
            return True
        self.unlock()
        return False

    @property
    def lock_files(self) -> tuple[int, ...]:
        """The file descriptor that holds the lock, for workers to inherit."""
        return () if self._lock_file is None else (self._lock_file,)

    def unlock(self) -> None:
        if self._lock_file is not None:
            os.close(self._lock_file)
            self._lock_file = None

    def write_server(self, info: ServerInfo) -> None:
        """Tell others how to reach this server, in a file only this user can read.

        Raises:
            ServiceError: it cannot be written.
        """
        temporary = self._server_file.with_suffix(f".{os.getpid()}.tmp")
        try:
            temporary.unlink(missing_ok=True)
            # The mode is set as the file is created: the token is never readable by others.
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump(asdict(info), file)
            os.replace(temporary, self._server_file)
        except OSError as error:
            remove(temporary)
            raise ServiceError(
                f"{self._server_file}: cannot be written ({error.strerror}); free some space, or choose "
                "another --state-dir"
            ) from error

    def read_server(self) -> ServerInfo | None:
        """How to reach the server that wrote last; None where there is none."""
        try:
            return ServerInfo(**json.loads(self._server_file.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def remove_server(self) -> None:
        self._server_file.unlink(missing_ok=True)
