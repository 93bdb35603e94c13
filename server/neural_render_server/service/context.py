"""What the routes work with: one of each per running server."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import OptionError
from .device import DeviceProbe
from .hub import EventHub
from .parents import Parents
from .single_frames import SingleFrames
from .store import JobStore
from .supervisor import Supervisor


@dataclass
class Context:
    """``request_stop`` ends the server soon after the present answer."""

    token: str
    store: JobStore
    hub: EventHub
    supervisor: Supervisor
    parents: Parents
    request_stop: Callable[[], None]
    device: DeviceProbe = field(default_factory=DeviceProbe)
    frames: SingleFrames = field(default_factory=SingleFrames)


def absolute(path: str, what: str) -> Path:
    """A path of a request. The server's working folder means nothing to a client.

    Raises:
        OptionError: it is not absolute.
    """
    found = Path(path)
    if not found.is_absolute():
        raise OptionError(f"{what} {path!r} must be an absolute path on the server's machine")
    return found
