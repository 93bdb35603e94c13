"""What every request passes first: host, origin, token, API version, a bounded body."""

from __future__ import annotations

import hmac
import re

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .. import __version__
from . import API_VERSION
from .error_bodies import HttpError, error_body

# A camera path of 10,000 frames is about 5 MB of JSON.
MAX_BODY_BYTES = 32 * 1024 * 1024

# These describe the service and hold nothing of the user's; a browser cannot send the token.
PUBLIC_PATHS = ("/v1/openapi.json", "/v1/docs")

# Another name in the Host header is a web page that points its own domain at this machine
# (DNS rebinding).
_LOOPBACK_HOST = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:\d+)?", re.IGNORECASE)

_VERSION_IN_PATH = re.compile(r"/v(\d+)(/|$)")


class Guard:
    """ASGI middleware that answers what must not reach the service."""

    def __init__(self, app: ASGIApp, token: str, is_remote: bool = False) -> None:
        self._app = app
        self._token = token
        self._is_remote = is_remote

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            headers = Headers(scope=scope)
            if not self._is_remote:
                # A name that a web page points here has no certificate of ours: TLS itself keeps it out.
                _check_host(headers)
            _check_origin(headers, scope["scheme"])
            _check_version(scope["path"], headers)
            if scope["path"] not in PUBLIC_PATHS:
                self._check_token(headers)
            body = await _read_body(headers, receive)
        except HttpError as error:
            # The connection may still hold an unread body.
            answer = JSONResponse(
                error_body(error.code, str(error)), error.status, headers={"connection": "close"}
            )
            await answer(scope, receive, send)
            return
        delivered = False

        async def receive_body() -> Message:
            nonlocal delivered
            if delivered:
                return await receive()
            delivered = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self._app(scope, receive_body, send)

    def _check_token(self, headers: Headers) -> None:
        given = headers.get("authorization", "").encode()
        if not hmac.compare_digest(given, f"Bearer {self._token}".encode()):
            raise HttpError(
                401,
                "unauthorized",
                "the token is missing or wrong; send 'Authorization: Bearer TOKEN', TOKEN from server.json",
            )


def _check_host(headers: Headers) -> None:
    host = headers.get("host", "")
    if not _LOOPBACK_HOST.fullmatch(host):
        raise HttpError(
            421, "wrong_host", f"requests for the host {host!r} are refused; address 127.0.0.1 instead"
        )


def _check_origin(headers: Headers, scheme: str) -> None:
    """Browsers name the page that asks; no page but our own has business here. Programs name none."""
    origin = headers.get("origin")
    if origin is not None and origin != f"{scheme}://{headers.get('host', '')}":
        raise HttpError(
            403,
            "wrong_origin",
            f"requests from the web page {origin!r} are refused; use a program of your own",
        )


def _check_version(path: str, headers: Headers) -> None:
    in_path = _VERSION_IN_PATH.match(path)
    asked = in_path.group(1) if in_path else None
    if asked is None or asked == str(API_VERSION):
        asked = headers.get("x-neural-render-api", str(API_VERSION))
    if asked != str(API_VERSION):
        raise HttpError(
            400,
            "version",
            f"the request is for API version {asked}, this server ({__version__}) speaks version "
            f"{API_VERSION}; update the older of the add-on and the server",
        )


async def _read_body(headers: Headers, receive: Receive) -> bytes:
    declared = headers.get("content-length", "0")
    chunks: list[bytes] = []
    size = int(declared) if declared.isdigit() else 0
    received = 0
    while size <= MAX_BODY_BYTES and received <= MAX_BODY_BYTES:
        message = await receive()
        if message["type"] == "http.disconnect":
            break
        chunks.append(message.get("body", b""))
        received += len(chunks[-1])
        if not message.get("more_body", False):
            return b"".join(chunks)
    raise HttpError(
        413,
        "too_large",
        f"the request is larger than {MAX_BODY_BYTES // 2**20} MiB; send a file's path instead",
    )
