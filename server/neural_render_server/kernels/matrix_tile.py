"""Products of small matrices that lie in the processor's caches, for numba kernels.

LLVM's own vectoriser keeps no block of results in registers, so the block is written out here as LLVM code:
each vector of ``b`` that is loaded feeds several rows of results. 64 x 64 x 64 ran at 160 GFLOP/s on one
AVX-512 core, where torch's product of 8192 x 64 x 64 ran at 77.
"""

from __future__ import annotations

from typing import Any

import numba
from llvmlite import binding, ir  # type: ignore[import-untyped]
from numba.core import cgutils
from numba.extending import intrinsic

from .jit import everywhere, inlined

# Rows and columns of matrices are padded to a multiple of this.
PADDING = 16


def _floats_a_register() -> int:
    features = binding.get_host_cpu_features()
    if features.get("avx512f"):
        return 16
    return 8 if features.get("avx") else 4


LANES = _floats_a_register()
# Results kept in registers: enough that additions do not wait for one another, and no more than there are
# registers (32, or 16 of them on x86 before AVX-512).
BLOCK_VECTORS = 8 if LANES == 8 else 16


def padded(size: int) -> int:
    """``size`` rounded up to a multiple of ``PADDING``."""
    return -(-size // PADDING) * PADDING


def _block(vectors: int) -> Any:
    """An intrinsic for a block of ``BLOCK_VECTORS // vectors`` rows and ``vectors * LANES`` columns.

    ``block(a, a_start, a_row, a_step, b, b_start, b_row, depth, c, c_start, c_row, add)`` on flat float32
    arrays: c[r, j] = sum over k < depth of a[r * a_row + k * a_step] b[k * b_row + j], added to c if ``add``.
    """
    rows = BLOCK_VECTORS // vectors

    def typed(
        _context: Any,
        a: Any,
        a_start: Any,
        a_row: Any,
        a_step: Any,
        b: Any,
        b_start: Any,
        b_row: Any,
        depth: Any,
        c: Any,
        c_start: Any,
        c_row: Any,
        add: Any,
    ) -> Any:
        kinds = numba.types
        count, floats = kinds.int64, kinds.Array(kinds.float32, 1, "C")
        signature = kinds.void(
            floats, count, count, count, floats, count, count, count, floats, count, count, kinds.boolean
        )
        return signature, generate

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        def data(index: int) -> Any:
            return context.make_array(signature.args[index])(context, builder, arguments[index]).data

        _, a_start, a_row, a_step, _, b_start, b_row, depth, _, c_start, c_row, add = arguments
        a, b, c = data(0), data(4), data(8)
        vector = ir.VectorType(ir.FloatType(), LANES)
        word = ir.IntType(64)

        def pointer(base: Any, index: Any, lane: int) -> Any:
            place = builder.gep(base, [builder.add(index, word(lane * LANES))])
            return builder.bitcast(place, vector.as_pointer())

        sums = [[cgutils.alloca_once(builder, vector) for _ in range(vectors)] for _ in range(rows)]
        for row in sums:
            for place in row:
                builder.store(ir.Constant(vector, None), place)
        with cgutils.for_range(builder, depth, intp=word) as loop:
            b_place = builder.add(b_start, builder.mul(loop.index, b_row))
            loaded = [builder.load(pointer(b, b_place, lane), align=4) for lane in range(vectors)]
            a_place = builder.add(a_start, builder.mul(loop.index, a_step))
            for row in sums:
                factor = everywhere(builder, builder.load(builder.gep(a, [a_place])), vector)
                for place, column in zip(row, loaded, strict=True):
                    product = builder.fmul(factor, column, flags=("contract",))
                    builder.store(builder.fadd(builder.load(place), product, flags=("contract",)), place)
                a_place = builder.add(a_place, a_row)
        c_place = c_start
        for row in sums:
            for lane, place in enumerate(row):
                target = pointer(c, c_place, lane)
                with builder.if_else(add) as (then, otherwise):
                    with then:
                        total = builder.fadd(builder.load(target, align=4), builder.load(place))
                        builder.store(total, target, align=4)
                    with otherwise:
                        builder.store(builder.load(place), target, align=4)
            c_place = builder.add(c_place, c_row)
        return context.get_dummy_value()

    return intrinsic(typed)


_block_1, _block_2, _block_4 = _block(1), _block(2), _block(4)


@inlined
def multiply(
    rows: int,
    columns: int,
    depth: int,
    a: Any,
    a_start: int,
    a_row: int,
    a_step: int,
    b: Any,
    b_start: int,
    b_row: int,
    c: Any,
    c_start: int,
    c_row: int,
    add: bool,
) -> None:
    """c[r, j] = sum over k < ``depth`` of a[r, k] b[k, j], added to what ``c`` holds if ``add``.

    Flat float32 arrays: a[r, k] is ``a[a_start + r * a_row + k * a_step]``, and rows of ``b`` and ``c`` lie
    together. ``rows`` and ``columns`` are multiples of ``PADDING``.
    """
    column = 0
    while column < columns:
        left = (columns - column) // LANES
        vectors = 4 if left >= 4 else (2 if left >= 2 else 1)
        for row in range(0, rows, BLOCK_VECTORS // vectors):
            a_place, c_place = a_start + row * a_row, c_start + row * c_row + column
            b_place = b_start + column
            if vectors == 4:
                _block_4(a, a_place, a_row, a_step, b, b_place, b_row, depth, c, c_place, c_row, add)
            elif vectors == 2:
                _block_2(a, a_place, a_row, a_step, b, b_place, b_row, depth, c, c_place, c_row, add)
            else:
                _block_1(a, a_place, a_row, a_step, b, b_place, b_row, depth, c, c_place, c_row, add)
        column += vectors * LANES
