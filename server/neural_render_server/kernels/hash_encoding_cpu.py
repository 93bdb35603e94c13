"""The hash encoding in numba. Slices own points (forward) or levels (backward), so nothing is atomic."""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np

from .jit import inlined, kernel

# Points encoded for one level before the next: the level's entries stay in cache meanwhile.
BLOCK = 16384


class Kernels(NamedTuple):
    """Compiled for one number of dimensions and of features and one type of number.

    ``forward(positions, table, cells, factors, dense, offsets, mask, low, high, features)`` for points
    ``low <= n < high``; ``table_backward(positions, d_features, ..., mask, level, d_table)`` adds one level's
    gradient; ``position_backward(positions, table, d_features, ..., mask, low, high, d_positions)``.
    """

    forward: Any
    table_backward: Any
    position_backward: Any


@cache
def kernels(dimensions: int, features: int, double: bool) -> Kernels:
    """The kernels for ``dimensions`` 2 to 4 and ``features`` 1, 2 or 4."""
    real = np.float64 if double else np.float32
    ZERO, ONE = real(0), real(1)
    D, F, CORNERS = dimensions, features, 2**dimensions

    @inlined
    def locate(position: Any, cells: Any) -> Any:
        """Lower corner and fraction along one axis."""
        place = min(max(position, ZERO), ONE) * real(cells)
        base = min(np.int64(place), cells - 1)
        return np.uint32(base), place - real(base)

    @inlined
    def entry(a: Any, b: Any, c: Any, d: Any, dense: Any, mask: Any) -> Any:
        if dense:
            return np.int64(np.uint32(a + b + c + d))
        return np.int64(np.uint32(a ^ b ^ c ^ d) & mask)

    @inlined
    def gather(table: Any, index: Any, weight: Any, sums: Any) -> Any:
        s0, s1, s2, s3 = sums
        s0 += weight * table[index, 0]
        if F > 1:
            s1 += weight * table[index, 1]
        if F > 2:
            s2 += weight * table[index, 2]
            s3 += weight * table[index, 3]
        return s0, s1, s2, s3

    @inlined
    def scatter(d_table: Any, index: Any, weight: Any, g0: Any, g1: Any, g2: Any, g3: Any) -> None:
        d_table[index, 0] += weight * g0
        if F > 1:
            d_table[index, 1] += weight * g1
        if F > 2:
            d_table[index, 2] += weight * g2
            d_table[index, 3] += weight * g3

    @inlined
    def axis(positions: Any, n: Any, axis_index: Any, cells: Any, factors: Any) -> Any:
        """Terms of both corners along an axis, and the fraction; a missing axis has terms and fraction 0."""
        base, fraction = locate(positions[n, axis_index], cells[axis_index])
        factor = factors[axis_index]
        return np.uint32(base * factor), np.uint32((base + np.uint32(1)) * factor), fraction

    NONE = np.uint32(0)

    @kernel
    def forward(
        positions: Any,
        table: Any,
        cells: Any,
        factors: Any,
        dense: Any,
        offsets: Any,
        mask: Any,
        low: int,
        high: int,
        encoded: Any,
    ) -> None:
        for start in range(low, high, BLOCK):
            stop = min(start + BLOCK, high)
            for level in range(cells.shape[0]):
                own = table[offsets[level] : offsets[level + 1]]
                own_cells, own_factors = cells[level], factors[level]
                is_dense = dense[level]
                column = level * F
                for n in range(start, stop):
                    x0, x1, fx = axis(positions, n, 0, own_cells, own_factors)
                    y0, y1, fy = axis(positions, n, 1, own_cells, own_factors)
                    sums = (ZERO, ZERO, ZERO, ZERO)
                    for upper_w in range(2 if D > 3 else 1):
                        w, weight_w = NONE, ONE
                        if D > 3:
                            w0, w1, fw = axis(positions, n, 3, own_cells, own_factors)
                            w = w1 if upper_w else w0
                            weight_w = fw if upper_w else ONE - fw
                        for upper_z in range(2 if D > 2 else 1):
                            z, weight = NONE, weight_w
                            if D > 2:
                                z0, z1, fz = axis(positions, n, 2, own_cells, own_factors)
                                z = z1 if upper_z else z0
                                weight = weight_w * (fz if upper_z else ONE - fz)
                            low_y, high_y = weight * (ONE - fy), weight * fy
                            sums = gather(own, entry(x0, y0, z, w, is_dense, mask), low_y * (ONE - fx), sums)
                            sums = gather(own, entry(x1, y0, z, w, is_dense, mask), low_y * fx, sums)
                            sums = gather(own, entry(x0, y1, z, w, is_dense, mask), high_y * (ONE - fx), sums)
                            sums = gather(own, entry(x1, y1, z, w, is_dense, mask), high_y * fx, sums)
                    encoded[n, column] = sums[0]
                    if F > 1:
                        encoded[n, column + 1] = sums[1]
                    if F > 2:
                        encoded[n, column + 2] = sums[2]
                        encoded[n, column + 3] = sums[3]

    @kernel
    def table_backward(
        positions: Any,
        d_encoded: Any,
        cells: Any,
        factors: Any,
        dense: Any,
        offsets: Any,
        mask: Any,
        level: int,
        d_table: Any,
    ) -> None:
        own = d_table[offsets[level] : offsets[level + 1]]
        own_cells, own_factors = cells[level], factors[level]
        is_dense = dense[level]
        column = level * F
        for n in range(positions.shape[0]):
            g0 = d_encoded[n, column]
            g1 = d_encoded[n, column + 1] if F > 1 else ZERO
            g2 = d_encoded[n, column + 2] if F > 2 else ZERO
            g3 = d_encoded[n, column + 3] if F > 2 else ZERO
            x0, x1, fx = axis(positions, n, 0, own_cells, own_factors)
            y0, y1, fy = axis(positions, n, 1, own_cells, own_factors)
            for upper_w in range(2 if D > 3 else 1):
                w, weight_w = NONE, ONE
                if D > 3:
                    w0, w1, fw = axis(positions, n, 3, own_cells, own_factors)
                    w = w1 if upper_w else w0
                    weight_w = fw if upper_w else ONE - fw
                for upper_z in range(2 if D > 2 else 1):
                    z, weight = NONE, weight_w
                    if D > 2:
                        z0, z1, fz = axis(positions, n, 2, own_cells, own_factors)
                        z = z1 if upper_z else z0
                        weight = weight_w * (fz if upper_z else ONE - fz)
                    low_y, high_y = weight * (ONE - fy), weight * fy
                    scatter(own, entry(x0, y0, z, w, is_dense, mask), low_y * (ONE - fx), g0, g1, g2, g3)
                    scatter(own, entry(x1, y0, z, w, is_dense, mask), low_y * fx, g0, g1, g2, g3)
                    scatter(own, entry(x0, y1, z, w, is_dense, mask), high_y * (ONE - fx), g0, g1, g2, g3)
                    scatter(own, entry(x1, y1, z, w, is_dense, mask), high_y * fx, g0, g1, g2, g3)

    @kernel
    def position_backward(
        positions: Any,
        table: Any,
        d_encoded: Any,
        cells: Any,
        factors: Any,
        dense: Any,
        offsets: Any,
        mask: Any,
        low: int,
        high: int,
        d_positions: Any,
    ) -> None:
        base = np.empty(D, np.uint32)
        fraction = np.empty(D, real)
        for n in range(low, high):
            d_positions[n, :] = ZERO
            for level in range(cells.shape[0]):
                for k in range(D):
                    base[k], fraction[k] = locate(positions[n, k], cells[level, k])
                for corner in range(CORNERS):
                    index = NONE
                    for k in range(D):
                        term = np.uint32((base[k] + np.uint32(corner >> k & 1)) * factors[level, k])
                        index = np.uint32(index + term) if dense[level] else np.uint32(index ^ term)
                    if not dense[level]:
                        index &= mask
                    row = offsets[level] + np.int64(index)
                    value = ZERO
                    for f in range(F):
                        value += table[row, f] * d_encoded[n, level * F + f]
                    for k in range(D):
                        slope = value * real(cells[level, k])
                        for other in range(D):
                            upper = corner >> other & 1
                            if other == k:
                                slope = slope if upper else -slope
                            else:
                                slope *= fraction[other] if upper else ONE - fraction[other]
                        if ZERO <= positions[n, k] <= ONE:
                            d_positions[n, k] += slope

    return Kernels(forward, table_backward, position_backward)
