"""The corners of hash grids' cells for a chunk of points, and sums over them.

The numbers and weights of all corners come first, with SIMD over the points. What is left for each point is
a handful of loads that do not wait for one another, so that many cache misses are under way at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba.extending import intrinsic

from .jit import everywhere, inlined
from .lanes import LANES, lanes, larger, load, smaller, store, to_integers, truncated

# Points whose corners are worked out together.
CHUNK = 64
GROUPS = CHUNK // LANES
ALL = np.uint32(0xFFFFFFFF)


def corner_space(dimensions: int) -> int:
    """Length of the arrays that ``find_corners`` fills."""
    return CHUNK << dimensions


def in_chunks(points: int) -> int:
    """``points`` rounded up to whole chunks: what ``find_corners`` reads of positions."""
    return -(-points // CHUNK) * CHUNK


@inlined
def locate(position: Any, cells: Any, real: Any) -> Any:
    """Lower corner and fraction along one axis, in the number type ``real``: of one number or ``Lanes``."""
    place = larger(smaller(position, real(1)), real(0)) * real(cells)
    base = smaller(truncated(place), real(cells - 1))
    return to_integers(base), place - base


@inlined
def find_corners(
    positions: Any,
    start: int,
    cells: Any,
    factors: Any,
    is_dense: Any,
    mask: Any,
    first: Any,
    real: Any,
    entries: Any,
    weights: Any,
) -> None:
    """Table entries and weights of the corners around the chunk of points from ``start`` on, on one level.

    ``positions`` (D, N) of ``in_chunks`` points, ``start`` a multiple of ``CHUNK``; ``cells``, ``factors``
    (D,) and the other values of the level are as in ``HashLayout``, ``first`` its first entry. ``entries``,
    ``weights`` (``corner_space``,): corner c of the chunk's point i is at c * CHUNK + i, where bit k of c
    says that it is the upper one along axis k.
    """
    own_mask = ALL if is_dense else mask
    for group in range(GROUPS):
        store(entries, group, lanes(np.uint32(0)))
        store(weights, group, lanes(real(1)))
        size = 1
        for k in range(len(cells)):
            base, fraction = locate(load(positions[k], start // LANES + group), cells[k], real)
            term = base * factors[k]
            upper_term = term + factors[k]
            for corner in range(size):
                low, high = corner * GROUPS + group, (corner + size) * GROUPS + group
                entry, weight = load(entries, low), load(weights, low)
                if is_dense:
                    store(entries, high, entry + upper_term)
                    store(entries, low, entry + term)
                else:
                    store(entries, high, entry ^ upper_term)
                    store(entries, low, entry ^ term)
                store(weights, high, weight * fraction)
                store(weights, low, weight * (real(1) - fraction))
            size *= 2
        for corner in range(size):
            line = corner * GROUPS + group
            store(entries, line, (load(entries, line) & own_mask) + first)


def _over_corners(emit: Callable[..., None]) -> Any:
    """``f(table, entries, weights, i, vector, place, corners, features)``, unrolled over the corners.

    ``table`` and ``vector`` are flat; point i of the chunk has ``vector[place : place + features]``.
    ``corners`` and ``features`` are tuples of that many numbers: their lengths are known to the compiler.
    """

    def typed(
        _context: Any,
        table: Any,
        entries: Any,
        weights: Any,
        i: Any,
        vector: Any,
        place: Any,
        corners: Any,
        features: Any,
    ) -> Any:
        count = numba.types.int64
        signature = numba.types.void(table, entries, weights, count, vector, count, corners, features)
        return signature, generate

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        types = signature.args
        real = context.get_data_type(types[0].dtype)
        features = types[7].count
        own_features, word = ir.VectorType(real, features), ir.IntType(64)

        def data(index: int) -> Any:
            return context.make_array(types[index])(context, builder, arguments[index]).data

        def features_at(base: Any, index: Any) -> Any:
            return builder.bitcast(builder.gep(base, [index]), own_features.as_pointer())

        def corner(k: int) -> tuple[Any, Any]:
            """Where the corner's features lie, and its weight in every lane."""
            own = [builder.add(arguments[3], word(k * CHUNK))]
            entry = builder.zext(builder.load(builder.gep(data(1), own)), word)
            weight = builder.load(builder.gep(data(2), own))
            place = features_at(data(0), builder.mul(entry, word(features)))
            return place, everywhere(builder, weight, own_features)

        align = real.get_abi_size(context.target_data)
        emit(builder, map(corner, range(types[6].count)), features_at(data(4), arguments[5]), align)
        return context.get_dummy_value()

    return intrinsic(typed)


def _emit_gather(builder: Any, corners: Any, target: Any, align: int) -> None:
    total = ir.Constant(target.type.pointee, None)
    for entry, weight in corners:
        product = builder.fmul(weight, builder.load(entry, align=align), flags=("contract",))
        total = builder.fadd(total, product, flags=("contract",))
    builder.store(total, target, align=align)


def _emit_scatter(builder: Any, corners: Any, source: Any, align: int) -> None:
    upstream = builder.load(source, align=align)
    for entry, weight in corners:  # in turn: two corners may share an entry
        product = builder.fmul(weight, upstream, flags=("contract",))
        total = builder.fadd(builder.load(entry, align=align), product, flags=("contract",))
        builder.store(total, entry, align=align)


# vector[...] = sum over corners of weight * entry; and entry += weight * vector[...]
gather_corners: Any = _over_corners(_emit_gather)
scatter_corners: Any = _over_corners(_emit_scatter)
