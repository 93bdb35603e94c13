"""The points that dynamic Gaussians start from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

Float32Array = npt.NDArray[np.float32]

# Temporal extent of what never moves; any capture is short beside it.
STATIC_EXTENT = 1000.0


@dataclass(frozen=True, eq=False)
class GaussianCloud:
    """N isotropic Gaussians that live in time, all arrays float32, in capture coordinates.

    At time t: mean ``positions + velocities * (t - time_centers)``, opacity
    ``opacities * exp(-(t - time_centers)^2 / (2 time_extents^2))``.

    ``positions`` (N, 3); ``time_centers`` and ``time_extents`` (N,) in seconds, ``STATIC_EXTENT``
    where static; ``velocities`` (N, 3) in units a second; ``scales`` (N,) standard deviations in
    units; ``opacities`` (N,) in (0, 1); ``colors`` (N, 3) in [0, 1], encoded as the capture is.
    """

    positions: Float32Array
    time_centers: Float32Array
    time_extents: Float32Array
    velocities: Float32Array
    scales: Float32Array
    opacities: Float32Array
    colors: Float32Array

    def __len__(self) -> int:
        return len(self.positions)

    @property
    def is_static(self) -> npt.NDArray[np.bool_]:
        result: npt.NDArray[np.bool_] = self.time_extents >= STATIC_EXTENT
        return result


@dataclass(frozen=True, eq=False)
class SurfacePoints:
    """Coloured points found on surfaces, each seen at a timestep, or always (``timesteps`` is -1).

    ``positions`` (N, 3), ``colors`` (N, 3) and ``velocities`` (N, 3, units a second) float32,
    ``timesteps`` (N,) int64.
    """

    positions: Float32Array
    colors: Float32Array
    timesteps: npt.NDArray[np.int64]
    velocities: Float32Array

    def __len__(self) -> int:
        return len(self.positions)

    @property
    def is_static(self) -> npt.NDArray[np.bool_]:
        result: npt.NDArray[np.bool_] = self.timesteps < 0
        return result

    def take(self, index: npt.NDArray[np.int64] | npt.NDArray[np.bool_]) -> SurfacePoints:
        """The points that ``index`` (whole numbers or a mask) picks."""
        return SurfacePoints(
            self.positions[index], self.colors[index], self.timesteps[index], self.velocities[index]
        )

    @staticmethod
    def empty() -> SurfacePoints:
        nothing = np.zeros((0, 3), dtype=np.float32)
        return SurfacePoints(nothing, nothing, np.zeros(0, dtype=np.int64), nothing)

    @staticmethod
    def join(parts: Sequence[SurfacePoints]) -> SurfacePoints:
        if not parts:
            return SurfacePoints.empty()
        return SurfacePoints(
            *(np.concatenate([getattr(part, item.name) for part in parts]) for item in fields(SurfacePoints))
        )
