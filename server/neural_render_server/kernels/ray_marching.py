"""Marching rays through an occupancy grid (Instant-NGP, Mueller et al. 2022, appendix E)."""

from __future__ import annotations

from typing import Any

import torch

from . import ray_marching_cpu
from . import ray_marching_reference as reference
from .march_steps import MarchSteps
from .threads import run_sliced, several_bounds
from .volume_dispatch import as_array, is_compiled

march_kernel: Any = ray_marching_cpu.march  # compiled functions have no types


def march(
    rays_o: torch.Tensor,
    rays_d: torch.Tensor,
    near: torch.Tensor,
    far: torch.Tensor,
    jitter: torch.Tensor,
    occupied: torch.Tensor,
    steps: MarchSteps,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The steps of rays whose middle lies in an occupied cell, packed.

    ``rays_o``, ``rays_d`` (R, 3) in coordinates where cascade k of ``occupied`` (K, G, G, G) bool is the
    cube of edge 2^k around (0.5, 0.5, 0.5); ``rays_d`` of any length. ``near``, ``far`` (R,) are limits
    along ``rays_d``; ``jitter`` (R,) in [0, 1) moves the first step by that share of itself.

    Returns ``bounds`` (R + 1,) int64 (ray r has samples ``bounds[r] <= n < bounds[r + 1]``), and where
    each step starts and how long it is, both (N,) along ``rays_d``. Nothing here has a gradient.
    """
    if not is_compiled(rays_o):
        return reference.march(rays_o, rays_d, near, far, jitter, occupied, steps)
    count = len(rays_o)
    bounds = torch.zeros(count + 1, dtype=torch.int64)
    real = rays_o.detach().numpy().dtype.type
    inputs = [as_array(tensor) for tensor in (rays_o, rays_d, near, far, jitter, occupied)]
    inputs += [real(steps.least), real(steps.longest), real(steps.cone), steps.most]
    slices = several_bounds(count)
    nothing = rays_o.new_empty(0).numpy()
    counts = bounds.numpy()
    run_sliced(lambda low, high: march_kernel(*inputs, low, high, counts, nothing, nothing, False), slices)
    torch.cumsum(bounds, dim=0, out=bounds)
    total = int(bounds[-1])
    starts, lengths = rays_o.new_empty(total), rays_o.new_empty(total)
    outputs = starts.numpy(), lengths.numpy()
    run_sliced(lambda low, high: march_kernel(*inputs, low, high, counts, *outputs, True), slices)
    return bounds, starts, lengths
