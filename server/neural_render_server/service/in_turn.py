"""A lock that is given in the order in which it is asked for."""

from __future__ import annotations

import threading
from collections import deque
from types import TracebackType


class InTurn:
    """Many clients ask for frames at once, and ``threading.Lock`` may let one that came last go first."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._waiting: deque[threading.Event] = deque()
        self._is_taken = False

    def __enter__(self) -> None:
        with self._guard:
            if not self._is_taken:
                self._is_taken = True
                return
            turn = threading.Event()
            self._waiting.append(turn)
        turn.wait()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._guard:
            if self._waiting:
                self._waiting.popleft().set()  # it stays taken, by the next
            else:
                self._is_taken = False
