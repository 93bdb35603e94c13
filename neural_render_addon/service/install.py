"""Install, repair and uninstall the server: an environment of its own, never Blender's Python. No ``bpy``."""

from __future__ import annotations

import queue
import re
import shlex
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from ..errors import JobCancelled, ServerProcessError
from .jobs import Emit, Progress
from .pip_command import PackageSource, check_source, pip_command
from .server_process import DETACHED, clean_environment, environment_command, last_line

# The server's ``requires-python``.
PYTHON_VERSIONS = ((3, 11), (3, 12), (3, 13))

# Prints its version if it can make virtual environments with pip in them.
PROBE = "import sys, venv, ensurepip; print('%d.%d' % sys.version_info[:2])"
PROBE_TIMEOUT = 20.0

# Shares of the progress bar before and after pip's resolving, by what a run on a fresh machine takes.
CREATED, RESOLVED, INSTALLED = 0.05, 0.75, 0.97


@dataclass(frozen=True)
class InstallSettings:
    """``source`` is the server's source tree, ``environment`` where the virtual environment goes.

    ``interpreter`` is the user's choice of Python or empty; ``own_python`` is Blender's.
    """

    source: Path
    environment: Path
    log_path: Path
    interpreter: str
    own_python: str
    packages: PackageSource
    may_go_online: bool

    @property
    def set_aside(self) -> Path:
        """Where Repair Server keeps the present environment until the new one works."""
        return self.environment.with_name(self.environment.name + ".before-repair")


