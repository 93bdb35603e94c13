"""Talking to the server that a state folder names."""

from __future__ import annotations

import http.client
import json
import ssl
import urllib.error
import urllib.request

from ..errors import ServiceError
from .state import ServerInfo

_SECONDS = 5.0


def answers(info: ServerInfo) -> bool:
    try:
        call(info, "/v1/health")
    except ServiceError:
        return False
    return True


def call(info: ServerInfo, path: str, body: dict[str, int] | None = None) -> bytes:
    """GET ``path``, or POST ``body`` to it, and return the answer.

    Raises:
        ServiceError: it does not answer, or refuses.
    """
    request = urllib.request.Request(
        info.url + path,
        None if body is None else json.dumps(body).encode(),
        {"Authorization": f"Bearer {info.token}", "Content-Type": "application/json"},
    )
    # This machine: a proxy of the environment has no part in it.
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=_trust(info))
    )
    try:
        with opener.open(request, timeout=_SECONDS) as answer:
            content: bytes = answer.read()
            return content
    except urllib.error.HTTPError as error:
        raise ServiceError(_sentence(error) or f"the running server refused {path} ({error})") from error
    except (urllib.error.URLError, OSError, http.client.HTTPException) as error:
        raise ServiceError(f"the running server at {info.url} refused {path} ({error}); stop it") from error


def _sentence(error: urllib.error.HTTPError) -> str:
    """What the server says of a request that it refuses."""
    try:
        return str(json.loads(error.read())["error"]["message"])
    except (ValueError, KeyError, TypeError, OSError):
        return ""


def _trust(info: ServerInfo) -> ssl.SSLContext:
    """Only the certificate that server.json names; it need not carry the name of this machine's loopback."""
    context = ssl.create_default_context()
    if info.certificate:
        try:
            context = ssl.create_default_context(cafile=info.certificate)
        except (OSError, ssl.SSLError) as error:
            raise ServiceError(
                f"{info.certificate}: the running server's certificate cannot be read ({error}); restore it"
            ) from error
        context.check_hostname = False
    return context
