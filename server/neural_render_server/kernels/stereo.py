"""Plane-sweep matching costs and the depth they favour, compiled for the CPU.

A reference image is compared with source images warped by the homographies of fronto-parallel planes
(Collins, "A space-sweep approach to true multi-image matching", CVPR 1996). Sources form two groups
and the cheaper group counts, so that a surface hidden from one side of the reference camera is still
matched on the other (Kang, Szeliski and Chai, "Handling occlusions in dense multi-view stereo", CVPR
2001). ``stereo_reference.py`` states the same in plain numpy.

Only the active pixels are worked on, as one list, so that the inner loops are SIMD over pixels
whatever the mask. Every thread owns whole planes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .jit import kernel
from .threads import run_sliced, several_bounds

Float32Array = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]

# A colour difference above this is an occlusion or another surface, and how much above says no more.
COST_LIMIT = 0.5
# Costs are averaged over (2 * BOX_RADIUS + 1)^2 pixels.
BOX_RADIUS = 2

_LIMIT = np.float32(COST_LIMIT)
_ONE = np.float32(1.0)
_ZERO = np.float32(0.0)
_HALF = np.float32(0.5)
_IN_FRONT = np.float32(1e-6)
_FLAT = np.float32(1e-9)


@kernel
def _project(
    columns: Any,
    rows: Any,
    a: Any,
    shift: Any,
    width: int,
    height: int,
    corner: Any,
    fractions: Any,
    seen: Any,
) -> None:
    """Where pixels fall in a source: index of the upper left sample, fractions beyond it, and if inside."""
    limit_x, limit_y = np.float32(width - 1), np.float32(height - 1)
    last_left, last_top = np.int32(width - 2), np.int32(height - 2)
    stride = np.int32(width)
    for i in range(columns.shape[0]):
        x, y = columns[i], rows[i]
        w = a[2, 0] * x + a[2, 1] * y + a[2, 2] + shift[2]
        scale = _ONE / (w if w > _IN_FRONT else _ONE)
        u = (a[0, 0] * x + a[0, 1] * y + a[0, 2] + shift[0]) * scale
        v = (a[1, 0] * x + a[1, 1] * y + a[1, 2] + shift[1]) * scale
        inside = (w > _IN_FRONT) & (u >= _ZERO) & (v >= _ZERO) & (u <= limit_x) & (v <= limit_y)
        u = u if inside else _ZERO
        v = v if inside else _ZERO
        left = np.int32(u)
        left = left if left < last_left else last_left
        top = np.int32(v)
        top = top if top < last_top else last_top
        corner[i] = top * stride + left
        fractions[0, i] = u - np.float32(left)
        fractions[1, i] = v - np.float32(top)
        seen[i] = _ONE if inside else _ZERO


@kernel
def _add_difference(
    image: Any, stride: int, corner: Any, fractions: Any, wanted: Any, difference: Any
) -> None:
    """Add |sample - wanted| of one channel. Unsigned indices need no handling of negative ones."""
    one, below = np.uint64(1), np.uint64(stride)
    for i in range(corner.shape[0]):
        upper_left = np.uint64(corner[i])
        lower_left = upper_left + below
        x, y = fractions[0, i], fractions[1, i]
        upper = image[upper_left] + x * (image[upper_left + one] - image[upper_left])
        lower = image[lower_left] + x * (image[lower_left + one] - image[lower_left])
        difference[i] += abs(upper + y * (lower - upper) - wanted[i])


@kernel
def _add_cost(difference: Any, seen: Any, total: Any, count: Any) -> None:
    for i in range(total.shape[0]):
        value = difference[i]
        total[i] += seen[i] * (value if value < _LIMIT else _LIMIT)
        count[i] += seen[i]


@kernel
def _box_minimum(
    total: Any, count: Any, columns: Any, rows: Any, box_weights: Any, padded: Any, sums: Any, cost: Any
) -> None:
    """Average ``total / count`` over each pixel's box and keep it in ``cost`` where it is less.

    ``padded`` is an image with a border of BOX_RADIUS, zero wherever no pixel is active; ``sums`` is
    scratch of its height, its width less the borders.
    """
    for i in range(total.shape[0]):
        mean = total[i] / count[i] if count[i] > _ZERO else _LIMIT
        padded[rows[i] + BOX_RADIUS, columns[i] + BOX_RADIUS] = mean
    for row in range(sums.shape[0]):
        for column in range(sums.shape[1]):
            value = _ZERO
            for step in range(2 * BOX_RADIUS + 1):
                value += padded[row, column + step]
            sums[row, column] = value
    for i in range(total.shape[0]):
        value = _ZERO
        for step in range(2 * BOX_RADIUS + 1):
            value += sums[rows[i] + step, columns[i]]
        value *= box_weights[i]
        cost[i] = value if value < cost[i] else cost[i]


@kernel
def _sweep_planes(
    first: int,
    last: int,
    columns: Any,
    rows: Any,
    reference: Any,
    sources: Any,
    source_width: int,
    source_height: int,
    groups: Any,
    rotations: Any,
    translations: Any,
    inverse_depths: Any,
    box_weights: Any,
    padded: Any,
    costs: Any,
) -> None:
    """Costs of planes first <= k < last; ``sources`` is (S, C, H' * W'), ``reference`` (C, P)."""
    pixels = columns.shape[0]
    float_columns, float_rows = columns.astype(np.float32), rows.astype(np.float32)
    corner = np.empty(pixels, dtype=np.int32)
    fractions = np.empty((2, pixels), dtype=np.float32)
    seen = np.empty(pixels, dtype=np.float32)
    difference = np.empty(pixels, dtype=np.float32)
    total = np.empty(pixels, dtype=np.float32)
    count = np.empty(pixels, dtype=np.float32)
    image = padded.copy()
    sums = np.empty((padded.shape[0], padded.shape[1] - 2 * BOX_RADIUS), dtype=np.float32)
    for plane in range(first, last):
        for group in range(2):
            total[:] = _ZERO
            count[:] = _ZERO
            members = 0
            for index in range(sources.shape[0]):
                if groups[index] == group:
                    members += 1
                    shift = inverse_depths[plane] * translations[index]
                    _project(
                        float_columns, float_rows, rotations[index], shift, source_width, source_height,
                        corner, fractions, seen,
                    )  # fmt: skip
                    difference[:] = _ZERO
                    for channel in range(reference.shape[0]):
                        _add_difference(
                            sources[index, channel], source_width, corner, fractions, reference[channel],
                            difference,
                        )  # fmt: skip
                    _add_cost(difference, seen, total, count)
            if members > 0:
                _box_minimum(total, count, columns, rows, box_weights, image, sums, costs[plane])


def sweep_costs(
    reference: Float32Array,
    sources: Float32Array,
    groups: npt.NDArray[np.int64],
    rotations: Float32Array,
    translations: Float32Array,
    inverse_depths: Float32Array,
    active: BoolArray,
) -> Float32Array:
    """Matching cost of the P active pixels, in row-major order, at every plane.

    Args:
        reference: (H, W, C) float32 image, premultiplied where it has alpha as its last channel.
        sources: (S, C, H', W') float32 images, H' and W' at least 2.
        groups: (S,) the group of each source, 0 or 1; the cheaper group counts.
        rotations: (S, 3, 3) float32, ``K_s R_s R_r^T K_r^-1`` for pixel indices (centres at whole
            numbers).
        translations: (S, 3) float32, ``K_s t``; a pixel p at inverse depth q falls on ``A p + q b``.
        inverse_depths: (D,) float32, one over the reference camera's planar depth.
        active: (H, W) bool, the pixels wanted; costs are averaged over the active pixels of a box.

    Returns:
        (D, P) float32 in [0, COST_LIMIT], which also stands where no source sees the point.
    """
    height, width = active.shape
    rows, columns = np.nonzero(active)
    costs = np.full((len(inverse_depths), len(rows)), COST_LIMIT, dtype=np.float32)
    integral = np.zeros((height + 1, width + 1), dtype=np.int64)
    integral[1:, 1:] = active.cumsum(axis=0).cumsum(axis=1)
    top, bottom = np.maximum(rows - BOX_RADIUS, 0), np.minimum(rows + BOX_RADIUS + 1, height)
    left, right = np.maximum(columns - BOX_RADIUS, 0), np.minimum(columns + BOX_RADIUS + 1, width)
    box = integral[bottom, right] - integral[top, right] - integral[bottom, left] + integral[top, left]
    arguments = (
        columns,
        rows,
        np.ascontiguousarray(reference[rows, columns].T),
        np.ascontiguousarray(sources).reshape(*sources.shape[:2], -1),
        sources.shape[3],
        sources.shape[2],
        np.asarray(groups, dtype=np.int64),
        np.ascontiguousarray(rotations),
        np.ascontiguousarray(translations),
        np.ascontiguousarray(inverse_depths),
        (1.0 / box).astype(np.float32),
        np.zeros((height + 2 * BOX_RADIUS, width + 2 * BOX_RADIUS), dtype=np.float32),
        costs,
    )
    run_sliced(
        lambda first, last: _sweep_planes(first, last, *arguments),
        several_bounds(len(inverse_depths)),
    )
    return costs


@kernel
def _best_planes(costs: Any, inverse_depths: Any, inverse_depth: Any, ratio: Any) -> None:
    planes, count_pixels = costs.shape
    least = costs[0].copy()
    total = costs[0].copy()
    best = np.zeros(count_pixels, dtype=np.int32)
    for plane in range(1, planes):
        for i in range(count_pixels):
            cost = costs[plane, i]
            total[i] += cost
            best[i] = plane if cost < least[i] else best[i]
            least[i] = cost if cost < least[i] else least[i]
    spacing = inverse_depths[1] - inverse_depths[0]
    for i in range(count_pixels):
        offset = _ZERO
        if 0 < best[i] < planes - 1:
            before, after = costs[best[i] - 1, i], costs[best[i] + 1, i]
            curvature = before + after - least[i] - least[i]
            if curvature > _FLAT:
                offset = _HALF * (before - after) / curvature
        inverse_depth[i] = inverse_depths[best[i]] + offset * spacing
        ratio[i] = least[i] * np.float32(planes) / total[i] if total[i] > _ZERO else _ONE


def best_planes(costs: Float32Array, inverse_depths: Float32Array) -> tuple[Float32Array, Float32Array]:
    """The cheapest plane of every pixel, refined by the parabola through its neighbours.

    Args:
        costs: (D, P) float32 from ``sweep_costs``, D >= 3.
        inverse_depths: (D,) float32, evenly spaced.

    Returns:
        inverse_depth (P,) float32, and ratio (P,) float32: the least cost over the mean over all
        planes, 1 where nothing stands out.
    """
    inverse_depth = np.empty(costs.shape[1], dtype=np.float32)
    ratio = np.empty(costs.shape[1], dtype=np.float32)
    _best_planes(costs, inverse_depths, inverse_depth, ratio)
    return inverse_depth, ratio
