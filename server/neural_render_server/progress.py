"""How long work (training, rendering) tells what it does, and how it is paused and cancelled."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from .errors import Cancelled

EventKind = Literal["progress", "metrics", "message", "preview", "frame"]


@dataclass(frozen=True)
class Event:
    """One thing a user would like to know.

    ``progress``: ``{fraction, time_left (seconds or None), message}``; ``metrics``: ``{step, loss,
    psnr, ...}``; ``message``: ``{level: info|warning, message}``; ``preview``: ``{path}`` of a PNG;
    ``frame``: ``{name, path, index, total, kept}``.
    """

    kind: EventKind
    data: dict[str, Any]


OnEvent = Callable[[Event], None]


class Control:
    """Pause and cancel, set from another thread and honoured at every step of the work."""

    def __init__(self) -> None:
        self._running = threading.Event()
        self._running.set()
        self._cancelled = threading.Event()

    def cancel(self) -> None:
        self._cancelled.set()
        self._running.set()

    def pause(self) -> None:
        if not self._cancelled.is_set():
            self._running.clear()

    def resume(self) -> None:
        self._running.set()

    @property
    def is_cancelled(self) -> bool:
        return self._cancelled.is_set()

    @property
    def is_paused(self) -> bool:
        return not self._running.is_set()

    def check(self) -> None:
        """Return at once when running, wait while paused.

        Raises:
            Cancelled: the work was cancelled.
        """
        self._running.wait()
        if self._cancelled.is_set():
            raise Cancelled("cancelled")
