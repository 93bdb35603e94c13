"""Blending splats front to back in 16x16 tiles, and the gradients: numba.

The 16 pixels of a tile's row are the lanes of one vector. A tile's state is lines of 16 numbers, each row's
channels one after another.
Gradients are written per (splat, tile) entry: no atomics, and the same result for any thread count.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .jit import inlined, kernel
from .lanes import (
    any_reaches,
    exp2_small,
    lane_numbers,
    lanes,
    larger,
    load,
    smaller,
    store,
    sum_of,
    where_less,
)
from .layout import ALPHA_MAXIMUM, TILE

_ALPHA_MAXIMUM = np.float32(ALPHA_MAXIMUM)
_LOG2_ALPHA_MAXIMUM = np.float32(math.log2(ALPHA_MAXIMUM))
_ONE = np.float32(1.0)
_ZERO = np.float32(0.0)
_HALF = np.float32(0.5)
# below this an exponent is never drawn, and exp2_small stays in its range
_FLOOR = np.float32(-100.0)
# entries between checks whether rows are finished
_CHECK = 8

# channels of a row's state
_FORWARD = 5  # transmittance, r, g, b, weighted depth
_BACKWARD = 6  # transmittance, remaining blended gradient, gradient r, g, b, error


@inlined
def rows_reached(offset_y: Any, reach: Any, rows: int) -> Any:
    """First row and end of those of a tile's ``rows`` whose distance ``row + offset_y`` is within ``reach``.

    The compiler calls math.ceil and math.floor as functions, which costs more than this.
    """
    top, bottom = -offset_y - reach, -offset_y + reach
    first, last = np.int64(top), np.int64(bottom)
    first += first < top
    last -= last > bottom
    return max(0, first), min(rows, last + 1)


@inlined
def alpha_of(exponent: Any, cut_off: Any) -> Any:
    """Alpha in 16 pixels of a splat with that ``exponent``, capped, and 0 below the cut-off."""
    alpha = smaller(exp2_small(larger(exponent, _FLOOR)), _ALPHA_MAXIMUM)
    return where_less(exponent, cut_off, _ZERO, alpha)


@inlined
def add_color(state: Any, line: Any, weight: Any, red: Any, green: Any, blue: Any) -> None:
    """Add ``weight`` times the colour to the three channels of ``state`` from ``line`` on."""
    store(state, line, load(state, line) + weight * red)
    store(state, line + 1, load(state, line + 1) + weight * green)
    store(state, line + 2, load(state, line + 2) + weight * blue)


@inlined
def close_rows(state: Any, channels: int, open_rows: Any, rows: int, minimum: Any) -> int:
    """Close the rows whose transmittance, the first of their ``channels`` in ``state``, is below ``minimum``
    everywhere; returns how many are still open.
    """
    open_count = 0
    for row in range(rows):
        open_rows[row] = open_rows[row] and any_reaches(load(state, row * channels), minimum)
        open_count += open_rows[row]
    return open_count


@kernel
def rasterize(
    splats: Any,
    tile_start: Any,
    tile_splats: Any,
    tiles: Any,
    cut_off: float,
    transmittance_minimum: float,
    with_depth: bool,
    low: int,
    high: int,
    color: Any,
    transmittance: Any,
    depth: Any,
) -> None:
    """Blend tiles ``low <= t < high`` into ``color`` (H, W, 3), ``transmittance`` and ``depth`` (H, W).

    Colour and depth are weighted sums (premultiplied). Tiles that are False in ``tiles`` are left alone.
    """
    height, width = transmittance.shape
    tile_columns = tiles.shape[1]
    state = np.empty((TILE * _FORWARD, TILE), np.float32)
    open_rows = np.empty(TILE, np.bool_)
    cut = np.float32(cut_off)
    minimum = np.float32(transmittance_minimum)
    for tile in range(low, high):
        tile_row, tile_column = tile // tile_columns, tile % tile_columns
        if not tiles[tile_row, tile_column]:
            continue
        top, left = tile_row * TILE, tile_column * TILE
        rows = min(TILE, height - top)
        state[:, :] = _ZERO
        for row in range(rows):
            open_rows[row] = True
            for lane in range(min(TILE, width - left)):
                state[row * _FORWARD, lane] = _ONE
        open_count = rows
        start = tile_start[tile]
        for position in range(start, tile_start[tile + 1]):
            if (position - start) % _CHECK == _CHECK - 1:
                open_count = close_rows(state, _FORWARD, open_rows, rows, minimum)
                if open_count == 0:
                    break
            i = tile_splats[position]
            x0 = np.float32(left) + _HALF - splats[i, 0]
            offset_y = np.float32(top) + _HALF - splats[i, 1]
            a, b, c, log_opacity = splats[i, 2], splats[i, 3], splats[i, 4], splats[i, 5]
            red, green, blue, distance = splats[i, 6], splats[i, 7], splats[i, 8], splats[i, 11]
            dx = lane_numbers() + x0
            dx_a = dx * a
            first, last = rows_reached(offset_y, splats[i, 9], rows)
            for row in range(first, last):
                if not open_rows[row]:
                    continue
                dy = np.float32(row) + offset_y
                exponent = (dx_a + b * dy) * dx + (c * dy * dy + log_opacity)
                if not any_reaches(exponent, cut):
                    continue
                line = row * _FORWARD
                through = load(state, line)
                weight = alpha_of(exponent, cut) * through
                store(state, line, through - weight)
                add_color(state, line + 1, weight, red, green, blue)
                store(state, line + 4, load(state, line + 4) + weight * distance)
        for row in range(rows):
            line = row * _FORWARD
            for lane in range(min(TILE, width - left)):
                transmittance[top + row, left + lane] = state[line, lane]
                for channel in range(3):
                    color[top + row, left + lane, channel] = state[line + 1 + channel, lane]
                if with_depth:
                    depth[top + row, left + lane] = state[line + 4, lane]


@kernel
def rasterize_backward(
    splats: Any,
    tile_start: Any,
    tile_entries: Any,
    tile_splats: Any,
    tiles: Any,
    cut_off: float,
    transmittance_minimum: float,
    color: Any,
    transmittance: Any,
    d_color: Any,
    d_transmittance: Any,
    error: Any,
    low: int,
    high: int,
    entry_gradients: Any,
) -> None:
    """Gradients of every entry of tiles ``low <= t < high``.

    ``color`` and ``transmittance`` are ``rasterize``'s results, ``d_color`` and ``d_transmittance`` the
    loss's gradients for them, ``error`` (H, W) what is summed by weight. ``entry_gradients`` (E, 10):
    see ``projection.project_backward``. Tiles are walked front to back again: with S the part of
    ``dL/dcolor . color + dL/dT T`` that later splats add, ``dL/dalpha = T (dL/dcolor . rgb)
    - S / (1 - alpha)``.
    """
    height, width = transmittance.shape
    tile_columns = tiles.shape[1]
    state = np.empty((TILE * _BACKWARD, TILE), np.float32)
    open_rows = np.empty(TILE, np.bool_)
    cut = np.float32(cut_off)
    minimum = np.float32(transmittance_minimum)
    for tile in range(low, high):
        tile_row, tile_column = tile // tile_columns, tile % tile_columns
        if not tiles[tile_row, tile_column]:
            continue
        top, left = tile_row * TILE, tile_column * TILE
        rows = min(TILE, height - top)
        state[:, :] = _ZERO
        for row in range(rows):
            open_rows[row] = True
            line = row * _BACKWARD
            for lane in range(min(TILE, width - left)):
                remaining = d_transmittance[top + row, left + lane] * transmittance[top + row, left + lane]
                for channel in range(3):
                    gradient = d_color[top + row, left + lane, channel]
                    remaining += gradient * color[top + row, left + lane, channel]
                    state[line + 2 + channel, lane] = gradient
                state[line, lane] = _ONE
                state[line + 1, lane] = remaining
                state[line + 5, lane] = error[top + row, left + lane]
        open_count = rows
        start = tile_start[tile]
        for position in range(start, tile_start[tile + 1]):
            entry = tile_entries[position]
            if (position - start) % _CHECK == _CHECK - 1 and open_count > 0:
                open_count = close_rows(state, _BACKWARD, open_rows, rows, minimum)
            i = tile_splats[position]
            x0 = np.float32(left) + _HALF - splats[i, 0]
            offset_y = np.float32(top) + _HALF - splats[i, 1]
            a, b, c, log_opacity = splats[i, 2], splats[i, 3], splats[i, 4], splats[i, 5]
            red, green, blue = splats[i, 6], splats[i, 7], splats[i, 8]
            dx = lane_numbers() + x0
            dx_a = dx * a
            sum_1 = sum_y = sum_yy = sum_red = sum_green = sum_blue = sum_error = lanes(_ZERO)
            first, last = rows_reached(offset_y, splats[i, 9], rows)
            if open_count == 0:
                last = first
            for row in range(first, last):
                if not open_rows[row]:
                    continue
                dy = np.float32(row) + offset_y
                exponent = (dx_a + b * dy) * dx + (c * dy * dy + log_opacity)
                if not any_reaches(exponent, cut):
                    continue
                alpha = alpha_of(exponent, cut)
                line = row * _BACKWARD
                through = load(state, line)
                weight = alpha * through
                d_red, d_green, d_blue = load(state, line + 2), load(state, line + 3), load(state, line + 4)
                blended = (d_red * red + d_green * green + d_blue * blue) * weight
                remaining = load(state, line + 1) - blended
                power = blended - remaining * alpha / (_ONE - alpha)
                power = where_less(exponent, _LOG2_ALPHA_MAXIMUM, power, _ZERO)
                store(state, line, through - weight)
                store(state, line + 1, remaining)
                sum_1 += power
                sum_y += power * dy
                sum_yy += power * (dy * dy)
                sum_red += weight * d_red
                sum_green += weight * d_green
                sum_blue += weight * d_blue
                sum_error += weight * load(state, line + 5)
            # dx is the same in every row
            gradients = entry_gradients[entry]
            gradients[0] = sum_of(sum_1)
            gradients[1] = sum_of(sum_1 * dx)
            gradients[2] = sum_of(sum_y)
            gradients[3] = sum_of(sum_1 * dx * dx)
            gradients[4] = sum_of(sum_y * dx)
            gradients[5] = sum_of(sum_yy)
            gradients[6] = sum_of(sum_red)
            gradients[7] = sum_of(sum_green)
            gradients[8] = sum_of(sum_blue)
            gradients[9] = sum_of(sum_error)
