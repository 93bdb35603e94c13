"""A picture that a sensor reads out row by row: each row shows a later moment than the one before it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class RollingShutter:
    """When the parts of a camera's pictures were taken, about the time of their middle.

    ``across`` are the seconds from the left edge to the right one, ``down`` from the top to the bottom: a
    telephone held upright reads its picture from side to side. Of a camera that moves, ``turn`` (radians a
    second) and ``drift`` (capture units a second) are how the world moves past it, in its own axes (OpenCV's:
    right, down, ahead): a point ``x`` moves by ``turn x x + drift``.
    """

    across: float = 0.0
    down: float = 0.0
    turn: tuple[float, float, float] = (0.0, 0.0, 0.0)
    drift: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def delays(
        self, x: npt.NDArray[np.float32], y: npt.NDArray[np.float32], width: int, height: int
    ) -> npt.NDArray[np.float32]:
        """Seconds after its time at which a picture's places ``x``, ``y`` (pixels, any shape) were taken."""
        delays = self.across * (x / width - 0.5) + self.down * (y / height - 0.5)
        return np.asarray(delays, dtype=np.float32)

    def in_units_of(self, seconds: float) -> RollingShutter:
        """The same with time in units of ``seconds``."""
        return replace(
            self,
            across=self.across / seconds,
            down=self.down / seconds,
            turn=_times(self.turn, seconds),
            drift=_times(self.drift, seconds),
        )


def _times(values: tuple[float, float, float], factor: float) -> tuple[float, float, float]:
    x, y, z = values
    return x * factor, y * factor, z * factor
