"""Sixteen numbers in the processor's vector registers, as one value inside numba kernels.

LLVM makes SIMD of plain loops over a tile's row by itself, but keeps no sums in registers from row to row and
takes 256 bits where 512 are faster: 18.4 ms for what takes 11.2 with these. ``Lanes`` are LLVM's own vectors
of float32, float64 or uint32. Operators and the functions below work on them and on numbers, which stand for
themselves in every lane, and on numbers alone. Where registers are shorter LLVM splits them.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, cast

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, overload, register_model

from .jit import everywhere, inlined

LANES = 16
_WORD, _FLOAT = ir.IntType(32), ir.FloatType()
_ELEMENTS = {types.float32: _FLOAT, types.float64: ir.DoubleType(), types.uint32: _WORD}


class LanesType(types.Type):  # type: ignore[misc]
    """The type of 16 numbers of type ``dtype``; such values live in kernels only."""

    def __init__(self, dtype: Any) -> None:
        self.dtype = dtype
        super().__init__(name=f"Lanes({dtype})")


@register_model(LanesType)
class _LanesModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, _vector(_ELEMENTS[kind.dtype]))


def _vector(element: Any) -> Any:
    return ir.VectorType(element, LANES)


def _is_lanes(kind: Any) -> bool:
    return isinstance(kind, LanesType)


def _widened(context: Any, builder: Any, kind: Any, value: Any, dtype: Any) -> Any:
    """The LLVM vector of a ``Lanes`` value, or of a number for all lanes."""
    if _is_lanes(kind):
        return value
    return everywhere(builder, context.cast(builder, value, kind, dtype), _vector(_ELEMENTS[dtype]))


def _written(function: Callable[..., Any]) -> Callable[..., Any]:
    """An intrinsic for kernels, which do not pass numba's context as the function takes it."""
    return cast(Callable[..., Any], intrinsic(function))


def _function(build: Callable[..., Any], arguments: int, result: Any = None) -> Callable[..., Any]:
    """An intrinsic of so many ``Lanes`` or numbers; ``build(builder, *values)`` writes its code.

    It gives ``Lanes`` if one argument is that, of the type ``result`` or else of its arguments.
    """

    def typed(*kinds: Any) -> Any:
        wide = [kind.dtype for kind in kinds if _is_lanes(kind)]
        dtype = wide[0] if wide else kinds[0]
        if any(other != dtype for other in wide):
            return None

        def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            def converted(kind: Any, value: Any) -> Any:
                if wide:
                    return _widened(context, builder, kind, value, dtype)
                return context.cast(builder, value, kind, dtype)

            pairs = zip(signature.args, values, strict=True)
            return build(builder, *(converted(kind, value) for kind, value in pairs))

        element = dtype if result is None else result
        return (LanesType(element) if wide else element)(*kinds), generate

    # numba counts an intrinsic's arguments
    counted: dict[int, Callable[..., Any]] = {
        1: lambda _context, a: typed(a),
        2: lambda _context, a, b: typed(a, b),
        4: lambda _context, a, b, c, d: typed(a, b, c, d),
    }
    return _written(counted[arguments])


def _is_integer(value: Any) -> bool:
    return isinstance(getattr(value.type, "element", value.type), ir.IntType)


def _like(value: Any, element: Any) -> Any:
    """The type of as many of ``element`` as ``value`` has numbers."""
    return _vector(element) if isinstance(value.type, ir.VectorType) else element


def _arithmetic(floats: Callable[..., Any], integers: Callable[..., Any]) -> Callable[..., Any]:
    return lambda builder, a, b: (integers if _is_integer(a) else floats)(builder, a, b)


def _compared(builder: Any, sign: str, a: Any, b: Any) -> Any:
    return (builder.icmp_unsigned if _is_integer(a) else builder.fcmp_ordered)(sign, a, b)


def _larger(builder: Any, a: Any, b: Any) -> Any:
    return builder.select(_compared(builder, ">", a, b), a, b)


def _smaller(builder: Any, a: Any, b: Any) -> Any:
    return builder.select(_compared(builder, "<", a, b), a, b)


def _root(builder: Any, value: Any) -> Any:
    wide = f"v{LANES}" if isinstance(value.type, ir.VectorType) else ""
    bits = 64 if _like(value, ir.DoubleType()) == value.type else 32
    kind = ir.FunctionType(value.type, [value.type])
    return builder.call(
        cgutils.get_or_insert_function(builder.module, kind, f"llvm.sqrt.{wide}f{bits}"), [value]
    )


def _where_less(builder: Any, a: Any, b: Any, then: Any, otherwise: Any) -> Any:
    return builder.select(_compared(builder, "<", a, b), then, otherwise)


def _to_integers(builder: Any, value: Any) -> Any:
    return builder.fptosi(value, _like(value, _WORD))


def _truncated(builder: Any, value: Any) -> Any:
    return builder.sitofp(_to_integers(builder, value), value.type)


def _to_floats(builder: Any, value: Any) -> Any:
    return builder.sitofp(value, _like(value, _FLOAT))


def _from_bits(builder: Any, value: Any) -> Any:
    return builder.bitcast(value, _like(value, _FLOAT))


