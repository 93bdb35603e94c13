"""Density and colour networks in numba, a tile of samples at a time, so that activations stay in cache.

A network is bias-free linear layers with ReLU between them. ``widths`` holds the width of its input and of
every layer's output. Rows of activations and of weights are padded with zeros to ``padded`` widths, and lie
one layer after another in flat arrays: activations from the input on, weights as ``(outputs, inputs)`` for
the backward pass and as ``(inputs, outputs)``, transposed, for the forward pass.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .jit import inlined, kernel
from .matrix_tile import PADDING, multiply

# Samples a tile; a multiple of PADDING. 32 to 128 are equally fast.
TILE = 64
EXP_LIMIT = np.float32(15.0)
ZERO, ONE = np.float32(0.0), np.float32(1.0)


@inlined
def _padded(size: int) -> int:
    return (size + PADDING - 1) // PADDING * PADDING


@inlined
def _activations_size(widths: Any) -> int:
    size = 0
    for width in widths:
        size += TILE * _padded(width)
    return size


@kernel
def _network_forward(widths: Any, transposed: Any, activations: Any) -> None:
    """Fill the activations of a tile behind those of the input."""
    source, weight = 0, 0
    for layer in range(len(widths) - 1):
        inputs, outputs = widths[layer], widths[layer + 1]
        row, next_row = _padded(inputs), _padded(outputs)
        target = source + TILE * row
        multiply(
            TILE,
            next_row,
            inputs,
            activations,
            source,
            row,
            1,
            transposed,
            weight,
            next_row,
            activations,
            target,
            next_row,
            False,
        )
        if layer < len(widths) - 2:
            hidden = activations[target : target + TILE * next_row]
            for k in range(len(hidden)):
                # a NaN goes through, as it does in torch
                hidden[k] = ZERO if hidden[k] < ZERO else hidden[k]
        weight += inputs * next_row
        source = target


@kernel
def _network_backward(
    widths: Any, weights: Any, activations: Any, d_activations: Any, d_weights: Any
) -> None:
    """From the gradient of a tile's last activations, those of all before; add to ``d_weights``.

    ``d_weights`` has padded rows and columns, layer after layer.
    """
    source, weight, d_weight = 0, 0, 0
    for layer in range(len(widths) - 1):
        row, next_row = _padded(widths[layer]), _padded(widths[layer + 1])
        source += TILE * row
        weight += widths[layer + 1] * row
        d_weight += next_row * row
    for layer in range(len(widths) - 2, -1, -1):
        inputs, outputs = widths[layer], widths[layer + 1]
        row, next_row = _padded(inputs), _padded(outputs)
        target = source
        source -= TILE * row
        weight -= outputs * row
        d_weight -= next_row * row
        multiply(
            next_row,
            row,
            TILE,
            d_activations,
            target,
            1,
            next_row,
            activations,
            source,
            row,
            d_weights,
            d_weight,
            row,
            True,
        )
        multiply(
            TILE,
            row,
            outputs,
            d_activations,
            target,
            next_row,
            1,
            weights,
            weight,
            row,
            d_activations,
            source,
            row,
            False,
        )
        if layer > 0:
            hidden = activations[source:target]
            d_hidden = d_activations[source:target]
            for k in range(len(hidden)):
                d_hidden[k] = d_hidden[k] if hidden[k] > ZERO else ZERO


@inlined
def _load(features: Any, start: int, stop: int, width: int, activations: Any) -> None:
    """Rows ``start`` to ``stop`` of (N, inputs) as the input of a tile; the rest of the tile is zeros."""
    row = _padded(width)
    for n in range(TILE):
        for k in range(width):
            activations[n * row + k] = features[start + n, k] if start + n < stop else ZERO


@inlined
def _join(
    geometry: Any, harmonics: Any, rows: Any, start: int, stop: int, width: int, color_input: Any
) -> None:
    """Geometry and the direction's harmonics side by side: the colour network's input."""
    geometry_row, row = _padded(width), _padded(width + harmonics.shape[1])
    for n in range(stop - start):
        for k in range(width):
            color_input[n * row + k] = geometry[n * geometry_row + k]
        for k in range(harmonics.shape[1]):
            color_input[n * row + width + k] = harmonics[rows[start + n], k]


@inlined
def _sigmoid(x: Any) -> Any:
    return ONE / (ONE + math.exp(-x))


@kernel
def density(features: Any, widths: Any, transposed: Any, low: int, high: int, out: Any) -> None:
    """exp of the density network's first output, for rows ``low`` to ``high`` into ``out`` (N,)."""
    activations = np.zeros(_activations_size(widths), np.float32)
    last_row = _padded(widths[-1])
    last = len(activations) - TILE * last_row
    for start in range(low, high, TILE):
        stop = min(start + TILE, high)
        _load(features, start, stop, widths[0], activations)
        _network_forward(widths, transposed, activations)
        for n in range(stop - start):
            out[start + n] = math.exp(activations[last + n * last_row])


