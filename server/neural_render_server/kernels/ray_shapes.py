"""Rays against boxes and balls."""

from __future__ import annotations

import torch


def intersect_box(
    rays_o: torch.Tensor, rays_d: torch.Tensor, minimum: torch.Tensor, maximum: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Distances (R,) along ``rays_d`` at which rays enter and leave a box; enter >= leave where they miss.

    ``rays_o``, ``rays_d`` (R, 3), ``minimum``, ``maximum`` (3,). Entry is at least 0.
    """
    # a direction component of 0 would give 0 * inf; the smallest number keeps the slab test right
    tiny = torch.finfo(rays_d.dtype).tiny ** 0.5
    safe = torch.where(rays_d.abs() < tiny, torch.full_like(rays_d, tiny), rays_d)
    first, second = (minimum - rays_o) / safe, (maximum - rays_o) / safe
    near = torch.minimum(first, second).amax(dim=-1).clamp_min(0.0)
    far = torch.maximum(first, second).amin(dim=-1)
    return near, far


def intersect_ball(rays_o: torch.Tensor, rays_d: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """As ``intersect_box``, for the unit ball around the origin."""
    squared = (rays_d * rays_d).sum(dim=-1)
    nearest = -(rays_o * rays_d).sum(dim=-1) / squared
    # of the point nearest to the middle, not of the origin: far away cameras would lose all digits
    closest = rays_o + nearest[:, None] * rays_d
    half = ((1.0 - (closest * closest).sum(dim=-1)) / squared).clamp_min(0.0).sqrt()
    return (nearest - half).clamp_min(0.0), nearest + half
