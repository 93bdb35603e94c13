"""Hexagonal multisampling: six isotropic Gaussians stand for a conical frustum (Zip-NeRF, section 2)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from ...fields.contraction import contract_gaussians
from ...kernels.multisampling import SAMPLES, gaussians
from ...kernels.volume_dispatch import is_compiled

# The order in which the hexagon's corners are taken along the ray, in sixths of a turn: so distance along
# the ray and angle around it do not correlate.
_ORDER = (0, 2, 4, 3, 5, 1)
# Standard deviation of each Gaussian, in units of its distance from the ray (released code).
STD_SCALE = 0.5
# The contraction's ball has radius 2; the grids are over the unit cube.
BALL_DIAMETER = 4.0


def multisample_distances(edges: torch.Tensor) -> torch.Tensor:
    """(R, S, 6) distances along the ray for the intervals between ``edges`` (R, S + 1).

    Their mean and variance are exactly those of a conical frustum's volume along its axis.
    """
    t0, t1 = edges[..., :-1, None], edges[..., 1:, None]
    s, d = 0.5 * (t0 + t1), 0.5 * (t1 - t0)
    steps = (2.0 / 5.0) * torch.arange(SAMPLES, dtype=edges.dtype, device=edges.device) - 1.0
    spread = 3.0 / math.sqrt(7.0) * steps * torch.sqrt((d**2 - s**2) ** 2 + 4.0 * s**4)
    return t0 + d / (d**2 + 3.0 * s**2) * (t1**2 + 2.0 * s**2 + spread)


@dataclass(frozen=True, eq=False)
class Hexagons:
    """How the hexagons of intervals lie: ``is_reversed`` and ``turns``, in radians, (R, S)."""

    is_reversed: npt.NDArray[np.bool_]
    turns: npt.NDArray[np.float32]

    @classmethod
    def draw(cls, rays: int, intervals: int, random: np.random.Generator | None) -> Hexagons:
        """In training each hexagon is turned at random, and half of them run the other way round.

        At test time every other one is turned by 30 degrees and reversed.
        """
        if random is None:
            is_reversed = np.tile(np.arange(intervals) % 2 == 1, (rays, 1))
            return cls(is_reversed, np.where(is_reversed, np.float32(math.pi / 6.0), np.float32(0.0)))
        is_reversed = random.random((rays, intervals), dtype=np.float32) < 0.5
        turns = random.random((rays, intervals), dtype=np.float32) * np.float32(2.0 * math.pi)
        return cls(is_reversed, turns)

    def angles(self, device: torch.device) -> torch.Tensor:
        """(R, S, 6) angles around the ray."""
        corners = np.asarray(_ORDER, dtype=np.float32) * np.float32(math.pi / 3.0)
        angles = np.where(self.is_reversed[..., None], corners[::-1], corners) + self.turns[..., None]
        return torch.from_numpy(angles.astype(np.float32)).to(device)


def contracted_multisamples(
    rays_o: torch.Tensor,
    rays_d: torch.Tensor,
    radii: torch.Tensor,
    edges: torch.Tensor,
    hexagons: Hexagons,
) -> tuple[torch.Tensor, torch.Tensor]:
    """The Gaussians of ``multisample``, contracted, in the unit cube that the contraction's ball fills.

    Without gradient: intervals do not move by what is seen in them.
    """
    with torch.no_grad():
        if is_compiled(edges):
            rays = (rays_o, rays_d, *_across(rays_d), radii)
            constants = (_ORDER, STD_SCALE, BALL_DIAMETER)
            return gaussians(rays, edges, hexagons.is_reversed, hexagons.turns, constants)
        means, stds = multisample(rays_o, rays_d, radii, edges, hexagons.angles(edges.device))
        means, stds = contract_gaussians(means, stds)
        return means / BALL_DIAMETER + 0.5, stds / BALL_DIAMETER


def multisample(
    rays_o: torch.Tensor, rays_d: torch.Tensor, radii: torch.Tensor, edges: torch.Tensor, angles: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Means (R, S, 6, 3) and standard deviations (R, S, 6) of the Gaussians in each interval.

    ``rays_o``, ``rays_d`` (R, 3), ``edges`` (R, S + 1) along ``rays_d``; ``radii`` (R,): the cone's radius
    where that distance is 1; ``angles`` (R, S, 6).
    """
    t = multisample_distances(edges)
    away = math.sqrt(0.5) * radii[:, None, None] * t
    first, second = _across(rays_d)
    aside = (
        torch.cos(angles)[..., None] * first[:, None, None]
        + torch.sin(angles)[..., None] * second[:, None, None]
    )
    along = rays_o[:, None, None] + t[..., None] * rays_d[:, None, None]
    return along + away[..., None] * aside, STD_SCALE * away


def _across(rays_d: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Two unit vectors (R, 3) at right angles to each ray and to each other."""
    forward = torch.nn.functional.normalize(rays_d, dim=-1)
    # the axis that the ray is least along
    axis = torch.nn.functional.one_hot(forward.abs().argmin(dim=-1), 3).to(forward)
    first = torch.nn.functional.normalize(torch.linalg.cross(forward, axis), dim=-1)
    return first, torch.linalg.cross(forward, first)
