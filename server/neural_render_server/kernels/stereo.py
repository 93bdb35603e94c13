"""Plane-sweep matching costs and the depth they favour, compiled for the CPU.

A reference image is compared with source images warped by the homographies of fronto-parallel planes
(Collins, "A space-sweep approach to true multi-image matching", CVPR 1996). Sources form two groups
and the cheaper group counts, so that a surface hidden from one side of the reference camera is still
matched on the other (Kang, Szeliski and Chai, "Handling occlusions in dense multi-view stereo", CVPR
2001). ``stereo_reference.py`` states the same in plain numpy.

Every thread owns whole planes or whole rows, so that results do not depend on the thread count.
"""

from __future__ import annotations

import numba as nb
import numpy as np
import numpy.typing as npt

Float32Array = npt.NDArray[np.float32]

# A colour difference above this is an occlusion or another surface, and how much above says no more.
COST_LIMIT = 0.5
# Costs are averaged over (2 * BOX_RADIUS + 1)^2 pixels.
BOX_RADIUS = 2


@nb.njit(cache=True, fastmath=False, boundscheck=False)
def _add_source_cost(reference, source, rotation, translation, inverse_depth, active, total, count):  # type: ignore[no-untyped-def]
    """Add one source's truncated colour difference at every active pixel it sees."""
    height, width = active.shape
    channels = reference.shape[2]
    shift_x = inverse_depth * translation[0]
    shift_y = inverse_depth * translation[1]
    shift_w = inverse_depth * translation[2]
    source_height, source_width = source.shape[0], source.shape[1]
    for row in range(height):
        y = np.float32(row)
        base_x = rotation[0, 1] * y + rotation[0, 2] + shift_x
        base_y = rotation[1, 1] * y + rotation[1, 2] + shift_y
        base_w = rotation[2, 1] * y + rotation[2, 2] + shift_w
        for column in range(width):
            if not active[row, column]:
                continue
            x = np.float32(column)
            w = rotation[2, 0] * x + base_w
            if w <= np.float32(1e-6):  # behind the source camera
                continue
            u = (rotation[0, 0] * x + base_x) / w
            v = (rotation[1, 0] * x + base_y) / w
            if not (u >= 0.0 and v >= 0.0 and u <= source_width - 1 and v <= source_height - 1):
                continue
            left = min(np.int32(u), source_width - 2)
            top = min(np.int32(v), source_height - 2)
            fraction_x = u - np.float32(left)
            fraction_y = v - np.float32(top)
            difference = np.float32(0.0)
            for channel in range(channels):
                upper = source[top, left, channel] + fraction_x * (
                    source[top, left + 1, channel] - source[top, left, channel]
                )
                lower = source[top + 1, left, channel] + fraction_x * (
                    source[top + 1, left + 1, channel] - source[top + 1, left, channel]
                )
                value = upper + fraction_y * (lower - upper)
                difference += abs(value - reference[row, column, channel])
            total[row, column] += min(difference, np.float32(COST_LIMIT))
            count[row, column] += np.float32(1.0)


@nb.njit(cache=True, boundscheck=False)
def _box_minimum(total, count, active, sums, cost):  # type: ignore[no-untyped-def]
    """Average ``total / count`` over the box (active pixels only) and keep the smaller in ``cost``."""
    height, width = active.shape
    for row in range(height):  # horizontal sums of cost and of active pixels
        for column in range(width):
            if active[row, column]:
                seen = count[row, column]
                total[row, column] = total[row, column] / seen if seen > 0.0 else np.float32(COST_LIMIT)
                count[row, column] = np.float32(1.0)
        for column in range(width):
            value = np.float32(0.0)
            weight = np.float32(0.0)
            for neighbour in range(max(0, column - BOX_RADIUS), min(width, column + BOX_RADIUS + 1)):
                value += total[row, neighbour]
                weight += count[row, neighbour]
            sums[0, row, column] = value
            sums[1, row, column] = weight
    for row in range(height):
        first, last = max(0, row - BOX_RADIUS), min(height, row + BOX_RADIUS + 1)
        for column in range(width):
            if active[row, column]:
                value = np.float32(0.0)
                weight = np.float32(0.0)
                for neighbour in range(first, last):
                    value += sums[0, neighbour, column]
                    weight += sums[1, neighbour, column]
                cost[row, column] = min(cost[row, column], value / weight)


