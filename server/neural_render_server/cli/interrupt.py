"""Ctrl-C while work runs: cancel cleanly, so that the checkpoint is written."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from ..progress import Control
from .console import Console


@contextmanager
def cancelled_by_interrupt(control: Control, console: Console) -> Iterator[None]:
    """The first Ctrl-C (or SIGTERM) cancels ``control``, a second Ctrl-C ends at once."""

    def cancel(number: int, frame: FrameType | None) -> None:
        control.cancel()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        console.note("Cancelling after this step; what is finished is kept. Ctrl-C again ends at once.")

    before = {number: signal.signal(number, cancel) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