@kernel
def forward(
    features: Any,
    harmonics: Any,
    rows: Any,
    density_widths: Any,
    density_transposed: Any,
    color_widths: Any,
    color_transposed: Any,
    low: int,
    high: int,
    density_out: Any,
    color_out: Any,
) -> None:
    """Density (N,) and colour (N, 3) of rows ``low`` to ``high``."""
    first = np.zeros(_activations_size(density_widths), np.float32)
    second = np.zeros(_activations_size(color_widths), np.float32)
    geometry_row, color_row = _padded(density_widths[-1]), _padded(color_widths[-1])
    geometry, color = first[len(first) - TILE * geometry_row :], second[len(second) - TILE * color_row :]
    for start in range(low, high, TILE):
        stop = min(start + TILE, high)
        _load(features, start, stop, density_widths[0], first)
        _network_forward(density_widths, density_transposed, first)
        _join(geometry, harmonics, rows, start, stop, density_widths[-1], second)
        _network_forward(color_widths, color_transposed, second)
        for n in range(stop - start):
            density_out[start + n] = math.exp(geometry[n * geometry_row])
            for k in range(3):
                color_out[start + n, k] = _sigmoid(color[n * color_row + k])


@kernel
def backward(
    features: Any,
    harmonics: Any,
    rows: Any,
    density_widths: Any,
    density_weights: Any,
    density_transposed: Any,
    color_widths: Any,
    color_weights: Any,
    color_transposed: Any,
    d_density: Any,
    d_color: Any,
    low: int,
    high: int,
    d_features: Any,
    d_density_weights: Any,
    d_color_weights: Any,
) -> None:
    """Gradients for rows ``low`` to ``high``; those of the weights are added up over these rows.

    Activations are computed again: to store them would take as long, and memory for all samples.
    """
    first = np.zeros(_activations_size(density_widths), np.float32)
    second = np.zeros(_activations_size(color_widths), np.float32)
    d_first, d_second = np.zeros_like(first), np.zeros_like(second)
    inputs, input_row = density_widths[0], _padded(density_widths[0])
    width = density_widths[-1]
    geometry_row, color_row = _padded(width), _padded(color_widths[-1])
    join_row = _padded(color_widths[0])
    before_geometry, before_color = len(first) - TILE * geometry_row, len(second) - TILE * color_row
    geometry, d_geometry = first[before_geometry:], d_first[before_geometry:]
    color, d_last = second[before_color:], d_second[before_color:]
    for start in range(low, high, TILE):
        stop = min(start + TILE, high)
        _load(features, start, stop, inputs, first)
        _network_forward(density_widths, density_transposed, first)
        _join(geometry, harmonics, rows, start, stop, width, second)
        _network_forward(color_widths, color_transposed, second)
        for n in range(TILE):
            for k in range(3):
                value = _sigmoid(color[n * color_row + k])
                slope = value * (ONE - value)
                d_last[n * color_row + k] = d_color[start + n, k] * slope if start + n < stop else ZERO
        _network_backward(color_widths, color_weights, second, d_second, d_color_weights)
        for n in range(TILE):
            for k in range(width):
                d_geometry[n * geometry_row + k] = d_second[n * join_row + k]
            if start + n < stop:
                logarithm = min(max(geometry[n * geometry_row], -EXP_LIMIT), EXP_LIMIT)
                d_geometry[n * geometry_row] += d_density[start + n] * math.exp(logarithm)
        _network_backward(density_widths, density_weights, first, d_first, d_density_weights)
        for n in range(stop - start):
            for k in range(inputs):
                d_features[start + n, k] = d_first[n * input_row + k]
