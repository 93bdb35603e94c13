"""Which cells of space hold anything: Instant-NGP's occupancy grid and its update rule.

Mueller et al. 2022, appendix E, and the released code for the constants.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import torch

from ...cameras import Camera
from ..base import Tensors
from .rays import torch_random

# What a cell keeps of its value from one update to the next, unless it is found to hold more.
KEPT = 0.95
# A cell whose thickness over the shortest step is above this, or above the mean, is occupied.
LEAST_THICKNESS = 0.01
# Until this step every cell is evaluated; then a quarter of them, and a quarter drawn from the occupied.
FULL_UNTIL = 256
LONGEST_INTERVAL = 16
# Cells no camera sees, and those that are known to be empty.
UNSEEN = -1.0
# Cells are marked as unseen in blocks of this many along each axis.
BLOCK = 4

# points (N, 3) in the innermost cube's coordinates -> density (N,) per edge of that cube
Density = Callable[[torch.Tensor], torch.Tensor]


class OccupancyGrid:
    """(K, G, G, G) cells; cascade k is the cube of edge 2^k around (0.5, 0.5, 0.5)."""

    def __init__(self, cascades: int, resolution: int, device: torch.device) -> None:
        shape = (cascades, resolution, resolution, resolution)
        self.thickness = torch.zeros(shape, device=device)
        self.occupied = torch.ones(shape, dtype=torch.bool, device=device)

    @property
    def cascades(self) -> int:
        return self.thickness.shape[0]

    @property
    def resolution(self) -> int:
        return self.thickness.shape[1]

    def mark_unseen(self, cameras: Sequence[Camera], to_unit: np.ndarray, near: float) -> None:
        """Close for good what no camera has in its picture, beyond ``near``.

        ``to_unit`` (4, 4) maps capture coordinates to the innermost cube's.
        """
        blocks = self.resolution // BLOCK
        ticks = (np.arange(blocks) + 0.5) / blocks - 0.5
        centers = np.stack(np.meshgrid(ticks, ticks, ticks, indexing="ij"), axis=-1).reshape(-1, 3)
        scale = float(np.linalg.norm(to_unit[0, :3]))
        for cascade in range(self.cascades):
            unit = centers * 2.0**cascade + 0.5
            points = (unit - to_unit[:3, 3]) / scale
            radius = 0.5 * np.sqrt(3.0) * 2.0**cascade / blocks / scale
            seen = np.zeros(len(points), dtype=bool)
            for camera in cameras:
                pixels, depth = camera.project(points)
                reach = radius * max(camera.fl_x, camera.fl_y) / np.maximum(depth, 1e-9)
                with np.errstate(invalid="ignore"):
                    size = [camera.width, camera.height]
                    inside = np.all((pixels > -reach[:, None]) & (pixels < size + reach[:, None]), axis=1)
                    seen |= inside & (depth + radius > near)
            shape = (blocks, blocks, blocks)
            cells = np.kron(~seen.reshape(shape), np.ones((BLOCK, BLOCK, BLOCK), dtype=bool))
            self.thickness[cascade][torch.from_numpy(cells).to(self.thickness.device)] = UNSEEN
        self.occupied = self.thickness >= 0

    def cell_centers(self, cascade: int) -> npt.NDArray[np.float64]:
        """(G^3, 3) in the innermost cube's coordinates."""
        ticks = (np.arange(self.resolution) + 0.5) / self.resolution - 0.5
        grid = np.stack(np.meshgrid(ticks, ticks, ticks, indexing="ij"), axis=-1).reshape(-1, 3)
        return np.asarray(grid * 2.0**cascade + 0.5)

    def close(self, cascade: int, cells: npt.NDArray[np.bool_]) -> None:
        """Close the True ``cells`` (G^3,) of a cascade for good."""
        closed = torch.from_numpy(cells.reshape((self.resolution,) * 3)).to(self.thickness.device)
        self.thickness[cascade][closed] = UNSEEN
        self.occupied = self.thickness >= 0

    def is_due(self, step: int) -> bool:
        """Whether the grid is updated before training step ``step`` (from 0): ever more seldom."""
        return step % min(max(step // 16, 1), LONGEST_INTERVAL) == 0

    def update(self, step: int, density: Density, shortest: float, random: np.random.Generator) -> None:
        """Look at cells, each at a random point in it; thickness is density over the ``shortest`` step."""
        flat = self.thickness.view(-1)
        cells = self._chosen(step, random)
        per_cascade = self.resolution**3
        cascade = cells // per_cascade
        inner = cells % per_cascade
        grid = torch.stack(
            [
                inner // self.resolution**2,
                inner // self.resolution % self.resolution,
                inner % self.resolution,
            ],
            dim=-1,
        )
        jitter = torch_random(random, len(cells), 3, device=flat.device)
        size = torch.pow(2.0, cascade.float())[:, None]
        points = ((grid + jitter) / self.resolution - 0.5) * size + 0.5
        found = torch.zeros_like(flat)
        found.scatter_reduce_(0, cells, density(points) * shortest, reduce="amax")
        seen = flat >= 0
        flat.copy_(torch.where(seen, torch.maximum(flat * KEPT, found), flat))
        self.refresh()

    def refresh(self) -> None:
        """Derive what is occupied from the cells' thickness."""
        seen = self.thickness >= 0
        mean = float(self.thickness.clamp_min(0.0).sum() / seen.sum().clamp_min(1))
        self.occupied = self.thickness > min(LEAST_THICKNESS, mean)

    def _chosen(self, step: int, random: np.random.Generator) -> torch.Tensor:
        device = self.thickness.device
        flat = self.thickness.view(-1)
        if step < FULL_UNTIL:
            return torch.nonzero(flat >= 0)[:, 0]
        total = flat.numel()
        anywhere = torch.from_numpy(random.integers(0, total, total // 4)).to(device)
        occupied = torch.nonzero(self.occupied.view(-1))[:, 0]
        if not len(occupied):
            return anywhere
        picks = torch.from_numpy(random.integers(0, len(occupied), min(total // 4, len(occupied)))).to(device)
        cells = torch.cat([anywhere, occupied[picks]])
        return cells[flat[cells] >= 0]

    def tensors(self) -> Tensors:
        """What rendering needs: the occupied cells as bits."""
        bits = np.packbits(self.occupied.cpu().numpy().reshape(-1))
        shape = torch.tensor([self.cascades, self.resolution])
        return {"occupancy.bits": torch.from_numpy(bits), "occupancy.shape": shape}

    @staticmethod
    def from_tensors(tensors: Tensors, device: torch.device) -> OccupancyGrid:
        cascades, resolution = (int(n) for n in tensors["occupancy.shape"])
        grid = OccupancyGrid(cascades, resolution, device)
        count = cascades * resolution**3
        bits = np.unpackbits(tensors["occupancy.bits"].cpu().numpy(), count=count).astype(bool)
        grid.occupied = torch.from_numpy(bits.reshape(tuple(grid.thickness.shape))).to(device)
        return grid
