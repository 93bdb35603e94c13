"""How far a training has come: the clock and the budget."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from .options import DEFAULT_MINUTES, TrainOptions


class TrainingClock:
    """Wall and CPU seconds spent on training; what runs inside ``excluded`` does not count.

    ``start_seconds`` are those of the wall that finding the field's start took, before the first step.
    """

    def __init__(self, seconds: float = 0.0, cpu_seconds: float = 0.0, start_seconds: float = 0.0) -> None:
        self.start_seconds = start_seconds
        self._wall_start = time.monotonic() - seconds
        self._cpu_start = time.process_time() - cpu_seconds

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._wall_start

    @property
    def cpu_seconds(self) -> float:
        """CPU seconds of this process over all its threads."""
        return time.process_time() - self._cpu_start

    @contextmanager
    def excluded(self) -> Iterator[None]:
        wall, cpu = time.monotonic(), time.process_time()
        try:
            yield
        finally:
            self._wall_start += time.monotonic() - wall
            self._cpu_start += time.process_time() - cpu


@dataclass(frozen=True)
class Budget:
    """The end of a training: exactly one of the three is set."""

    seconds: float | None = None
    cpu_seconds: float | None = None
    steps: int | None = None

    @staticmethod
    def from_options(options: TrainOptions) -> Budget:
        if options.steps is not None:
            return Budget(steps=options.steps)
        if options.cpu_seconds is not None:
            return Budget(cpu_seconds=options.cpu_seconds)
        return Budget(seconds=60.0 * (DEFAULT_MINUTES if options.minutes is None else options.minutes))

    def progress(self, clock: TrainingClock, step: int) -> float:
        """The fraction of the budget spent, in [0, 1]."""
        if self.steps is not None:
            return min(1.0, step / self.steps)
        if self.cpu_seconds is not None:
            return min(1.0, clock.cpu_seconds / self.cpu_seconds)
        assert self.seconds is not None
        # The start of a long capture can take longer than the minutes asked for: they are for the steps.
        return min(1.0, (clock.seconds - clock.start_seconds) / self.seconds)
