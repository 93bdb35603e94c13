"""Compositing of packed samples in plain torch: the tests' oracle, and the path of other devices."""

from __future__ import annotations

import torch


def ray_of_sample(bounds: torch.Tensor) -> torch.Tensor:
    """(N,) index of each sample's ray, for ``bounds`` (R + 1,) of the rays' samples."""
    counts = bounds.diff()
    return torch.repeat_interleave(torch.arange(len(counts), device=bounds.device), counts)


def transmittance_before(thickness: torch.Tensor, bounds: torch.Tensor) -> torch.Tensor:
    """(N,) what reaches each sample. Sums are in float64: they run over all rays."""
    total = torch.cumsum(thickness.double(), dim=0)
    exclusive = torch.cat([torch.zeros_like(total[:1]), total])
    rays = ray_of_sample(bounds)
    return torch.exp(exclusive[bounds[:-1]][rays] - exclusive[:-1]).to(thickness.dtype)


def composite(
    thickness: torch.Tensor, colors: torch.Tensor, distances: torch.Tensor, bounds: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """As ``compositing.composite``; differentiable by autograd."""
    weights = transmittance_before(thickness, bounds) * -torch.expm1(-thickness)
    rays = ray_of_sample(bounds)
    count = len(bounds) - 1
    color = torch.zeros(count, 3, dtype=colors.dtype, device=colors.device)
    color = color.index_add(0, rays, weights[:, None] * colors)
    opacity = torch.zeros(count, dtype=colors.dtype, device=colors.device).index_add(0, rays, weights)
    depth = torch.zeros_like(opacity).index_add(0, rays, weights * distances)
    return color, opacity, depth


def visible(thickness: torch.Tensor, bounds: torch.Tensor, least: float) -> torch.Tensor:
    """As ``compositing.visible``."""
    return transmittance_before(thickness, bounds) >= least