def python_version(executable: str) -> tuple[int, int] | None:
    """The version of a Python that can make virtual environments, or None."""
    try:
        probe = subprocess.run(
            [executable, "-c", PROBE],
            capture_output=True,
            text=True,
            timeout=PROBE_TIMEOUT,
            env=clean_environment(),
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.fullmatch(r"(\d+)\.(\d+)", probe.stdout.strip())
    return (int(found[1]), int(found[2])) if found and probe.returncode == 0 else None


def find_python(interpreter: str, own_python: str) -> str:
    """A Python that the server runs on: the user's choice, else one on the PATH, else Blender's own.

    Raises:
        ServerProcessError: there is none, or the user's choice does not fit.
    """
    wanted = " or ".join(f"{major}.{minor}" for major, minor in PYTHON_VERSIONS)
    if interpreter:
        version = python_version(interpreter)
        if version not in PYTHON_VERSIONS:
            has = f"is Python {version[0]}.{version[1]}" if version else "is no Python with venv and pip"
            raise ServerProcessError(
                f"{interpreter}: {has}, but the server needs Python {wanted}; choose another interpreter"
            )
        return interpreter
    names = [f"python{major}.{minor}" for major, minor in PYTHON_VERSIONS]
    for candidate in [*filter(None, map(shutil.which, names)), own_python]:
        if candidate and python_version(candidate) in PYTHON_VERSIONS:
            return candidate
    raise ServerProcessError(
        f"No Python {wanted} was found; install one from python.org or your system's packages and, if it "
        "is not on the PATH, name it in the add-on's preferences"
    )


def install(settings: InstallSettings, emit: Emit, stopped: Callable[[], bool]) -> Path:
    """Make the environment and install the server into it; returns its ``neural-render`` command.

    An environment that exists is brought up to date. A new one that fails half way is removed; pip keeps
    what it has downloaded, so that the next try is quick.

    Raises:
        ServerProcessError: not allowed online, no fitting Python, no space, or pip failed (its log is named).
        JobCancelled: ``stopped()`` turned true.
    """
    if not (settings.may_go_online or settings.packages.is_offline):
        raise ServerProcessError(
            "Blender may not use the internet; enable Preferences > System > Network > Allow Online Access, "
            "or name a folder of wheels, or an environment that has the server, in the add-on's preferences"
        )
    if not (settings.source / "pyproject.toml").is_file():
        raise ServerProcessError(
            f"{settings.source}: the server's source is missing; install the add-on again from its zip"
        )
    check_source(settings.packages)
    python = find_python(settings.interpreter, settings.own_python)
    had_one = environment_command(settings.environment).is_file()
    try:
        settings.log_path.parent.mkdir(parents=True, exist_ok=True)
        with open(settings.log_path, "w", encoding="utf-8") as log:
            emit(Progress(0.0, None, f"Creating the environment with {python}"))
            _run([python, "-m", "venv", str(settings.environment)], log, lambda line: None, stopped)
            with tempfile.TemporaryDirectory(prefix="neural-render-") as scratch:
                # Building writes beside the source, and the extension's folder is not ours to write in.
                source = Path(scratch) / "server"
                shutil.copytree(settings.source, source, ignore=shutil.ignore_patterns("__pycache__"))
                _pip_install(settings, source, log, emit, stopped)
            command = environment_command(settings.environment)
            emit(Progress(INSTALLED, None, "Checking the installed server"))
            _run([str(command), "--help"], log, lambda line: None, stopped)
    except BaseException as error:
        if not had_one:
            shutil.rmtree(settings.environment, ignore_errors=True)
        if isinstance(error, OSError):
            raise ServerProcessError(
                f"{settings.environment}: cannot be written ({error.strerror or error}); free some space, "
                "then press Install Server again"
            ) from error
        raise
    emit(Progress(1.0, None, "Installed"))
    return command


def repair(settings: InstallSettings, emit: Emit, stopped: Callable[[], bool]) -> Path:
    """Make the environment anew, whatever state it is in; returns its ``neural-render`` command.

    The present one is set aside and comes back where the new one cannot be made.

    Raises:
        ServerProcessError: as ``install``, or the present environment is in use.
        JobCancelled: ``stopped()`` turned true.
    """
    if settings.set_aside.exists():  # a repair that was killed
        _remove(settings.environment)
    elif settings.environment.exists():
        _rename(settings.environment, settings.set_aside)
    try:
        command = install(settings, emit, stopped)
    except BaseException:
        _remove(settings.environment)
        if settings.set_aside.exists():
            _rename(settings.set_aside, settings.environment)
        raise
    shutil.rmtree(settings.set_aside, ignore_errors=True)
    return command


def uninstall(settings: InstallSettings) -> int:
    """Remove the environment that Install Server made; returns the bytes freed. Jobs and scenes stay.

    Raises:
        ServerProcessError: there is none, or it is in use.
    """
    folders = [folder for folder in (settings.environment, settings.set_aside) if folder.exists()]
    if not folders:
        raise ServerProcessError(
            f"{settings.environment}: no server is installed there; an environment that the preferences name "
            "is removed where it was made"
        )
    size = sum(path.lstat().st_size for folder in folders for path in folder.rglob("*"))
    for folder in folders:
        _remove(folder)
    return size


def _remove(folder: Path) -> None:
    try:
        if folder.exists():
            shutil.rmtree(folder)
    except OSError as error:
        raise _in_use(folder, error) from error


def _rename(folder: Path, target: Path) -> None:
    try:
        folder.rename(target)
    except OSError as error:
        raise _in_use(folder, error) from error


def _in_use(folder: Path, error: OSError) -> ServerProcessError:
    return ServerProcessError(
        f"{folder}: cannot be changed ({error.strerror}); stop the server, close other Blenders and try again"
    )


def _pip_install(
    settings: InstallSettings, source: Path, log: IO[str], emit: Emit, stopped: Callable[[], bool]
) -> None:
    python = environment_command(settings.environment, "python")
    command = pip_command(settings.packages, python, source)
    constraints = source / "constraints.txt"
    pinned = constraints.read_text("utf-8").splitlines() if constraints.is_file() else []
    expected = max(1, sum("==" in line for line in pinned))
    collected = 0

    def tell(line: str) -> None:
        nonlocal collected
        if line.startswith("Installing collected"):
            emit(Progress(RESOLVED, None, "Installing the packages"))
        elif line.startswith(("Collecting", "Downloading", "Processing")):
            collected += not line.startswith("Downloading")
            share = min(1.0, collected / expected)
            emit(Progress(CREATED + share * (RESOLVED - CREATED), None, line[:120]))

    _run(command, log, tell, stopped)


def _run(command: list[str], log: IO[str], tell: Callable[[str], None], stopped: Callable[[], bool]) -> None:
    """Run a command, its output to the log and line by line to ``tell``."""
    log.write(f"$ {shlex.join(command)}\n")
    log.flush()
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env=clean_environment(),
            **DETACHED,
        )
    except OSError as error:
        raise ServerProcessError(
            f"{command[0]}: cannot be started ({error.strerror}); choose another interpreter"
        ) from error
    assert process.stdout is not None
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    # Reading blocks while pip downloads, and a cancel must not wait for that.
    reader = threading.Thread(target=_read_lines, args=(process.stdout, lines), daemon=True)
    reader.start()
    while True:
        if stopped():
            process.terminate()
            process.wait()
            raise JobCancelled("Cancelled; press Install Server to start again")
        try:
            line = lines.get(timeout=0.25)
        except queue.Empty:
            continue
        if line is None:
            break
        log.write(line)
        log.flush()
        tell(line.strip())
    if process.wait() != 0:
        raise ServerProcessError(
            f"{Path(command[0]).name} failed: {last_line(Path(log.name))} (the whole log is {log.name}; "
            "check the network and the free disk space, then try again)"
        )


def _read_lines(stream: IO[str], lines: queue.SimpleQueue[str | None]) -> None:
    for line in stream:
        lines.put(line)
    lines.put(None)
