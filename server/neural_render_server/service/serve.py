"""The server process: starts, tells where it is, ends with its parents."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import sqlite3
import ssl
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from .. import __version__
from ..errors import ServiceError
from . import API_VERSION
from .announced import answers, call
from .app import create_app
from .arenas import limit_arenas
from .context import Context
from .hub import EventHub
from .parents import Parents
from .paths import AllowedPaths
from .state import ServerInfo, StateFolder, default_state_dir
from .store import JobStore
from .supervisor import STOP_SECONDS, Supervisor

# Only this machine. Another one needs TLS, or a tunnel (ssh -L).
LOOPBACK_HOSTS = ("127.0.0.1", "localhost", "::1")

_PARENT_POLL_SECONDS = 2.0
# Idle connections of a client that renders now and then stay open.
_KEEPALIVE_SECONDS = 75
# How long a second start waits for a server that is just starting or stopping.
_PATIENCE_SECONDS = STOP_SECONDS + 10.0


@dataclass(frozen=True)
class ServeOptions:
    """``port`` 0 is any free one; without ``parent_pids`` or with ``stay`` the server stays until told."""

    host: str = LOOPBACK_HOSTS[0]
    port: int = 0
    state_dir: Path | None = None
    parent_pids: Sequence[int] = ()
    stay: bool = False
    allowed_roots: Sequence[Path] = ()
    tls_certificate: Path | None = None
    tls_key: Path | None = None

    @property
    def is_remote(self) -> bool:
        return self.host not in LOOPBACK_HOSTS


def serve(options: ServeOptions) -> None:
    """Run a server until it is told to stop, or print the ready line of the one that runs already.

    Raises:
        ServiceError: it cannot start.
    """
    parents = Parents(options.parent_pids)
    paths = AllowedPaths.of(options.allowed_roots)
    check_exposure(options)
    state = StateFolder(options.state_dir or default_state_dir())
    state.prepare()
    running = _take_or_find(state)
    if running is not None:
        for pid in options.parent_pids:
            call(running, "/v1/clients", {"pid": pid})
        print(running.ready_line(already_running=True), flush=True)
        return
    limit_arenas()
    try:
        _run(options, state, parents, paths)
    finally:
        state.unlock()


def _run(options: ServeOptions, state: StateFolder, parents: Parents, paths: AllowedPaths) -> None:
    listener = listen(options.host, options.port)
    store = JobStore(state.database)
    hub = EventHub()
    supervisor = Supervisor(store, hub, state.frame_cache, state.lock_files)
    info = ServerInfo(
        options.host,
        listener.getsockname()[1],
        secrets.token_urlsafe(32),
        os.getpid(),
        __version__,
        API_VERSION,
        "https" if options.tls_certificate else "http",
        str(options.tls_certificate.absolute()) if options.tls_certificate else "",
    )
    server: _Server

    def request_stop() -> None:
        server.should_exit = True

    context = Context(
        info.token,
        store,
        hub,
        supervisor,
        parents,
        request_stop,
        state.frame_cache,
        paths,
        options.is_remote,
    )
    config = uvicorn.Config(
        create_app(context),
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_keep_alive=_KEEPALIVE_SECONDS,
        timeout_graceful_shutdown=2,
        ssl_certfile=options.tls_certificate,
        ssl_keyfile=options.tls_key,
    )
    server = _Server(config, context, state, info)
    if parents and not options.stay:
        threading.Thread(target=_watch, args=(parents, request_stop), daemon=True).start()
    # uvicorn raises a signal that stopped it again once it has ended; the rest of the way is ours.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, frame: request_stop())
    try:
        server.run(sockets=[listener])
    except sqlite3.Error as error:
        raise ServiceError(
            f"{state.database}: the job database cannot be written ({error}); free some space, or choose "
            "another --state-dir"
        ) from error
    finally:
        state.remove_server()
        supervisor.stop()
        store.close()


class _Server(uvicorn.Server):
    """uvicorn's server, which tells when it is ready and ends event streams when it stops."""

    def __init__(
        self, config: uvicorn.Config, context: Context, state: StateFolder, info: ServerInfo
    ) -> None:
        super().__init__(config)
        self._context = context
        self._state = state
        self._info = info

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        import asyncio

        await super().startup(sockets)
        self._context.hub.bind(asyncio.get_running_loop())
        self._context.supervisor.start()
        self._state.write_server(self._info)
        print(self._info.ready_line(), flush=True)
        self._context.device.start()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._context.hub.close()
        await super().shutdown(sockets)


def listen(host: str, port: int) -> socket.socket:
    """A socket on which the service takes connections.

    Raises:
        ServiceError: the port is taken or the host is none of this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sends small answers at once (TCP_NODELAY) only where the protocol is named; else the end of each
    # waits up to 40 ms for the client's acknowledgement of its beginning.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    if sys.platform != "win32":  # on Windows it would let two servers share a port
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        # Here, not in uvicorn: from now on a taken port is known, and early clients wait in the backlog.
        listener.listen(128)
    except (OSError, OverflowError) as error:
        listener.close()
        raise ServiceError(
            f"port {port} on {host} cannot be used ({getattr(error, 'strerror', None) or error}); "
            "choose another with --port, or leave --port out for a free one"
        ) from error
    return listener


def check_exposure(options: ServeOptions) -> None:
    """What a server beyond loopback must have: encryption, and the folders it may touch.

    Raises:
        ServiceError: it lacks one, or the certificate and key cannot be used.
    """
    if options.is_remote and not options.tls_certificate:
        raise ServiceError(
            f"host {options.host!r} can be reached from other machines, which needs encryption; give "
            "--tls-cert and --tls-key, or leave --host out and tunnel with ssh -L"
        )
    if options.is_remote and not options.allowed_roots:
        raise ServiceError(
            f"host {options.host!r} can be reached from other machines; name the folders that they may use "
            "with --allow-root"
        )
    if (options.tls_certificate is None) != (options.tls_key is None):
        raise ServiceError("--tls-cert and --tls-key belong together; give both")
    if options.tls_certificate is not None:
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(options.tls_certificate, options.tls_key)
        except (OSError, ssl.SSLError) as error:
            raise ServiceError(
                f"{options.tls_certificate}: the certificate and its key cannot be used ({error}); make them "
                "as docs/security.md says"
            ) from error


def _watch(parents: Parents, request_stop: object) -> None:
    assert callable(request_stop)
    while parents.any_alive():
        time.sleep(_PARENT_POLL_SECONDS)
    request_stop()


def _take_or_find(state: StateFolder) -> ServerInfo | None:
    """Lock the state folder for this process (None), or find the server that holds it.

    Raises:
        ServiceError: it is held, but nobody answers.
    """
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not state.lock():
        info = state.read_server()
        if info is not None and answers(info):
            return info
        if time.monotonic() > deadline:
            held_by = f" (process {info.pid})" if info else ""
            raise ServiceError(
                f"{state.path}: another server{held_by} holds this state folder but does not answer; end it, "
                "or choose another folder with --state-dir"
            )
        time.sleep(0.2)
    return None
