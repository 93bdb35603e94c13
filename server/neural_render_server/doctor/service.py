"""The service: its state folder, its job database, a port, and the server that may be running."""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import stat
from pathlib import Path

from .. import __version__
from ..errors import ServiceError
from ..service.announced import call
from ..service.state import STATE_DIR_VARIABLE, StateFolder
from .finding import Finding

LOOPBACK = "127.0.0.1"


def check_state_folder(path: Path) -> Finding:
    """Whether jobs can be kept there and nobody else can read the token; a missing one can be made."""
    state = StateFolder(path)
    if not path.exists():
        parent = next(folder for folder in path.parents if folder.exists())
        if os.access(parent, os.W_OK):
            return Finding("state folder", "ok", f"{path} will be made by the first start")
        return Finding("state folder", "error", f"{path} cannot be made", f"set {STATE_DIR_VARIABLE}")
    try:
        state.prepare()
    except ServiceError as error:
        text, _, remedy = str(error).partition("; ")
        return Finding("state folder", "error", text, remedy)
    if os.name == "posix" and stat.S_IMODE(path.stat().st_mode) & 0o077:
        return Finding("state folder", "warning", f"{path} can be read by others", f"chmod 700 {path}")
    return _check_database(state)


def _check_database(state: StateFolder) -> Finding:
    if not state.database.exists():
        return Finding("state folder", "ok", f"{state.path}, no jobs yet")
    try:
        # Read-only: a running server may hold it.
        database = sqlite3.connect(f"{state.database.as_uri()}?mode=ro", uri=True, timeout=5.0)
        try:
            (verdict,) = database.execute("PRAGMA quick_check(1)").fetchone()
            (jobs,) = database.execute("SELECT count(*) FROM jobs").fetchone()
        finally:
            database.close()
    except sqlite3.Error as error:
        verdict, jobs = str(error), 0
    if verdict == "ok":
        return Finding("state folder", "ok", f"{state.path}, {jobs} jobs")
    return Finding(
        "state folder",
        "error",
        f"{state.database} is damaged ({verdict})",
        "stop the server and move the file away; scenes and frames are not in it",
    )


def check_ports() -> Finding:
    """Whether a server could listen on loopback, and a client reach it."""
    try:
        with (
            socket.create_server((LOOPBACK, 0)) as listener,
            socket.create_connection((LOOPBACK, listener.getsockname()[1]), timeout=5.0),
        ):
            return Finding("ports", "ok", f"programs can listen on {LOOPBACK} and reach each other there")
    except OSError as error:
        return Finding(
            "ports",
            "error",
            f"{LOOPBACK} cannot be used ({error.strerror or error})",
            "allow Python to use the loopback interface in the firewall",
        )


def check_server(path: Path) -> Finding:
    """Whether the server that the state folder names answers, and is of this version."""
    info = StateFolder(path).read_server()
    if info is None:
        return Finding("server", "ok", "not running")
    where = f"process {info.pid} at {info.url}"
    try:
        health = json.loads(call(info, "/v1/health"))
    except (ServiceError, ValueError) as error:
        if StateFolder(path).is_locked():
            return Finding("server", "error", f"{where} does not answer ({error})", f"end process {info.pid}")
        return Finding("server", "ok", "not running (its last one was killed; the next start tidies up)")
    if health.get("version") != __version__:
        text = f"{where} is of version {health.get('version')}, this is {__version__}"
        return Finding("server", "warning", text, "press Stop Server, then Start Server")
    running = health["jobs"]["running"]
    return Finding("server", "ok", f"{where} answers, {running} jobs running")
