"""The hash encoding in numba. Slices own points of a level (forward) or levels (backward): nothing is atomic.

Both go through a level's points at once, so that its entries stay in cache. A level's features then lie
together, as (L, N F): a point's row of all levels fills cache lines that would be fetched anew for each
level. ``to_levels`` and ``to_rows`` turn one order into the other.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np

from .hash_corners import CHUNK, corner_space, find_corners, gather_corners, locate, scatter_corners
from .jit import kernel

# Points whose features are brought into another order together: their rows stay in the nearest cache.
BLOCK = 64


class Kernels(NamedTuple):
    """Compiled for one number of dimensions and of features and one type of number.

    ``forward(positions, table, cells, factors, dense, offsets, mask, level, low, high, encoded)`` for points
    ``low <= n < high`` on one level, ``low`` a multiple of ``CHUNK``; ``table_backward(positions, d_encoded,
    ..., mask, level, d_table)`` adds one level's gradient; ``position_backward(positions, table, d_rows, ...,
    mask, low, high, d_positions)``; ``to_levels(rows, low, high, by_level)`` and ``to_rows(by_level, low,
    high, rows)``.
    Positions are (D, ``in_chunks(N)``), tables flat, features flat in rows or else (L, N F).
    """

    forward: Any
    table_backward: Any
    position_backward: Any
    to_levels: Any
    to_rows: Any


@cache
def kernels(dimensions: int, features: int, double: bool) -> Kernels:
    """The kernels for ``dimensions`` 2 to 4 and ``features`` 1, 2 or 4."""
    real = np.float64 if double else np.float32
    ZERO, ONE = real(0), real(1)
    D, F, CORNERS, SPACE = dimensions, features, 2**dimensions, corner_space(dimensions)

    # their lengths are what counts: see hash_corners
    corner_numbers, feature_numbers = (0,) * CORNERS, (0,) * features

    @kernel
    def forward(
        positions: Any,
        table: Any,
        cells: Any,
        factors: Any,
        dense: Any,
        offsets: Any,
        mask: Any,
        level: int,
        low: int,
        high: int,
        encoded: Any,
    ) -> None:
        entries, weights = np.empty(SPACE, np.uint32), np.empty(SPACE, real)
        own = encoded[level]
        for start in range(low, high, CHUNK):
            find_corners(
                positions,
                start,
                cells[level],
                factors[level],
                dense[level],
                mask,
                np.uint32(offsets[level]),
                real,
                entries,
                weights,
            )
            for i in range(min(CHUNK, high - start)):
                place = (start + i) * F
                gather_corners(table, entries, weights, i, own, place, corner_numbers, feature_numbers)

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
        entries, weights = np.empty(SPACE, np.uint32), np.empty(SPACE, real)
        own = d_encoded[level]
        points = len(own) // F
        for start in range(0, points, CHUNK):
            find_corners(
                positions,
                start,
                cells[level],
                factors[level],
                dense[level],
                mask,
                np.uint32(offsets[level]),
                real,
                entries,
                weights,
            )
            for i in range(min(CHUNK, points - start)):
                place = (start + i) * F
                scatter_corners(d_table, entries, weights, i, own, place, corner_numbers, feature_numbers)

    @kernel
    def to_levels(rows: Any, low: int, high: int, by_level: Any) -> None:
        levels = len(by_level)
        for start in range(low, high, BLOCK):
            for level in range(levels):
                own = by_level[level]
                for n in range(start, min(start + BLOCK, high)):
                    source = (n * levels + level) * F
                    for f in range(F):
                        own[n * F + f] = rows[source + f]

    @kernel
    def to_rows(by_level: Any, low: int, high: int, rows: Any) -> None:
        levels = len(by_level)
        for start in range(low, high, BLOCK):
            for level in range(levels):
                own = by_level[level]
                for n in range(start, min(start + BLOCK, high)):
                    target = (n * levels + level) * F
                    for f in range(F):
                        rows[target + f] = own[n * F + f]

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
                    base[k], fraction[k] = locate(positions[k, n], cells[level, k], real)
                for corner in range(CORNERS):
                    index = np.uint32(0)
                    for k in range(D):
                        term = np.uint32((base[k] + np.uint32(corner >> k & 1)) * factors[level, k])
                        index = np.uint32(index + term) if dense[level] else np.uint32(index ^ term)
                    if not dense[level]:
                        index &= mask
                    row = offsets[level] + np.int64(index)
                    value = ZERO
                    for f in range(F):
                        value += table[row * F + f] * d_encoded[(n * cells.shape[0] + level) * F + f]
                    for k in range(D):
                        slope = value * real(cells[level, k])
                        for other in range(D):
                            upper = corner >> other & 1
                            if other == k:
                                slope = slope if upper else -slope
                            else:
                                slope *= fraction[other] if upper else ONE - fraction[other]
                        if ZERO <= positions[k, n] <= ONE:
                            d_positions[n, k] += slope

    return Kernels(forward, table_backward, position_backward, to_levels, to_rows)
