"""The hash encoding in numba. Slices own points (forward) or levels (backward), so nothing is atomic."""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np

from .hash_corners import CHUNK, corner_space, find_corners, gather_corners, locate, scatter_corners
from .jit import kernel

# Points encoded for one level before the next: the level's entries stay in cache meanwhile.
BLOCK = 1024


class Kernels(NamedTuple):
    """Compiled for one number of dimensions and of features and one type of number.

    ``forward(positions, table, cells, factors, dense, offsets, mask, low, high, features)`` for points
    ``low <= n < high``, ``low`` a multiple of ``CHUNK``; ``table_backward(positions, d_features, ..., mask,
    level, d_table)`` adds one level's gradient; ``position_backward(positions, table, d_features, ..., mask,
    low, high, d_positions)``.
    Positions are (D, ``in_chunks(N)``), tables and features flat.
    """

    forward: Any
    table_backward: Any
    position_backward: Any


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
        low: int,
        high: int,
        encoded: Any,
    ) -> None:
        entries, weights = np.empty(SPACE, np.uint32), np.empty(SPACE, real)
        width = cells.shape[0] * F
        for block in range(low, high, BLOCK):
            for level in range(cells.shape[0]):
                for start in range(block, min(block + BLOCK, high), CHUNK):
                    count = min(CHUNK, high - start)
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
                    for i in range(count):
                        place = (start + i) * width + level * F
                        gather_corners(
                            table, entries, weights, i, encoded, place, corner_numbers, feature_numbers
                        )

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
        width = cells.shape[0] * F
        points = len(d_encoded) // width
        for start in range(0, points, CHUNK):
            count = min(CHUNK, points - start)
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
            for i in range(count):
                place = (start + i) * width + level * F
                scatter_corners(
                    d_table, entries, weights, i, d_encoded, place, corner_numbers, feature_numbers
                )

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

    return Kernels(forward, table_backward, position_backward)