@nb.njit(cache=True, parallel=True, boundscheck=False)
def sweep_costs(reference, sources, groups, rotations, translations, inverse_depths, active):  # type: ignore[no-untyped-def]
    """Matching cost of every active pixel at every plane.

    Args:
        reference: (H, W, C) float32 image, premultiplied where it has alpha as its last channel.
        sources: (S, H', W', C) float32 images.
        groups: (S,) int64, the group of each source, 0 or 1; the cheaper group counts.
        rotations: (S, 3, 3) float32, ``K_s R_s R_r^T K_r^-1`` for pixel indices (centres at whole numbers).
        translations: (S, 3) float32, ``K_s t``; a pixel p at inverse depth q falls on ``A p + q b``.
        inverse_depths: (D,) float32 planes, in units of one over the reference camera's planar depth.
        active: (H, W) bool, the pixels wanted (their box is averaged over active pixels only).

    Returns:
        (D, H, W) float32 costs in [0, COST_LIMIT]; COST_LIMIT where nothing is seen or not active.
    """
    height, width = active.shape
    planes = inverse_depths.shape[0]
    costs = np.full((planes, height, width), np.float32(COST_LIMIT), dtype=np.float32)
    for plane in nb.prange(planes):
        sums = np.empty((2, height, width), dtype=np.float32)
        for group in range(2):
            total = np.zeros((height, width), dtype=np.float32)
            count = np.zeros((height, width), dtype=np.float32)
            members = 0
            for index in range(sources.shape[0]):
                if groups[index] == group:
                    members += 1
                    _add_source_cost(
                        reference,
                        sources[index],
                        rotations[index],
                        translations[index],
                        inverse_depths[plane],
                        active,
                        total,
                        count,
                    )
            if members > 0:
                _box_minimum(total, count, active, sums, costs[plane])
    return costs


@nb.njit(cache=True, parallel=True, boundscheck=False)
def best_planes(costs, inverse_depths, active):  # type: ignore[no-untyped-def]
    """The cheapest plane of every active pixel, refined by the parabola through its neighbours.

    Args:
        costs: (D, H, W) float32 from ``sweep_costs``, D >= 3.
        inverse_depths: (D,) float32, evenly spaced.
        active: (H, W) bool.

    Returns:
        inverse_depth (H, W) float32, 0 where not active, and ratio (H, W) float32: the least cost over
        the mean over all planes, 1 where nothing stands out.
    """
    planes, height, width = costs.shape
    spacing = inverse_depths[1] - inverse_depths[0]
    inverse_depth = np.zeros((height, width), dtype=np.float32)
    ratio = np.ones((height, width), dtype=np.float32)
    for row in nb.prange(height):
        for column in range(width):
            if not active[row, column]:
                continue
            best = 0
            total = np.float32(0.0)
            for plane in range(planes):
                total += costs[plane, row, column]
                if costs[plane, row, column] < costs[best, row, column]:
                    best = plane
            offset = np.float32(0.0)
            if 0 < best < planes - 1:
                before, after = costs[best - 1, row, column], costs[best + 1, row, column]
                curvature = before + after - np.float32(2.0) * costs[best, row, column]
                if curvature > np.float32(1e-9):
                    offset = np.float32(0.5) * (before - after) / curvature
            inverse_depth[row, column] = inverse_depths[best] + offset * spacing
            if total > 0.0:
                ratio[row, column] = costs[best, row, column] * np.float32(planes) / total
    return inverse_depth, ratio
