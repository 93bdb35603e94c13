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
    near, far = torch.zeros_like(rays_d[:, 0]), torch.full_like(rays_d[:, 0], torch.inf)
    for axis in range(3):  # one after the other: reductions over three neighbours in memory are slow
        along = rays_d[:, axis]
        inverse = torch.where(along.abs() < tiny, tiny, along).reciprocal()
        first = (minimum[axis] - rays_o[:, axis]) * inverse
        second = (maximum[axis] - rays_o[:, axis]) * inverse
        near = torch.maximum(near, torch.minimum(first, second))
        far = torch.minimum(far, torch.maximum(first, second))
    return near, far


def intersect_ball(rays_o: torch.Tensor, rays_d: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """As ``intersect_box``, for the unit ball around the origin."""
    squared = (rays_d * rays_d).sum(dim=-1)
    nearest = -(rays_o * rays_d).sum(dim=-1) / squared
    # of the point nearest to the middle, not of the origin: far away cameras would lose all digits
    closest = rays_o + nearest[:, None] * rays_d
    half = ((1.0 - (closest * closest).sum(dim=-1)) / squared).clamp_min(0.0).sqrt()
    return (nearest - half).clamp_min(0.0), nearest + half
