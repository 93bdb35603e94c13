"""What the routes work with: one of each per running server."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from .device import DeviceProbe
from .hub import EventHub
from .parents import Parents
from .paths import AllowedPaths
from .single_frames import SingleFrames
from .store import JobStore
from .supervisor import Supervisor


@dataclass
class Context:
    """``request_stop`` ends the server soon after the present answer.

    ``is_remote`` says that it listens beyond this machine.
    """

    token: str
    store: JobStore
    hub: EventHub
    supervisor: Supervisor
    parents: Parents
    request_stop: Callable[[], None]
    frame_cache: Path
    paths: AllowedPaths = field(default_factory=AllowedPaths)
    is_remote: bool = False
    device: DeviceProbe = field(default_factory=DeviceProbe)
    frames: SingleFrames = field(default_factory=SingleFrames)
