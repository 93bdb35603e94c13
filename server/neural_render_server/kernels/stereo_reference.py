"""The plane sweep of ``stereo.py`` in plain numpy: slow, and the measure of the compiled kernels."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .stereo import BOX_RADIUS, COST_LIMIT

Float32Array = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]


def _bilinear(image: Float32Array, u: Float32Array, v: Float32Array) -> Float32Array:
    """(C, ...) samples of a (C, H, W) image at pixel indices ``u, v`` inside it."""
    left = np.minimum(u.astype(np.int64), image.shape[2] - 2)
    top = np.minimum(v.astype(np.int64), image.shape[1] - 2)
    x, y = u - left, v - top
    upper = image[:, top, left] + x * (image[:, top, left + 1] - image[:, top, left])
    lower = image[:, top + 1, left] + x * (image[:, top + 1, left + 1] - image[:, top + 1, left])
    result: Float32Array = upper + y * (lower - upper)
    return result


def _box_sum(values: Float32Array) -> Float32Array:
    size = 2 * BOX_RADIUS + 1
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(values, BOX_RADIUS), (size, size))
    result: Float32Array = windows.sum(axis=(2, 3), dtype=np.float32)
    return result


def sweep_costs(
    reference: Float32Array,
    sources: Float32Array,
    groups: npt.NDArray[np.int64],
    rotations: Float32Array,
    translations: Float32Array,
    inverse_depths: Float32Array,
    active: BoolArray,
) -> Float32Array:
    """As ``stereo.sweep_costs``."""
    height, width = active.shape
    columns, rows = np.meshgrid(np.arange(width), np.arange(height))
    pixels = np.stack([columns, rows, np.ones_like(rows)], axis=-1).astype(np.float32)
    weight = np.maximum(_box_sum(active.astype(np.float32)), 1.0)
    costs = np.full((len(inverse_depths), height, width), COST_LIMIT, dtype=np.float32)
    for plane, inverse_depth in enumerate(inverse_depths):
        for group in np.unique(groups):
            total = np.zeros((height, width), dtype=np.float32)
            count = np.zeros((height, width), dtype=np.float32)
            for index in np.flatnonzero(groups == group):
                warped = pixels @ rotations[index].T + inverse_depth * translations[index]
                w = warped[..., 2]
                in_front = w > 1e-6
                u, v = (warped[..., k] / np.where(in_front, w, 1.0) for k in (0, 1))
                limit_v, limit_u = (n - 1 for n in sources[index].shape[1:])
                seen = in_front & (u >= 0) & (v >= 0) & (u <= limit_u) & (v <= limit_v)
                sampled = _bilinear(sources[index], np.where(seen, u, 0), np.where(seen, v, 0))
                difference = np.abs(np.moveaxis(sampled, 0, -1) - reference).sum(axis=-1)
                total += np.where(seen, np.minimum(difference, COST_LIMIT), 0.0)
                count += seen
            mean = np.where(count > 0, total / np.maximum(count, 1.0), COST_LIMIT)
            average = _box_sum(np.where(active, mean, 0.0).astype(np.float32)) / weight
            costs[plane] = np.minimum(costs[plane], average)
    return costs[:, active]


def best_planes(costs: Float32Array, inverse_depths: Float32Array) -> tuple[Float32Array, Float32Array]:
    """As ``stereo.best_planes``."""
    best = costs.argmin(axis=0)
    pixels = np.arange(costs.shape[1])
    least = costs[best, pixels]
    inside = (best > 0) & (best < len(costs) - 1)
    before = costs[np.maximum(best - 1, 0), pixels]
    after = costs[np.minimum(best + 1, len(costs) - 1), pixels]
    curvature = before + after - 2.0 * least
    refine = inside & (curvature > 1e-9)
    offset = np.where(refine, 0.5 * (before - after) / np.where(refine, curvature, 1.0), 0.0)
    inverse_depth = inverse_depths[best] + offset * (inverse_depths[1] - inverse_depths[0])
    mean = costs.mean(axis=0)
    ratio = np.where(mean > 0, least / np.where(mean > 0, mean, 1.0), 1.0)
    return inverse_depth.astype(np.float32), ratio.astype(np.float32)
