"""Blending splats front to back in 16x16 tiles, and the gradients: numba.

The inner loops run over the 16 pixels of a tile's row, so that LLVM makes them SIMD. A tile's state is
one array of rows, each row its channels one after another, so that no aliasing checks are needed.
Gradients are written per (splat, tile) entry: no atomics, and the same result for any thread count.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .jit import exp2_small, inlined, kernel
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
_FORWARD = 6  # transmittance, r, g, b, weighted depth, weight of the present splat
_BACKWARD = 6  # transmittance, remaining blended gradient, gradient r, g, b, error
# a splat's sums for each lane: dL/dpower times 1, dy, dy^2; dL/drgb; weighted error
_SUMS = 7


@inlined
def row_reached(a: Any, slope: Any, nearest: Any, remainder: Any, x0: Any, cut_off: Any) -> Any:
    """Whether a splat reaches the 16 pixels of a row; its exponent there is (a dx + slope) dx + remainder,
    largest at ``nearest``.
    """
    x1 = x0 + np.float32(TILE - 1)
    dx = x0 if nearest < x0 else (x1 if nearest > x1 else nearest)
    return (a * dx + slope) * dx + remainder >= cut_off


@inlined
def alpha_at(dx: Any, a: Any, slope: Any, remainder: Any, cut_off: Any) -> Any:
    """Alpha of a splat with exponent ``(a dx + slope) dx + remainder``, capped, and 0 below the cut-off.

    Scalars only: passed an array, a function made its kernel a quarter slower.
    """
    exponent = (a * dx + slope) * dx + remainder
    alpha = exp2_small(exponent if exponent > _FLOOR else _FLOOR)
    alpha = alpha if alpha < _ALPHA_MAXIMUM else _ALPHA_MAXIMUM
    return _ZERO if exponent < cut_off else alpha


@inlined
def _finished(state: Any, row: int, minimum: Any) -> Any:
    largest = _ZERO
    for lane in range(TILE):
        value = state[row, 0, lane]
        largest = value if value > largest else largest
    return largest < minimum


@inlined
def close_rows(state: Any, open_rows: Any, rows: int, minimum: Any) -> int:
    """Close the rows that are finished; returns how many are still open."""
    open_count = 0
    for row in range(rows):
        if open_rows[row]:
            if _finished(state, row, minimum):
                open_rows[row] = False
            else:
                open_count += 1
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
    state = np.empty((TILE, _FORWARD, TILE), np.float32)
    open_rows = np.empty(TILE, np.bool_)
    cut = np.float32(cut_off)
    minimum = np.float32(transmittance_minimum)
    for tile in range(low, high):
        tile_row, tile_column = tile // tile_columns, tile % tile_columns
        if not tiles[tile_row, tile_column]:
            continue
        top, left = tile_row * TILE, tile_column * TILE
        rows = min(TILE, height - top)
        state[:, :, :] = _ZERO
        for row in range(rows):
            open_rows[row] = True
            for lane in range(min(TILE, width - left)):
                state[row, 0, lane] = _ONE
        open_count = rows
        start = tile_start[tile]
        for position in range(start, tile_start[tile + 1]):
            if (position - start) % _CHECK == _CHECK - 1:
                open_count = close_rows(state, open_rows, rows, minimum)
                if open_count == 0:
                    break
            i = tile_splats[position]
            x0 = np.float32(left) + _HALF - splats[i, 0]
            offset_y = np.float32(top) + _HALF - splats[i, 1]
            a, b, c, log_opacity = splats[i, 2], splats[i, 3], splats[i, 4], splats[i, 5]
            red, green, blue, distance = splats[i, 6], splats[i, 7], splats[i, 8], splats[i, 11]
            reach = splats[i, 9]
            ridge = -_HALF * b / a  # dx / dy along the splat's crest
            first = max(0, math.ceil(-offset_y - reach))
            last = min(rows, math.floor(-offset_y + reach) + 1)
            for row in range(first, last):
                if not open_rows[row]:
                    continue
                dy = np.float32(row) + offset_y
                remainder = c * dy * dy + log_opacity
                slope = b * dy
                if not row_reached(a, slope, ridge * dy, remainder, x0, cut):
                    continue
                for lane in range(TILE):
                    alpha = alpha_at(np.float32(lane) + x0, a, slope, remainder, cut)
                    weight = alpha * state[row, 0, lane]
                    state[row, 0, lane] -= weight
                    state[row, 1, lane] += weight * red
                    state[row, 2, lane] += weight * green
                    state[row, 3, lane] += weight * blue
                    state[row, 4, lane] += weight * distance
        for row in range(rows):
            for lane in range(min(TILE, width - left)):
                transmittance[top + row, left + lane] = state[row, 0, lane]
                for channel in range(3):
                    color[top + row, left + lane, channel] = state[row, 1 + channel, lane]
                if with_depth:
                    depth[top + row, left + lane] = state[row, 4, lane]


@inlined
def _sum_lanes(sums: Any, x0: Any, gradients: Any) -> None:
    """Add up the lanes; dx, the same in every row, is applied only here."""
    sum_1 = sum_x = sum_xx = sum_y = sum_xy = sum_yy = _ZERO
    sum_red = sum_green = sum_blue = sum_error = _ZERO
    for lane in range(TILE):
        dx = np.float32(lane) + x0
        sum_1 += sums[0, lane]
        sum_x += sums[0, lane] * dx
        sum_xx += sums[0, lane] * dx * dx
        sum_y += sums[1, lane]
        sum_xy += sums[1, lane] * dx
        sum_yy += sums[2, lane]
        sum_red += sums[3, lane]
        sum_green += sums[4, lane]
        sum_blue += sums[5, lane]
        sum_error += sums[6, lane]
    gradients[0] = sum_1
    gradients[1] = sum_x
    gradients[2] = sum_y
    gradients[3] = sum_xx
    gradients[4] = sum_xy
    gradients[5] = sum_yy
    gradients[6] = sum_red
    gradients[7] = sum_green
    gradients[8] = sum_blue
    gradients[9] = sum_error


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
    state = np.empty((TILE, _BACKWARD, TILE), np.float32)
    sums = np.empty((_SUMS, TILE), np.float32)
    open_rows = np.empty(TILE, np.bool_)
    cut = np.float32(cut_off)
    minimum = np.float32(transmittance_minimum)
    for tile in range(low, high):
        tile_row, tile_column = tile // tile_columns, tile % tile_columns
        if not tiles[tile_row, tile_column]:
            continue
        top, left = tile_row * TILE, tile_column * TILE
        rows = min(TILE, height - top)
        state[:, :, :] = _ZERO
        for row in range(rows):
            open_rows[row] = True
            for lane in range(min(TILE, width - left)):
                remaining = d_transmittance[top + row, left + lane] * transmittance[top + row, left + lane]
                for channel in range(3):
                    gradient = d_color[top + row, left + lane, channel]
                    remaining += gradient * color[top + row, left + lane, channel]
                    state[row, 2 + channel, lane] = gradient
                state[row, 0, lane] = _ONE
                state[row, 1, lane] = remaining
                state[row, 5, lane] = error[top + row, left + lane]
        open_count = rows
        start = tile_start[tile]
        for position in range(start, tile_start[tile + 1]):
            entry = tile_entries[position]
            if (position - start) % _CHECK == _CHECK - 1 and open_count > 0:
                open_count = close_rows(state, open_rows, rows, minimum)
            i = tile_splats[position]
            x0 = np.float32(left) + _HALF - splats[i, 0]
            offset_y = np.float32(top) + _HALF - splats[i, 1]
            a, b, c, log_opacity = splats[i, 2], splats[i, 3], splats[i, 4], splats[i, 5]
            red, green, blue = splats[i, 6], splats[i, 7], splats[i, 8]
            reach = splats[i, 9]
            ridge = -_HALF * b / a  # dx / dy along the splat's crest
            sums[:, :] = _ZERO
            first = max(0, math.ceil(-offset_y - reach))
            last = min(rows, math.floor(-offset_y + reach) + 1)
            if open_count == 0:
                last = first
            for row in range(first, last):
                if not open_rows[row]:
                    continue
                dy = np.float32(row) + offset_y
                remainder = c * dy * dy + log_opacity
                slope = b * dy
                if not row_reached(a, slope, ridge * dy, remainder, x0, cut):
                    continue
                dy_squared = dy * dy
                for lane in range(TILE):
                    dx = np.float32(lane) + x0
                    exponent = (a * dx + slope) * dx + remainder
                    safe = exponent if exponent > _FLOOR else _FLOOR
                    alpha = exp2_small(safe)
                    capped = alpha if alpha < _ALPHA_MAXIMUM else _ALPHA_MAXIMUM
                    capped = _ZERO if exponent < cut else capped
                    through = state[row, 0, lane]
                    weight = capped * through
                    gradient_red = state[row, 2, lane]
                    gradient_green = state[row, 3, lane]
                    gradient_blue = state[row, 4, lane]
                    blended = red * gradient_red + green * gradient_green + blue * gradient_blue
                    blended *= weight
                    remaining = state[row, 1, lane] - blended
                    power = blended - remaining * capped / (_ONE - capped)
                    power = power if exponent < _LOG2_ALPHA_MAXIMUM else _ZERO
                    state[row, 0, lane] = through - weight
                    state[row, 1, lane] = remaining
                    sums[0, lane] += power
                    sums[1, lane] += power * dy
                    sums[2, lane] += power * dy_squared
                    sums[3, lane] += weight * gradient_red
                    sums[4, lane] += weight * gradient_green
                    sums[5, lane] += weight * gradient_blue
                    sums[6, lane] += weight * state[row, 5, lane]
            _sum_lanes(sums, x0, entry_gradients[entry])
