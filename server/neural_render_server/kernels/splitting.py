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

from .jit import exp2_small, inlined, kernel
from .layout import GUARD, TILE
from .projection import LOG2_E, rotation_of
from .rasterizer import _CHECK, _HALF, _ONE, _ZERO, alpha_at, close_rows, row_reached

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
    """A tile's parts into its own arrays, with every cut's ``nearest`` and ``furthest`` depth (K,) in it;
    returns whether all its pixels have the same parts.
    """
    uneven = 0
    for k in range(depths.shape[0]):
        low = high = depths[k, top, left]
        for row in range(rows):
            for lane in range(columns):
                depth = depths[k, top + row, left + lane]
                row_depths[row, k, lane] = depth
                low = depth if depth < low else low
                high = depth if depth > high else high
        nearest[k], furthest[k] = low, high
    for part in range(constants.shape[0]):
        constant = constants[part, top, left]
        for row in range(rows):
            for lane in range(columns):
                row_constants[row, part, lane] = constants[part, top + row, left + lane]
                uneven += constants[part, top + row, left + lane] != constant
        for k in range(depths.shape[0]):
            sign = signs[part, k, top, left]
            for row in range(rows):
                for lane in range(columns):
                    row_signs[row, part, k, lane] = signs[part, k, top + row, left + lane]
                    uneven += signs[part, k, top + row, left + lane] != sign
    return uneven == 0


@inlined
def clear_shares(
    middle: Any, reach: Any, nearest: Any, furthest: Any, signs: Any, constants: Any, shares: Any
) -> bool:
    """The parts' ``shares`` (P,) of a splat between depths ``middle - reach`` and ``middle + reach`` all over
    a tile whose pixels have the same parts; False where a cut runs through it.
    """
    for part in range(shares.shape[0]):
        shares[part] = constants[part, 0]
    for k in range(nearest.shape[0]):
        if middle + reach <= nearest[k]:
            for part in range(shares.shape[0]):
                shares[part] += signs[part, k, 0]
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
    state = np.empty((TILE, _CHANNELS + parts - first_matte, TILE), np.float32)
    row_depths = np.zeros((TILE, cuts, TILE), np.float32)
    row_signs = np.zeros((TILE, parts, cuts, TILE), np.float32)
    row_constants = np.zeros((TILE, parts, TILE), np.float32)
    nearest, furthest = np.empty(cuts, np.float32), np.empty(cuts, np.float32)
    whole_shares = np.empty(parts, np.float32)
    shares = np.empty((parts, TILE), np.float32)
    alphas = np.empty(TILE, np.float32)
    before = np.empty(TILE, np.float32)
    open_rows = np.empty(TILE, np.bool_)
    cut = np.float32(cut_off)
    minimum = np.float32(transmittance_minimum)
    for tile in range(low, high):
        tile_row, tile_column = tile // tile_columns, tile % tile_columns
        if not tiles[tile_row, tile_column]:
            continue
        top, left = tile_row * TILE, tile_column * TILE
        rows, columns = min(TILE, height - top), min(TILE, width - left)
        state[:, :, :] = _ZERO
        for row in range(rows):
            open_rows[row] = True
            for lane in range(columns):
                state[row, 0, lane] = _ONE
                state[row, 5, lane] = _ONE
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
                open_count = close_rows(state, open_rows, rows, minimum)
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
                    middle, depth_reach, nearest, furthest, row_signs[0], row_constants[0], whole_shares
                )
                if is_clear and whole_shares[0] <= _ZERO:
                    continue  # the other parts are parts of this one
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
                if is_clear and parts == 1:
                    for lane in range(TILE):
                        weight = (
                            alpha_at(np.float32(lane) + x0, a, slope, remainder, cut) * state[row, 0, lane]
                        )
                        state[row, 0, lane] -= weight
                        state[row, 1, lane] += weight * red
                        state[row, 2, lane] += weight * green
                        state[row, 3, lane] += weight * blue
                        state[row, 4, lane] += weight * distance
                    continue
                row_depth = distance + along_y * dy
                for lane in range(TILE):
                    alphas[lane] = alpha_at(np.float32(lane) + x0, a, slope, remainder, cut)
                for part in range(parts):
                    for lane in range(TILE):
                        constant = row_constants[row, part, lane]
                        shares[part, lane] = whole_shares[part] if is_clear else constant
                for k in range(0 if is_clear else cuts):
                    for lane in range(TILE):
                        dx = np.float32(lane) + x0
                        beyond = (row_depth + along_x * dx - row_depths[row, k, lane]) * steepness
                        beyond = beyond if beyond < _FURTHEST else _FURTHEST
                        beyond = beyond if beyond > -_FURTHEST else -_FURTHEST
                        before[lane] = _ONE / (
                            _ONE + exp2_small(beyond * (_LINEAR + _CUBIC * beyond * beyond))
                        )
                    for part in range(parts):
                        for lane in range(TILE):
                            shares[part, lane] += row_signs[row, part, k, lane] * before[lane]
                for matte in range(first_matte, parts):
                    for lane in range(TILE):
                        # rounding may leave less than nothing
                        share = shares[matte, lane] if shares[matte, lane] > _ZERO else _ZERO
                        channel = _CHANNELS + matte - first_matte
                        state[row, channel, lane] += alphas[lane] * share * state[row, 0, lane]
                for lane in range(TILE):
                    share = shares[0, lane] if shares[0, lane] > _ZERO else _ZERO
                    weight = alphas[lane] * share * state[row, 0, lane]
                    state[row, 0, lane] -= weight
                    state[row, 1, lane] += weight * red
                    state[row, 2, lane] += weight * green
                    state[row, 3, lane] += weight * blue
                    state[row, 4, lane] += weight * distance
                if has_front:
                    for lane in range(TILE):
                        share = shares[1, lane] if shares[1, lane] > _ZERO else _ZERO
                        weight = alphas[lane] * share * state[row, 5, lane]
                        state[row, 5, lane] -= weight
                        state[row, 6, lane] += weight * red
                        state[row, 7, lane] += weight * green
                        state[row, 8, lane] += weight * blue
        for row in range(rows):
            for lane in range(columns):
                transmittance[top + row, left + lane] = state[row, 0, lane]
                depth[top + row, left + lane] = state[row, 4, lane]
                front[top + row, left + lane] = state[row, 5, lane]
                for channel in range(3):
                    color[top + row, left + lane, channel] = state[row, 1 + channel, lane]
                    front_color[top + row, left + lane, channel] = state[row, 6 + channel, lane]
                for matte in range(parts - first_matte):
                    mattes[matte, top + row, left + lane] = state[row, _CHANNELS + matte, lane]
