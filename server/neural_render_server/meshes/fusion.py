"""Depth pictures fused into a truncated signed distance grid.

Curless and Levoy 1996, "A Volumetric Method for Building Complex Models from Range Images", as KinectFusion
has it (Newcombe et al. 2011): every voxel keeps the mean of its truncated distances to the surfaces that the
views saw, positive before them. World: capture coordinates.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from ..cameras import Camera

FloatArray = npt.NDArray[np.float64]

# Voxels on either side of a surface that know of it: enough that neighbouring views' errors average out, few
# enough that the far side of a wall stays free.
TRUNCATION_VOXELS = 4.0


@dataclass(frozen=True)
class Grid:
    """Voxel centres at ``origin + voxel * (i, j, k)``, with ``shape`` (X, Y, Z) of them; capture units."""

    origin: tuple[float, float, float]
    voxel: float
    shape: tuple[int, int, int]

    @staticmethod
    def around(minimum: FloatArray, maximum: FloatArray, resolution: int) -> Grid:
        """Of a box, with ``resolution`` voxels along its longest side and one more around it."""
        size = np.maximum(maximum - minimum, 1e-9)
        voxel = float(size.max() / resolution)
        counts = np.ceil(size / voxel).astype(int) + 2
        low = (minimum - 0.5 * voxel).tolist()
        return Grid((low[0], low[1], low[2]), voxel, (int(counts[0]), int(counts[1]), int(counts[2])))

    @property
    def truncation(self) -> float:
        return TRUNCATION_VOXELS * self.voxel


class Fusion:
    """The grid's distances while views are added, in truncation lengths: 1 is free, 0 the surface."""

    def __init__(self, grid: Grid, device: torch.device) -> None:
        self.grid = grid
        self.distance = torch.ones(grid.shape, device=device)
        self.weight = torch.zeros(grid.shape, device=device)
        axes = [
            low + grid.voxel * torch.arange(count, device=device, dtype=torch.float32)
            for low, count in zip(grid.origin, grid.shape, strict=True)
        ]
        self._y, self._z = torch.meshgrid(axes[1], axes[2], indexing="ij")
        self._x = axes[0]

    def add(self, camera: Camera, depth: npt.NDArray[np.float32]) -> None:
        """Take up a pinhole view's planar ``depth`` (H, W), infinite where the view sees through."""
        device = self.distance.device
        depths = torch.from_numpy(np.ascontiguousarray(depth)).to(device)
        matrix = camera.world_to_camera_opencv().astype(np.float32)
        for index, x in enumerate(self._x):  # a slice at a time: the whole grid's points are gigabytes
            ahead = matrix[2, 0] * x + matrix[2, 1] * self._y + matrix[2, 2] * self._z + matrix[2, 3]
            right = matrix[0, 0] * x + matrix[0, 1] * self._y + matrix[0, 2] * self._z + matrix[0, 3]
            down = matrix[1, 0] * x + matrix[1, 1] * self._y + matrix[1, 2] * self._z + matrix[1, 3]
            before = ahead > self.grid.voxel
            safe = torch.where(before, ahead, torch.ones_like(ahead))
            column = torch.floor(camera.fl_x * right / safe + camera.cx)
            row = torch.floor(camera.fl_y * down / safe + camera.cy)
            seen = before & (column >= 0) & (column < camera.width) & (row >= 0) & (row < camera.height)
            pixel = torch.where(seen, row * camera.width + column, torch.zeros_like(row)).long()
            distance = (depths.view(-1)[pixel] - ahead) / self.grid.truncation
            weight = (seen & (distance > -1.0)).float()  # what lies behind a surface is not known
            total = self.weight[index] + weight
            mean = self.weight[index] * self.distance[index] + weight * distance.clamp(-1.0, 1.0)
            self.distance[index] = torch.where(total > 0, mean / total.clamp(min=1.0), self.distance[index])
            self.weight[index] = total


@dataclass(eq=False)
class OverTime:
    """Fusions of several moments in one: what is solid at ``any`` of them, or ``always``.

    A moment counts where its views saw the voxel: what stands behind an actor is known from other moments.
    """

    always: bool
    distance: torch.Tensor | None = None
    seen: torch.Tensor | None = None

    def add(self, fusion: Fusion) -> None:
        seen = fusion.weight > 0
        if self.distance is None or self.seen is None:
            self.distance, self.seen = fusion.distance.clone(), seen
            return
        merge = torch.maximum if self.always else torch.minimum
        both = merge(self.distance, fusion.distance)
        self.distance = torch.where(self.seen & seen, both, torch.where(seen, fusion.distance, self.distance))
        self.seen = self.seen | seen
