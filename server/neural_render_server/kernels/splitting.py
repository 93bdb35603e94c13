"""Blending splats by parts of the pixels' rays: numba, for crops, mattes, and layers with CG between them.

Seen along a pixel's ray a Gaussian is a Gaussian in depth, too: its mean is a plane over the screen and
its deviation the same everywhere (the conditional distribution, with the projection's linearisation). Its
share before a cut is that Gaussian's integral; the parts' shares follow from these (``ray_parts``), and a
part's share of its alpha belongs to that part. Most Gaussians are wholly on one side of all cuts of a tile:
their shares are found once a tile, and what belongs to no part is not blended. ``rasterizer.rasterize`` knows
nothing of all this and stays as fast as it is.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .jit import inlined, kernel
from .lanes import any_reaches, exp2_small, lane_numbers, lanes, larger, load, smaller, store
from .layout import GUARD, TILE
from .projection import LOG2_E, rotation_of
from .rasterizer import _CHECK, _HALF, _ONE, _ZERO, add_color, alpha_of, close_rows, rows_reached

# The normal distribution's integral is within 0.00014 of the logistic of 1.5976 x + 0.07056 x^3 (Bowling et
# al. 2009).
LOGISTIC = 1.5976
LOGISTIC_CUBIC = 0.07056
# Of the depth: a Gaussian's deviation in depth is at least this, as float32 tells depths apart.
LEAST_DEVIATION = 1e-4
# Columns of a profile: change of depth a pixel along x and y, one over the deviation.
PROFILE_WIDTH = 3

_LINEAR = np.float32(LOGISTIC * LOG2_E)
_CUBIC = np.float32(LOGISTIC_CUBIC * LOG2_E)
# deviations from which on float32 tells nothing apart from 0 or 1
_FURTHEST = np.float32(8.0)
# Deviations from which on a Gaussian is wholly on one side of a cut: the integral is within 1e-7 of 0 or 1.
_CLEAR = np.float32(5.0)
# from a tile's middle to the centres of its outermost pixels
_HALF_TILE = np.float32(0.5 * (TILE - 1))
# channels of a row's state: transmittance, r, g, b, weighted depth; transmittance, r, g, b in front; mattes
_CHANNELS = 9


@kernel
def depth_profiles(
    parameters: Any, packed: Any, splats: Any, entries: Any, low: int, high: int, profiles: Any
) -> None:
    """``profiles`` (N, 3) of the drawn rows ``low <= i < high`` of ``parameters`` (N, 28)."""
    fl_x, fl_y, cx, cy = packed[12], packed[13], packed[14], packed[15]
    width, height, perspective = packed[22], packed[23], packed[24]
    low_x, high_x = (-GUARD * width - cx) / fl_x, ((1 + GUARD) * width - cx) / fl_x
    low_y, high_y = (-GUARD * height - cy) / fl_y, ((1 + GUARD) * height - cy) / fl_y
    rotation = np.empty((3, 3))
    for i in range(low, high):
        if entries[i, 1] <= entries[i, 0]:
            continue
        depth = splats[i, 11]
        # the splat's centre tells where the projection is made linear
        slope_x = perspective * min(max((splats[i, 0] - cx) / fl_x, low_x), high_x)
        slope_y = perspective * min(max((splats[i, 1] - cy) / fl_y, low_y), high_y)
        inverse_depth = perspective / depth + (1.0 - perspective)
        q0, q1, q2, q3 = parameters[i, 12], parameters[i, 13], parameters[i, 14], parameters[i, 15]
        norm = math.sqrt(q0 * q0 + q1 * q1 + q2 * q2 + q3 * q3)
        rotation_of(q0 / norm, q1 / norm, q2 / norm, q3 / norm, rotation)
        xx = yy = packed[20]
        xy = xz = yz = zz = 0.0
        for j in range(3):
            scale = math.exp(parameters[i, 9 + j])
            m0, m1, m2 = rotation[0, j] * scale, rotation[1, j] * scale, rotation[2, j] * scale
            z = packed[6] * m0 + packed[7] * m1 + packed[8] * m2
            x = fl_x * inverse_depth * (packed[0] * m0 + packed[1] * m1 + packed[2] * m2 - slope_x * z)
            y = fl_y * inverse_depth * (packed[3] * m0 + packed[4] * m1 + packed[5] * m2 - slope_y * z)
            xx += x * x
            xy += x * y
            yy += y * y
            xz += x * z
            yz += y * z
            zz += z * z
        determinant = xx * yy - xy * xy
        along_x = (yy * xz - xy * yz) / determinant
        along_y = (xx * yz - xy * xz) / determinant
        deviation = math.sqrt(max(zz - along_x * xz - along_y * yz, 0.0))
        profiles[i, 0] = along_x
        profiles[i, 1] = along_y
        profiles[i, 2] = 1.0 / max(deviation, LEAST_DEVIATION * depth)


@inlined
def load_parts(
    depths: Any,
    signs: Any,
    constants: Any,
    top: int,
    left: int,
    rows: int,
    columns: int,
    row_depths: Any,
    row_signs: Any,
    row_constants: Any,
    nearest: Any,
    furthest: Any,
) -> bool:
    """A tile's parts into lines of 16 pixels, with every cut's ``nearest`` and ``furthest`` depth (K,) in it;
    returns whether all its pixels have the same parts.

    Lines of ``row_depths`` are ordered by row and cut, of ``row_signs`` by row, part and cut, of
    ``row_constants`` by row and part.
    """
    uneven = 0
    cuts, parts = depths.shape[0], constants.shape[0]
    for k in range(cuts):
        low = high = depths[k, top, left]
        for row in range(rows):
            for lane in range(columns):
                depth = depths[k, top + row, left + lane]
                row_depths[row * cuts + k, lane] = depth
                low = depth if depth < low else low
                high = depth if depth > high else high
        nearest[k], furthest[k] = low, high
    for part in range(parts):
        constant = constants[part, top, left]
        for row in range(rows):
            for lane in range(columns):
                row_constants[row * parts + part, lane] = constants[part, top + row, left + lane]
                uneven += constants[part, top + row, left + lane] != constant
        for k in range(cuts):
            sign = signs[part, k, top, left]
            for row in range(rows):
                for lane in range(columns):
                    line = (row * parts + part) * cuts + k
                    row_signs[line, lane] = signs[part, k, top + row, left + lane]
                    uneven += signs[part, k, top + row, left + lane] != sign
    return uneven == 0


@inlined
def clear_shares(
    middle: Any, reach: Any, nearest: Any, furthest: Any, signs: Any, constants: Any, shares: Any
) -> bool:
    """The parts' ``shares`` (P,) of a splat between depths ``middle - reach`` and ``middle + reach`` all over
    a tile whose pixels have the same parts, ``load_parts``'s ``signs`` and ``constants``; False where a cut
    runs through it.
    """
    cuts = nearest.shape[0]
    for part in range(shares.shape[0]):
        shares[part] = constants[part, 0]
    for k in range(cuts):
        if middle + reach <= nearest[k]:
            for part in range(shares.shape[0]):
                shares[part] += signs[part * cuts + k, 0]
        elif middle - reach < furthest[k]:
            return False
    return True


@kernel
def rasterize_parts(
    splats: Any,
    profiles: Any,
    tile_start: Any,
    tile_splats: Any,
    tiles: Any,
    cut_off: float,
    transmittance_minimum: float,
    depths: Any,
    signs: Any,
    constants: Any,
    has_front: bool,
    low: int,
    high: int,
    color: Any,
    transmittance: Any,
    depth: Any,
    front_color: Any,
    front: Any,
    mattes: Any,
) -> None:
    """As ``rasterizer.rasterize``, of what ``ray_parts`` calls kept: ``depths`` (K, H, W), ``signs``
    (P, K, H, W), ``constants`` (P, H, W). ``front_color`` (H, W, 3) and the transmittance ``front`` (H, W)
    are of the part in front, if there is one, ``mattes`` (M, H, W) the weights of the further parts.
    """
    height, width = transmittance.shape
    cuts, parts = depths.shape[0], constants.shape[0]
    first_matte = 2 if has_front else 1
    tile_columns = tiles.shape[1]
    channels = _CHANNELS + parts - first_matte
    state = np.empty((TILE * channels, TILE), np.float32)
    row_depths = np.zeros((TILE * cuts, TILE), np.float32)
    row_signs = np.zeros((TILE * parts * cuts, TILE), np.float32)
    row_constants = np.zeros((TILE * parts, TILE), np.float32)
    nearest, furthest = np.empty(cuts, np.float32), np.empty(cuts, np.float32)
    whole_shares = np.empty(parts, np.float32)
    shares = np.empty((parts, TILE), np.float32)
    open_rows = np.empty(TILE, np.bool_)
    cut = np.float32(cut_off)
    minimum = np.float32(transmittance_minimum)
    for tile in range(low, high):
        tile_row, tile_column = tile // tile_columns, tile % tile_columns
        if not tiles[tile_row, tile_column]:
            continue
        top, left = tile_row * TILE, tile_column * TILE
        rows, columns = min(TILE, height - top), min(TILE, width - left)
        state[:, :] = _ZERO
        for row in range(rows):
            open_rows[row] = True
            for lane in range(columns):
                state[row * channels, lane] = _ONE
                state[row * channels + 5, lane] = _ONE
        open_count = rows
        start = tile_start[tile]
        is_even = start < tile_start[tile + 1] and load_parts(
            depths,
            signs,
            constants,
            top,
            left,
            rows,
            columns,
            row_depths,
            row_signs,
            row_constants,
            nearest,
            furthest,
        )
        for position in range(start, tile_start[tile + 1]):
            if (position - start) % _CHECK == _CHECK - 1:
                open_count = close_rows(state, channels, open_rows, rows, minimum)
                if open_count == 0:
                    break
            i = tile_splats[position]
            x0 = np.float32(left) + _HALF - splats[i, 0]
            offset_y = np.float32(top) + _HALF - splats[i, 1]
            a, b, c, log_opacity = splats[i, 2], splats[i, 3], splats[i, 4], splats[i, 5]
            red, green, blue, distance = splats[i, 6], splats[i, 7], splats[i, 8], splats[i, 11]
            along_x, along_y, steepness = profiles[i, 0], profiles[i, 1], profiles[i, 2]
            is_clear = False
            if is_even:
                middle = distance + along_x * (x0 + _HALF_TILE) + along_y * (offset_y + _HALF_TILE)
                depth_reach = _HALF_TILE * (abs(along_x) + abs(along_y)) + _CLEAR / steepness
                is_clear = clear_shares(
                    middle, depth_reach, nearest, furthest, row_signs, row_constants, whole_shares
                )
                if is_clear and whole_shares[0] <= _ZERO:
                    continue  # the other parts are parts of this one
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
                alpha = alpha_of(exponent, cut)
                line = row * channels
                for part in range(parts):
                    if is_clear:
                        store(shares, part, lanes(whole_shares[part]))
                    else:
                        store(shares, part, load(row_constants, row * parts + part))
                if not is_clear:
                    depth_there = dx * along_x + (distance + along_y * dy)
                    for k in range(cuts):
                        beyond = (depth_there - load(row_depths, row * cuts + k)) * steepness
                        beyond = larger(smaller(beyond, _FURTHEST), -_FURTHEST)
                        before = _ONE / (_ONE + exp2_small(beyond * (_LINEAR + _CUBIC * beyond * beyond)))
                        for part in range(parts):
                            sign = load(row_signs, (row * parts + part) * cuts + k)
                            store(shares, part, load(shares, part) + sign * before)
                # rounding may leave shares of less than nothing
                through = load(state, line)
                for matte in range(first_matte, parts):
                    channel = line + _CHANNELS + matte - first_matte
                    share = larger(load(shares, matte), _ZERO)
                    store(state, channel, load(state, channel) + alpha * share * through)
                weight = alpha * larger(load(shares, 0), _ZERO) * through
                store(state, line, through - weight)
                add_color(state, line + 1, weight, red, green, blue)
                store(state, line + 4, load(state, line + 4) + weight * distance)
                if has_front:
                    through = load(state, line + 5)
                    weight = alpha * larger(load(shares, 1), _ZERO) * through
                    store(state, line + 5, through - weight)
                    add_color(state, line + 6, weight, red, green, blue)
        for row in range(rows):
            line = row * channels
            for lane in range(columns):
                transmittance[top + row, left + lane] = state[line, lane]
                depth[top + row, left + lane] = state[line + 4, lane]
                front[top + row, left + lane] = state[line + 5, lane]
                for channel in range(3):
                    color[top + row, left + lane, channel] = state[line + 1 + channel, lane]
                    front_color[top + row, left + lane, channel] = state[line + 6 + channel, lane]
                for matte in range(parts - first_matte):
                    mattes[matte, top + row, left + lane] = state[line + _CHANNELS + matte, lane]
