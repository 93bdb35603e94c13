"""Density and colour networks on the CPU: without autograd inside, and split over threads by samples."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from . import radiance_cpu
from .matrix_tile import padded
from .threads import even_bounds, run_sliced
from .volume_dispatch import as_array

cpu: Any = radiance_cpu  # compiled functions have no types
FloatArray = npt.NDArray[np.float32]

# Weight gradients are summed slice by slice in this order, so that they are the same for any thread count.
SLICES = 32


class _Network(NamedTuple):
    """A network's layers as ``radiance_cpu`` wants them."""

    widths: npt.NDArray[np.int64]
    weights: FloatArray
    transposed: FloatArray


def density(features: torch.Tensor, weights: Sequence[torch.Tensor]) -> torch.Tensor:
    """(N,) exp of the first output of the density network with ``weights`` (outputs, inputs) a layer.

    ``features`` (N, inputs) float32; without gradient.
    """
    network = _network(weights)
    out = torch.empty(len(features))
    rows, output = as_array(features), out.numpy()
    run_sliced(
        lambda low, high: cpu.density(rows, network.widths, network.transposed, low, high, output),
        _slices(len(features)),
    )
    return out


def radiance(
    features: torch.Tensor,
    harmonics: torch.Tensor,
    rows: torch.Tensor,
    density_weights: Sequence[torch.Tensor],
    color_weights: Sequence[torch.Tensor],
) -> tuple[torch.Tensor, torch.Tensor]:
    """Density (N,) and colour (N, 3) of ``features`` (N, inputs), all float32.

    The colour network's input is the density network's output and ``harmonics[rows]``, with ``harmonics``
    (R, H) and ``rows`` (N,) int64; its three outputs go through a sigmoid. Density is the exponential of the
    density network's first output. Differentiable in features and weights; the exponential's gradient is
    that of ``truncated_exp``.
    """
    layers = len(density_weights)
    result: tuple[torch.Tensor, torch.Tensor] = _Radiance.apply(  # type: ignore[no-untyped-call]
        features, harmonics, rows, layers, *density_weights, *color_weights
    )
    return result


class _Radiance(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        features: torch.Tensor,
        harmonics: torch.Tensor,
        rows: torch.Tensor,
        layers: int,
        *weights: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        ctx.layers = layers
        ctx.save_for_backward(features, harmonics, rows, *weights)
        first, second = _network(weights[:layers]), _network(weights[layers:])
        density_out, color_out = torch.empty(len(features)), torch.empty(len(features), 3)
        inputs = [as_array(tensor) for tensor in (features, harmonics, rows)]
        networks = first.widths, first.transposed, second.widths, second.transposed
        outputs = density_out.numpy(), color_out.numpy()
        run_sliced(
            lambda low, high: cpu.forward(*inputs, *networks, low, high, *outputs), _slices(len(features))
        )
        return density_out, color_out

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        features, harmonics, rows, *weights = ctx.saved_tensors
        layers = ctx.layers
        first, second = _network(weights[:layers]), _network(weights[layers:])
        inputs = [as_array(tensor) for tensor in (features, harmonics, rows)]
        upstream = [as_array(tensor) for tensor in gradients]
        d_features = torch.empty(features.shape)
        output = d_features.numpy()
        bounds = _slices(len(features))
        number = {low: k for k, low in enumerate(bounds[:-1])}
        sums = [
            np.zeros(
                (len(bounds) - 1, sum(padded(n) * padded(m) for n, m in pairwise(net.widths))), np.float32
            )
            for net in (first, second)
        ]

        def run(low: int, high: int) -> None:
            own = (total[number[low]] for total in sums)
            cpu.backward(*inputs, *first, *second, *upstream, low, high, output, *own)

        run_sliced(run, bounds)
        d_weights = [
            gradient
            for net, total in zip((first, second), sums, strict=True)
            for gradient in _unpadded(total.sum(axis=0), net.widths)
        ]
        return d_features, None, None, None, *d_weights


def _network(weights: Sequence[torch.Tensor]) -> _Network:
    arrays = [as_array(weight) for weight in weights]
    widths = np.array([arrays[0].shape[1], *(len(array) for array in arrays)], dtype=np.int64)
    straight = [_pad_columns(array) for array in arrays]
    transposed = [_pad_columns(array.T) for array in arrays]
    return _Network(widths, np.concatenate(straight), np.concatenate(transposed))


def _pad_columns(array: FloatArray) -> FloatArray:
    """The array flat, its rows lengthened by zeros."""
    rows, columns = array.shape
    result = np.zeros((rows, padded(columns)), np.float32)
    result[:, :columns] = array
    return result.reshape(-1)


def _padded_size(widths: npt.NDArray[np.int64]) -> int:
    return sum(padded(inputs) * padded(outputs) for inputs, outputs in pairwise(widths.tolist()))


def _unpadded(flat: FloatArray, widths: npt.NDArray[np.int64]) -> list[torch.Tensor]:
    """The layers' gradients (outputs, inputs) out of padded ones."""
    result, start = [], 0
    for inputs, outputs in pairwise(widths.tolist()):
        size = padded(outputs) * padded(inputs)
        layer = flat[start : start + size].reshape(padded(outputs), padded(inputs))
        result.append(torch.from_numpy(layer[:outputs, :inputs].copy()))
        start += size
    return result


def _slices(samples: int) -> list[int]:
    tiles = -(-samples // cpu.TILE)
    return [min(samples, cpu.TILE * bound) for bound in even_bounds(tiles, max(1, min(SLICES, tiles)))]
