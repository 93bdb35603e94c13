"""Marching through an occupancy grid in plain torch: every step of every ray, and then those occupied."""

from __future__ import annotations

import torch

from .march_steps import MarchSteps


def march(
    rays_o: torch.Tensor,
    rays_d: torch.Tensor,
    near: torch.Tensor,
    far: torch.Tensor,
    jitter: torch.Tensor,
    occupied: torch.Tensor,
    steps: MarchSteps,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """As ``ray_marching.march``."""
    cascades, resolution = occupied.shape[0], occupied.shape[1]
    inverse_length = 1.0 / rays_d.norm(dim=-1)
    start = near + jitter * _step(near, inverse_length, steps)
    starts, lengths = [], []
    t = start
    while bool((t < far).any()):
        dt = _step(t, inverse_length, steps)
        starts.append(t)
        lengths.append(dt)
        t = t + dt
    if not starts:
        empty = rays_o.new_empty(0)
        return torch.zeros(len(rays_o) + 1, dtype=torch.int64, device=rays_o.device), empty, empty
    t_start, dt = torch.stack(starts, dim=1), torch.stack(lengths, dim=1)  # (R, S)
    kept = torch.zeros_like(t_start, dtype=torch.bool)
    for chunk in torch.split(torch.arange(len(rays_o), device=rays_o.device), 4096):
        middle = t_start[chunk] + 0.5 * dt[chunk]
        points = rays_o[chunk, None] + middle[..., None] * rays_d[chunk, None]
        level, cell = locate(points, cascades, resolution)
        inside = (level < cascades) & (middle < far[chunk, None])
        x, y, z = cell.unbind(-1)
        kept[chunk] = inside & occupied[level.clamp_max(cascades - 1), x, y, z]
    kept &= torch.cumsum(kept, dim=1) <= steps.most
    bounds = torch.cat([torch.zeros(1, dtype=torch.int64, device=kept.device), kept.sum(dim=1).cumsum(0)])
    return bounds, t_start[kept], dt[kept]


def locate(points: torch.Tensor, cascades: int, resolution: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Cascade (...,) and cell (..., 3) of points (..., 3); the cascade is ``cascades`` outside of all.

    Cascade k is the cube of edge 2^k around (0.5, 0.5, 0.5).
    """
    offset = points - 0.5
    largest = offset.abs().amax(dim=-1)
    level = torch.zeros_like(largest, dtype=torch.int64)
    for k in range(cascades):
        level += largest >= 0.5 * 2.0**k
    scale = torch.pow(2.0, -level.to(points.dtype))[..., None]
    cell = ((offset * scale + 0.5) * resolution).floor().long().clamp(0, resolution - 1)
    return level, cell


def _step(t: torch.Tensor, inverse_length: torch.Tensor, steps: MarchSteps) -> torch.Tensor:
    return (t * steps.cone).clamp(steps.least * inverse_length, steps.longest * inverse_length)
