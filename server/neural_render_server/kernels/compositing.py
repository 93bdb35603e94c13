"""Volume rendering of packed samples: rays have different numbers of samples, stored one after another.

``bounds`` (R + 1,) int64: ray r has samples ``bounds[r] <= n < bounds[r + 1]``, front to back.
``thickness`` (N,) is density times length. Equations: Max 1995; NeRF 2020, equation 3.
"""

from __future__ import annotations

import math
from typing import Any

import torch

from . import compositing_cpu
from . import compositing_reference as reference
from .threads import run_sliced, several_bounds
from .volume_dispatch import as_array, is_compiled

cpu: Any = compositing_cpu  # compiled functions have no types

Rendered = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


def composite(
    thickness: torch.Tensor, colors: torch.Tensor, distances: torch.Tensor, bounds: torch.Tensor
) -> Rendered:
    """Premultiplied colour (R, 3), opacity (R,) and weighted sum of distances (R,).

    ``colors`` (N, 3), ``distances`` (N,). Differentiable in thickness and colours.
    """
    if not is_compiled(thickness):
        return reference.composite(thickness, colors, distances, bounds)
    result: Rendered = _Composite.apply(thickness, colors, distances, bounds)  # type: ignore[no-untyped-call]
    return result


class _Composite(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, thickness: torch.Tensor, colors: torch.Tensor, distances: torch.Tensor, bounds: torch.Tensor
    ) -> Rendered:
        count = len(bounds) - 1
        color, opacity, depth = colors.new_empty(count, 3), colors.new_empty(count), colors.new_empty(count)
        weights, after = torch.empty_like(thickness), torch.empty_like(thickness)
        inputs = [as_array(tensor) for tensor in (thickness, colors, distances, bounds)]
        outputs = [as_array(tensor) for tensor in (color, opacity, depth, weights, after)]
        run_sliced(lambda low, high: cpu.forward(*inputs, low, high, *outputs), several_bounds(count))
        ctx.save_for_backward(colors, distances, bounds, weights, after)
        return color, opacity, depth

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, None, None]:
        colors, distances, bounds, weights, after = ctx.saved_tensors
        d_thickness, d_colors = torch.empty_like(weights), colors.new_empty(len(colors), 3)
        inputs = [as_array(tensor) for tensor in (*gradients, colors, distances, bounds, weights, after)]
        outputs = [as_array(d_thickness), as_array(d_colors)]
        run_sliced(
            lambda low, high: cpu.backward(*inputs, low, high, *outputs), several_bounds(len(bounds) - 1)
        )
        return d_thickness, d_colors, None, None


def visible(thickness: torch.Tensor, bounds: torch.Tensor, least: float) -> torch.Tensor:
    """(N,) bool: whether at least the share ``least`` of the light reaches the sample."""
    if not is_compiled(thickness):
        return reference.visible(thickness, bounds, least)
    kept = torch.empty(len(thickness), dtype=torch.bool)
    inputs, output, limit = (as_array(thickness), as_array(bounds)), kept.numpy(), -math.log(least)
    run_sliced(
        lambda low, high: cpu.visible(*inputs, limit, low, high, output), several_bounds(len(bounds) - 1)
    )
    return kept


def kept_bounds(kept: torch.Tensor, bounds: torch.Tensor) -> torch.Tensor:
    """(R + 1,) bounds of the rays' samples after all but the ``kept`` (N,) are taken out."""
    counted = torch.cat([bounds.new_zeros(1), torch.cumsum(kept, dim=0)])
    return counted[bounds]
