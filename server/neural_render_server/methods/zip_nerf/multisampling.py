"""Hexagonal multisampling: six isotropic Gaussians stand for a conical frustum (Zip-NeRF, section 2)."""

from __future__ import annotations

import math

import numpy as np
import torch

SAMPLES = 6
# The order in which the hexagon's corners are taken along the ray, in sixths of a turn: so distance along
# the ray and angle around it do not correlate.
_ORDER = (0, 2, 4, 3, 5, 1)
# Standard deviation of each Gaussian, in units of its distance from the ray (released code).
STD_SCALE = 0.5


def multisample_distances(edges: torch.Tensor) -> torch.Tensor:
    """(R, S, 6) distances along the ray for the intervals between ``edges`` (R, S + 1).

    Their mean and variance are exactly those of a conical frustum's volume along its axis.
    """
    t0, t1 = edges[..., :-1, None], edges[..., 1:, None]
    s, d = 0.5 * (t0 + t1), 0.5 * (t1 - t0)
    steps = (2.0 / 5.0) * torch.arange(SAMPLES, dtype=edges.dtype, device=edges.device) - 1.0
    spread = 3.0 / math.sqrt(7.0) * steps * torch.sqrt((d**2 - s**2) ** 2 + 4.0 * s**4)
    return t0 + d / (d**2 + 3.0 * s**2) * (t1**2 + 2.0 * s**2 + spread)


def hexagon_angles(
    rays: int, intervals: int, random: np.random.Generator | None, device: torch.device
) -> torch.Tensor:
    """(R, S, 6) angles around the ray.

    In training each hexagon is turned at random, and half of them run the other way round; at test time
    every other one is turned by 30 degrees and reversed.
    """
    corners = np.asarray(_ORDER, dtype=np.float32) * np.float32(math.pi / 3.0)
    if random is None:
        is_reversed = np.arange(intervals)[None, :, None] % 2 == 1
        turn = np.where(is_reversed, np.float32(math.pi / 6.0), np.float32(0.0))
    else:
        is_reversed = random.random((rays, intervals, 1), dtype=np.float32) < 0.5
        turn = random.random((rays, intervals, 1), dtype=np.float32) * np.float32(2.0 * math.pi)
    angles = np.where(is_reversed, corners[::-1], corners) + turn
    return torch.from_numpy(angles.astype(np.float32)).to(device).expand(rays, intervals, SAMPLES)


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
