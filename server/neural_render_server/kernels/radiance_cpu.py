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
from .lanes import LANES, exp2_small, larger, load, smaller, store, where_less
from .matrix_tile import PADDING, multiply

# Samples a tile; a multiple of PADDING. 32 to 128 are equally fast.
TILE = 64
EXP_LIMIT = np.float32(15.0)
LOG2_E, EXP_RANGE = np.float32(math.log2(math.e)), np.float32(87.0)
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
            for line in range(target // LANES, (target + TILE * next_row) // LANES):
                # a NaN goes through, as it does in torch
                store(activations, line, larger(ZERO, load(activations, line)))
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
            for line in range(source // LANES, target // LANES):
                own = load(d_activations, line)
                store(d_activations, line, where_less(ZERO, load(activations, line), own, ZERO))


@inlined
def _load(features: Any, start: int, stop: int, activations: Any) -> None:
    """Rows ``start`` to ``stop`` of (N, inputs) as the input of a tile; the rest of the tile is zeros."""
    width = features.shape[1]
    row = _padded(width)
    for n in range(stop - start):
        source, target = features[start + n], activations[n * row : n * row + width]
        for k in range(width):
            target[k] = source[k]
    activations[(stop - start) * row : TILE * row] = ZERO


@inlined
def _join(
    geometry: Any, harmonics: Any, rows: Any, start: int, stop: int, width: int, color_input: Any
) -> None:
    """Geometry and the direction's harmonics side by side: the colour network's input."""
    directions = harmonics.shape[1]
    geometry_row, row = _padded(width), _padded(width + directions)
    for n in range(stop - start):
        place = n * row
        own, target = geometry[n * geometry_row :], color_input[place : place + width]
        for k in range(width):
            target[k] = own[k]
        direction = harmonics[rows[start + n]]
        rest = color_input[place + width : place + width + directions]
        for k in range(directions):
            rest[k] = direction[k]


@inlined
def _exp(value: Any) -> Any:
    """e^value, of at most e^+-EXP_RANGE; a NaN goes through."""
    return exp2_small(larger(-EXP_RANGE, smaller(EXP_RANGE, value)) * LOG2_E)


@kernel
def _activate(color: Any, count: int, row: int, out: Any) -> None:
    """Sigmoid of the first three of a row's values into (count, 3)."""
    values = np.empty(LANES, np.float32)
    for n in range(count):
        store(values, 0, ONE / (ONE + _exp(ZERO - load(color, n * row // LANES))))
        for k in range(3):
            out[n, k] = values[k]


@kernel
def _exponentials(geometry: Any, count: int, row: int, out: Any) -> None:
    """exp of each row's first value into (count,)."""
    values = np.empty(LANES, np.float32)
    for n in range(count):
        store(values, 0, _exp(load(geometry, n * row // LANES)))
        out[n] = values[0]


@kernel
def density(features: Any, widths: Any, transposed: Any, low: int, high: int, out: Any) -> None:
    """exp of the density network's first output, for rows ``low`` to ``high`` into ``out`` (N,)."""
    activations = np.zeros(_activations_size(widths), np.float32)
    last_row = _padded(widths[-1])
    last = len(activations) - TILE * last_row
    for start in range(low, high, TILE):
        stop = min(start + TILE, high)
        _load(features, start, stop, activations)
        _network_forward(widths, transposed, activations)
        _exponentials(activations[last:], stop - start, last_row, out[start:stop])


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
        _load(features, start, stop, first)
        _network_forward(density_widths, density_transposed, first)
        _join(geometry, harmonics, rows, start, stop, density_widths[-1], second)
        _network_forward(color_widths, color_transposed, second)
        _exponentials(geometry, stop - start, geometry_row, density_out[start:stop])
        _activate(color, stop - start, color_row, color_out[start:stop])


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
    values = np.zeros((TILE, 3), np.float32)
    inputs, input_row = density_widths[0], _padded(density_widths[0])
    width = density_widths[-1]
    geometry_row, color_row = _padded(width), _padded(color_widths[-1])
    join_row = _padded(color_widths[0])
    before_geometry, before_color = len(first) - TILE * geometry_row, len(second) - TILE * color_row
    geometry, d_geometry = first[before_geometry:], d_first[before_geometry:]
    color, d_last = second[before_color:], d_second[before_color:]
    for start in range(low, high, TILE):
        stop = min(start + TILE, high)
        _load(features, start, stop, first)
        _network_forward(density_widths, density_transposed, first)
        _join(geometry, harmonics, rows, start, stop, width, second)
        _network_forward(color_widths, color_transposed, second)
        _activate(color, stop - start, color_row, values)
        d_last[:] = ZERO
        for n in range(stop - start):
            for k in range(3):
                slope = values[n, k] * (ONE - values[n, k])
                d_last[n * color_row + k] = d_color[start + n, k] * slope
        _network_backward(color_widths, color_weights, second, d_second, d_color_weights)
        for n in range(TILE):
            joined, own = d_second[n * join_row :], d_geometry[n * geometry_row :]
            for k in range(width):
                own[k] = joined[k]
        for n in range(stop - start):
            logarithm = min(max(geometry[n * geometry_row], -EXP_LIMIT), EXP_LIMIT)
            d_geometry[n * geometry_row] += d_density[start + n] * math.exp(logarithm)
        _network_backward(density_widths, density_weights, first, d_first, d_density_weights)
        for n in range(stop - start):
            source, target = d_first[n * input_row :], d_features[start + n]
            for k in range(inputs):
                target[k] = source[k]
