"""Features of intervals from the Gaussians in them (Zip-NeRF, Barron et al. 2023, section 2)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from . import multisampling_cpu
from .threads import run_sliced, several_bounds
from .volume_dispatch import as_array, is_compiled

SAMPLES = multisampling_cpu.SAMPLES
cpu: Any = multisampling_cpu  # compiled functions have no types


def weighted_means(encoded: torch.Tensor, weights: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Means over the M samples: (N, L, F) of ``encoded`` (N, M, L, F) times ``weights``, and (N, L) of these.

    Differentiable in ``encoded``; ``weights`` (N, M, L) must not need a gradient.
    """
    if not is_compiled(encoded):
        return (encoded * weights[..., None]).mean(dim=1), weights.mean(dim=1)
    result: tuple[torch.Tensor, torch.Tensor] = _WeightedMeans.apply(encoded, weights)  # type: ignore[no-untyped-call]
    return result


class _WeightedMeans(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, encoded: torch.Tensor, weights: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        count, _, levels, features = encoded.shape
        means, shares = encoded.new_empty(count, levels, features), weights.new_empty(count, levels)
        arrays = as_array(encoded), as_array(weights)
        outputs = means.numpy(), shares.numpy()
        run_sliced(lambda low, high: cpu.weighted_means(*arrays, low, high, *outputs), several_bounds(count))
        ctx.save_for_backward(weights)
        ctx.mark_non_differentiable(shares)
        return means, shares

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None]:
        (weights,) = ctx.saved_tensors
        d_encoded = weights.new_empty(*weights.shape, gradients[0].shape[-1])
        arrays, output = (as_array(gradients[0]), as_array(weights)), d_encoded.numpy()
        run_sliced(
            lambda low, high: cpu.weighted_means_backward(*arrays, low, high, output),
            several_bounds(len(weights)),
        )
        return d_encoded, None


def gaussians(
    rays: tuple[torch.Tensor, ...],
    edges: torch.Tensor,
    is_reversed: npt.NDArray[np.bool_],
    turns: npt.NDArray[np.float32],
    constants: tuple[tuple[int, ...], float, float],
) -> tuple[torch.Tensor, torch.Tensor]:
    """Means (R, S, 6, 3) and standard deviations (R, S, 6), contracted, in the unit cube; numba alone.

    ``rays``: origins, directions and two unit vectors across (R, 3), and the cones' radii (R,); ``edges``
    (R, S + 1) along the directions; ``is_reversed`` and ``turns`` (R, S) of the hexagons; ``constants``: the
    order of its corners, the Gaussians' size and the diameter of the contraction's ball.
    """
    count, intervals = len(edges), edges.shape[1] - 1
    places = edges.new_empty(count, intervals, SAMPLES, 3)
    sizes = edges.new_empty(count, intervals, SAMPLES)
    arrays = [as_array(tensor) for tensor in (*rays, edges)]
    order, std_scale, diameter = constants
    hexagons = is_reversed, turns, np.array(order), std_scale, diameter
    outputs = places.numpy(), sizes.numpy()
    run_sliced(
        lambda low, high: cpu.gaussians(*arrays, *hexagons, low, high, *outputs), several_bounds(count)
    )
    return places, sizes
