"""Which splats touch which 16x16 tiles, nearest first: numba, deterministic."""

from __future__ import annotations

from typing import Any

import numpy as np

from .jit import bits_from_float, inlined, kernel
from .layout import TILE

_RADIX_BITS = 11


@kernel
def compact(rect: Any, visible: Any) -> int:
    """Row numbers of the drawn Gaussians into ``visible``; returns how many."""
    count = 0
    for i in range(rect.shape[0]):
        if rect[i, 1] > rect[i, 0]:
            visible[count] = i
            count += 1
    return count


@kernel
def sort_by_depth(splats: Any, visible: Any, count: int, keys: Any, other_keys: Any, other: Any) -> None:
    """Sort ``visible[:count]`` by depth, stably: a radix sort on the bits of the positive depths."""
    for k in range(count):
        keys[k] = bits_from_float(splats[visible[k], 11])
    bins = 1 << _RADIX_BITS
    histogram = np.empty(bins, np.int64)
    source_keys, target_keys = keys, other_keys
    source, target = visible, other
    for digit in range(3):
        shift = np.uint32(_RADIX_BITS * digit)
        histogram[:] = 0
        for k in range(count):
            histogram[(source_keys[k] >> shift) & np.uint32(bins - 1)] += 1
        position = 0
        for b in range(bins):
            size = histogram[b]
            histogram[b] = position
            position += size
        for k in range(count):
            b = (source_keys[k] >> shift) & np.uint32(bins - 1)
            target_keys[histogram[b]] = source_keys[k]
            target[histogram[b]] = source[k]
            histogram[b] += 1
        source_keys, target_keys = target_keys, source_keys
        source, target = target, source
    # three passes leave the result in the other array
    visible[:count] = other[:count]


@inlined
def _power_in_box(a: Any, b: Any, c: Any, x0: Any, x1: Any, y0: Any, y1: Any) -> Any:
    """Largest exponent of a splat (mean at the origin) in a box: 0 inside, else on a facing edge."""
    zero = np.float32(0.0)
    half = np.float32(-0.5)
    near_x = x0 if x0 > zero else (x1 if x1 < zero else zero)
    near_y = y0 if y0 > zero else (y1 if y1 < zero else zero)
    along_y = half * b * near_x / c
    along_y = y0 if along_y < y0 else (y1 if along_y > y1 else along_y)
    along_x = half * b * near_y / a
    along_x = x0 if along_x < x0 else (x1 if along_x > x1 else along_x)
    first = a * near_x * near_x + b * near_x * along_y + c * along_y * along_y
    second = a * along_x * along_x + b * along_x * near_y + c * near_y * near_y
    return first if first > second else second


@kernel
def entry_bound(rect: Any, visible: Any, count: int) -> int:
    """How many (splat, tile) entries there are at most."""
    total = 0
    for k in range(count):
        i = visible[k]
        columns = (rect[i, 1] + TILE - 1) // TILE - rect[i, 0] // TILE
        rows = (rect[i, 3] + TILE - 1) // TILE - rect[i, 2] // TILE
        total += columns * rows
    return total


@kernel
def make_entries(
    splats: Any,
    rect: Any,
    visible: Any,
    count: int,
    tiles: Any,
    cut_off: float,
    entries: Any,
    entry_tile: Any,
    entry_splat: Any,
    tile_start: Any,
    tile_entries: Any,
    tile_splats: Any,
) -> int:
    """List, per tile, the entries of the splats that reach it, in the order of ``visible``.

    ``tiles`` (rows, columns) bool says which tiles count; ``cut_off`` is the log2 of the faintest alpha.
    Entries are numbered splat by splat: row i has ``entries[i, 0]`` up to ``entries[i, 1]``, none where they
    are equal. Tile t has ``tile_entries[tile_start[t] : tile_start[t + 1]]``, of the splats
    ``tile_splats``. ``entry_tile`` and ``entry_splat`` are scratch. Returns the number of entries.
    """
    tile_columns = tiles.shape[1]
    tile_count = tiles.shape[0] * tile_columns
    tile_start[: tile_count + 1] = 0
    total = 0
    entries[:, :] = 0
    last = np.float32(TILE - 0.5)
    for k in range(count):
        i = visible[k]
        entries[i, 0] = total
        x, y = splats[i, 0], splats[i, 1]
        a, b, c = splats[i, 2], splats[i, 3], splats[i, 4]
        limit = np.float32(cut_off) - splats[i, 5]
        for row in range(rect[i, 2] // TILE, (rect[i, 3] + TILE - 1) // TILE):
            y0 = np.float32(row * TILE) + np.float32(0.5) - y
            y1 = np.float32(row * TILE) + last - y
            for column in range(rect[i, 0] // TILE, (rect[i, 1] + TILE - 1) // TILE):
                if not tiles[row, column]:
                    continue
                x0 = np.float32(column * TILE) + np.float32(0.5) - x
                x1 = np.float32(column * TILE) + last - x
                if _power_in_box(a, b, c, x0, x1, y0, y1) < limit:
                    continue
                tile = row * tile_columns + column
                entry_tile[total] = tile
                entry_splat[total] = i
                tile_start[tile + 1] += 1
                total += 1
        entries[i, 1] = total
    for tile in range(tile_count):
        tile_start[tile + 1] += tile_start[tile]
    # fill from each tile's start, then the starts have moved to the ends: shift them back
    for entry in range(total):
        tile = entry_tile[entry]
        tile_entries[tile_start[tile]] = entry
        tile_splats[tile_start[tile]] = entry_splat[entry]
        tile_start[tile] += 1
    for tile in range(tile_count, 0, -1):
        tile_start[tile] = tile_start[tile - 1]
    tile_start[0] = 0
    return total


@kernel
def rows_with_entries(entries: Any, rows: Any) -> int:
    """Row numbers that have entries, ascending so that memory is walked in order; returns how many."""
    count = 0
    for i in range(entries.shape[0]):
        if entries[i, 1] > entries[i, 0]:
            rows[count] = i
            count += 1
    return count