# the larger and the smaller of two; the second where one is no number
larger = _function(_larger, 2)
smaller = _function(_smaller, 2)
# where_less(a, b, then, otherwise): ``then`` where a < b; ``otherwise`` elsewhere and where one is no number
where_less = _function(_where_less, 4)
# the square root
root = _function(_root, 1)
# the whole part of numbers below 2^31, rounded towards zero, and the same as uint32 (negative ones wrapped)
truncated = _function(_truncated, 1)
to_integers = _function(_to_integers, 1, types.uint32)
# a uint32 as float32, from 2^31 on as the negative number that it was wrapped from
to_floats = _function(_to_floats, 1, types.float32)
# the float32 whose bits are a uint32's
from_bits = _function(_from_bits, 1, types.float32)


def _overload_for_lanes(operation: Any, instruction: Callable[..., Any]) -> None:
    combined = _function(instruction, 2)

    @overload(operation, jit_options={"forceinline": True})  # type: ignore[untyped-decorator]
    def of_lanes(a: Any, b: Any) -> Any:
        def both(a: Any, b: Any) -> Any:
            return combined(a, b)

        return both if _is_lanes(a) or _is_lanes(b) else None


_overload_for_lanes(operator.add, _arithmetic(ir.IRBuilder.fadd, ir.IRBuilder.add))
_overload_for_lanes(operator.iadd, _arithmetic(ir.IRBuilder.fadd, ir.IRBuilder.add))
_overload_for_lanes(operator.sub, _arithmetic(ir.IRBuilder.fsub, ir.IRBuilder.sub))
_overload_for_lanes(operator.mul, _arithmetic(ir.IRBuilder.fmul, ir.IRBuilder.mul))
_overload_for_lanes(operator.truediv, ir.IRBuilder.fdiv)
_overload_for_lanes(operator.xor, ir.IRBuilder.xor)
_overload_for_lanes(operator.and_, ir.IRBuilder.and_)
_overload_for_lanes(operator.lshift, ir.IRBuilder.shl)


@_written
def lanes(_context: Any, number: Any) -> Any:
    """The same float32, float64 or uint32 in every lane."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return _widened(context, builder, signature.args[0], values[0], signature.args[0])

    return LanesType(number)(number), generate


@_written
def lane_numbers(_context: Any) -> Any:
    """0, 1, ... 15 as float32."""
    numbers = [float(lane) for lane in range(LANES)]
    return LanesType(types.float32)(), lambda *_: ir.Constant(_vector(_FLOAT), numbers)


def _line(context: Any, builder: Any, kind: Any, array: Any, index: Any) -> Any:
    """Where the numbers from ``LANES * index`` on of a C-contiguous array begin."""
    data = context.make_array(kind)(context, builder, array).data
    first = builder.gep(data, [builder.mul(index, index.type(LANES))])
    return builder.bitcast(first, _vector(_ELEMENTS[kind.dtype]).as_pointer())


def _alignment(kind: Any) -> int:
    return int(kind.dtype.bitwidth) // 8


@_written
def load(_context: Any, array: Any, line: Any) -> Any:
    """The 16 numbers of a C-contiguous array from number ``16 line`` on: a line, where rows have 16."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        kind = signature.args[0]
        return builder.load(_line(context, builder, kind, *values), align=_alignment(kind))

    return LanesType(array.dtype)(array, types.intp), generate


@_written
def store(_context: Any, array: Any, line: Any, value: Any) -> Any:
    """Write ``value`` over what ``load(array, line)`` gives."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        kind = signature.args[0]
        builder.store(values[2], _line(context, builder, kind, *values[:2]), align=_alignment(kind))
        return context.get_dummy_value()

    return types.void(array, types.intp, LanesType(array.dtype)), generate


@_written
def any_reaches(_context: Any, value: Any, least: Any) -> Any:
    """Whether one of the lanes is at least ``least``."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        bound = _widened(context, builder, signature.args[1], values[1], signature.args[0].dtype)
        flags = builder.bitcast(_compared(builder, ">=", values[0], bound), ir.IntType(LANES))
        return builder.icmp_unsigned("!=", flags, flags.type(0))

    return types.boolean(value, least), generate


@_written
def sum_of(_context: Any, value: Any) -> Any:
    """The sum of the lanes, of floats."""

    def generate(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        total = values[0]
        for distance in (8, 4, 2, 1):
            order = ir.Constant(_vector(_WORD), [lane ^ distance for lane in range(LANES)])
            other = builder.shuffle_vector(total, ir.Constant(total.type, ir.Undefined), order)
            total = builder.fadd(total, other)
        return builder.extract_element(total, _WORD(0))

    return value.dtype(value), generate


# Degree-5 polynomial of 2^f on [-0.5, 0.5], least squares at Chebyshev nodes; relative error below 2e-7.
_EXP2 = tuple(np.float32(c) for c in (1.0000001, 0.6931472, 0.24022107, 0.05550327, 0.009676037, 0.001340043))
_C0, _C1, _C2, _C3, _C4, _C5 = _EXP2
_OFFSET = np.float32(127.5)
_BIAS = np.uint32(127)


@inlined
def exp2_small(exponent: Any) -> Any:
    """2^exponent of float32 for -126 < exponent < 127."""
    # A float32's exponent has an offset of 127 and lies above the 23 bits of its fraction. The offset is
    # taken off as an integer: of floats LLVM would make (exponent + 127) - biased, with 20 times the error.
    biased = to_integers(exponent + _OFFSET)
    fraction = exponent - to_floats(biased - _BIAS)
    power = _C4 + fraction * _C5
    power = _C3 + fraction * power
    power = _C2 + fraction * power
    power = _C1 + fraction * power
    power = _C0 + fraction * power
    return power * from_bits(biased << np.uint32(23))
