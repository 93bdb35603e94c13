"""The nested cubes a marched field lives in, and where they lie in the capture."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from ..base import Tensors
from .bounds import SceneBounds

# Cascades at most, as in Instant-NGP's released code.
MOST_CASCADES = 8


@dataclass(frozen=True, eq=False)
class CascadeBox:
    """``cascades`` cubes around ``center`` (3,); the innermost has ``edge``, each next one twice as much.

    The innermost cube is [0, 1]^3 in *unit* coordinates, all cubes together [0, 1]^3 in *field* coordinates.
    """

    center: npt.NDArray[np.float64]
    edge: float
    cascades: int

    @staticmethod
    def around(bounds: SceneBounds, is_object: bool) -> CascadeBox:
        """The innermost cube holds an object, or reaches to the cameras; the outermost, all that they see."""
        edge = 2.0 * bounds.radius
        if is_object:
            return CascadeBox(bounds.center, edge, 1)
        beyond = math.ceil(math.log2(max(1.0, bounds.extent / bounds.radius)))
        return CascadeBox(bounds.center, edge, 1 + min(beyond, MOST_CASCADES - 1))

    @property
    def whole_edge(self) -> float:
        """Edge of the outermost cube, in capture units."""
        return self.edge * 2.0 ** (self.cascades - 1)

    @property
    def corners(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Minimum and maximum of the outermost cube, in capture coordinates."""
        half = 0.5 * self.whole_edge
        return self.center - half, self.center + half

    def to_unit_matrix(self) -> npt.NDArray[np.float64]:
        """(4, 4) capture to unit coordinates."""
        matrix = np.eye(4)
        matrix[:3, :3] /= self.edge
        matrix[:3, 3] = 0.5 - self.center / self.edge
        return matrix

    def rays_to_unit(self, rays_o: torch.Tensor, rays_d: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Rays in unit coordinates; distances along ``rays_d`` stay what they are."""
        center = torch.from_numpy(self.center).to(rays_o)
        return (rays_o - center) / self.edge + 0.5, rays_d / self.edge

    @property
    def field_scale(self) -> float:
        """A length in field coordinates over that in unit coordinates."""
        return float(2.0 ** (1 - self.cascades))

    def unit_to_field(self, points: torch.Tensor) -> torch.Tensor:
        return (points - 0.5) * self.field_scale + 0.5

    def tensors(self) -> Tensors:
        values = torch.tensor([*self.center, self.edge, self.cascades], dtype=torch.float64)
        return {"box": values}

    @staticmethod
    def from_tensors(tensors: Tensors) -> CascadeBox:
        values = tensors["box"].cpu().numpy()
        return CascadeBox(values[:3], float(values[3]), int(values[4]))
