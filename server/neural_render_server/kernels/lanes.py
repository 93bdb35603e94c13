"""Sixteen float32 numbers in the processor's vector registers, as one value inside numba kernels.

LLVM makes SIMD of plain loops over a tile's row by itself, but keeps no sums in registers from row to row and
takes 256 bits where 512 are faster: 18.4 ms for what takes 11.2 with these. ``Lanes`` are LLVM's own vectors:
``+ - * /`` and the functions below work on them and on numbers, which stand for themselves in every lane.
Where registers are shorter LLVM splits them.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, cast

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.extending import intrinsic, models, overload, register_model

from .jit import inlined

LANES = 16
_FLOAT, _INTEGER = ir.FloatType(), ir.IntType(32)
_VECTOR, _INTEGERS = ir.VectorType(_FLOAT, LANES), ir.VectorType(_INTEGER, LANES)
_UNDEFINED = ir.Constant(_VECTOR, ir.Undefined)


class LanesType(types.Type):  # type: ignore[misc]
    """The type of ``Lanes`` values; they live in kernels only."""

    def __init__(self) -> None:
        super().__init__(name="Lanes")


LANES_TYPE = LanesType()


@register_model(LanesType)
class _LanesModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, _VECTOR)


def _is_lanes(kind: Any) -> bool:
    return isinstance(kind, LanesType)


def _everywhere(number: int) -> Any:
    return ir.Constant(_INTEGERS, [number] * LANES)


def _widened(context: Any, builder: Any, kind: Any, value: Any) -> Any:
    """The LLVM vector of a ``Lanes`` value, or of a number for all lanes."""
    if _is_lanes(kind):
        return value
    number = context.cast(builder, value, kind, types.float32)
    return builder.shuffle_vector(
        builder.insert_element(_UNDEFINED, number, _INTEGER(0)), _UNDEFINED, _everywhere(0)
    )


def _written(function: Callable[..., Any]) -> Callable[..., Any]:
    """An intrinsic for kernels, which do not pass numba's context as the function takes it."""
    return cast(Callable[..., Any], intrinsic(function))


def _function(build: Callable[..., Any], arguments: int) -> Callable[..., Any]:
    """An intrinsic of so many ``Lanes`` or numbers that gives ``Lanes``; ``build(builder, *vectors)`` writes
    its code.
    """

    def typed(*kinds: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            pairs = zip(signature.args, values, strict=True)
            return build(builder, *(_widened(context, builder, kind, value) for kind, value in pairs))

        return LANES_TYPE(*kinds), generate

    # numba counts an intrinsic's arguments
    counted: dict[int, Callable[..., Any]] = {
        1: lambda _context, a: typed(a),
        2: lambda _context, a, b: typed(a, b),
        4: lambda _context, a, b, c, d: typed(a, b, c, d),
    }
    return _written(counted[arguments])


def _larger(builder: Any, a: Any, b: Any) -> Any:
    return builder.select(builder.fcmp_ordered(">", a, b), a, b)


def _smaller(builder: Any, a: Any, b: Any) -> Any:
    return builder.select(builder.fcmp_ordered("<", a, b), a, b)


def _where_less(builder: Any, a: Any, b: Any, then: Any, otherwise: Any) -> Any:
    return builder.select(builder.fcmp_ordered("<", a, b), then, otherwise)


def _truncated(builder: Any, a: Any) -> Any:
    return builder.sitofp(builder.fptosi(a, _INTEGERS), _VECTOR)


def _two_to(builder: Any, exponent: Any) -> Any:
    # the exponent of a float32 has an offset of 127 and lies above the 23 bits of its fraction
    biased = builder.add(builder.fptosi(exponent, _INTEGERS), _everywhere(127))
    return builder.bitcast(builder.shl(biased, _everywhere(23)), _VECTOR)


# the same number in every lane
lanes = _function(lambda _builder, number: number, 1)
# the larger and the smaller of two; the second where one is no number
larger = _function(_larger, 2)
smaller = _function(_smaller, 2)
# where_less(a, b, then, otherwise): ``then`` where a < b; ``otherwise`` elsewhere and where one is no number
where_less = _function(_where_less, 4)
# the whole part of numbers below 2^31, rounded towards zero
truncated = _function(_truncated, 1)
# 2^exponent of whole exponents from -126 to 127
two_to = _function(_two_to, 1)


def _overload_for_lanes(operation: Any, instruction: Callable[..., Any]) -> None:
    combined = _function(instruction, 2)

    @overload(operation, jit_options={"forceinline": True})  # type: ignore[untyped-decorator]
    def of_lanes(a: Any, b: Any) -> Any:
        def both(a: Any, b: Any) -> Any:
            return combined(a, b)

        return both if _is_lanes(a) or _is_lanes(b) else None


_overload_for_lanes(operator.add, ir.IRBuilder.fadd)
_overload_for_lanes(operator.iadd, ir.IRBuilder.fadd)
_overload_for_lanes(operator.sub, ir.IRBuilder.fsub)
_overload_for_lanes(operator.mul, ir.IRBuilder.fmul)
_overload_for_lanes(operator.truediv, ir.IRBuilder.fdiv)


@_written
def lane_numbers(_context: Any) -> Any:
    """0, 1, ... 15."""
    return LANES_TYPE(), lambda *_: ir.Constant(_VECTOR, [float(lane) for lane in range(LANES)])


def _line(context: Any, builder: Any, kind: Any, array: Any, index: Any) -> Any:
    """Where line ``index`` of a C-contiguous (N, 16) float32 array begins."""
    data = context.make_array(kind)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [builder.mul(index, index.type(LANES))]), _VECTOR.as_pointer())


@_written
def load(_context: Any, array: Any, line: Any) -> Any:
    """Line ``line`` of a C-contiguous (N, 16) float32 array."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.load(_line(context, builder, signature.args[0], *values), align=4)

    return LANES_TYPE(array, types.intp), generate


@_written
def store(_context: Any, array: Any, line: Any, value: Any) -> Any:
    """Write ``value`` into line ``line`` of a C-contiguous (N, 16) float32 array."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        builder.store(values[2], _line(context, builder, signature.args[0], *values[:2]), align=4)
        return context.get_dummy_value()

    return types.void(array, types.intp, value), generate


@_written
def any_reaches(_context: Any, value: Any, least: Any) -> Any:
    """Whether one of the lanes is at least ``least``."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        bound = _widened(context, builder, signature.args[1], values[1])
        flags = builder.bitcast(builder.fcmp_ordered(">=", values[0], bound), ir.IntType(LANES))
        return builder.icmp_unsigned("!=", flags, flags.type(0))

    return types.boolean(value, least), generate


@_written
def sum_of(_context: Any, value: Any) -> Any:
    """The sum of the lanes."""

    def generate(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        total, undefined = values[0], ir.Constant(_VECTOR, ir.Undefined)
        for distance in (8, 4, 2, 1):
            order = ir.Constant(_INTEGERS, [lane ^ distance for lane in range(LANES)])
            total = builder.fadd(total, builder.shuffle_vector(total, undefined, order))
        return builder.extract_element(total, _INTEGER(0))

    return types.float32(value), generate


# Degree-5 polynomial of 2^f on [-0.5, 0.5], least squares at Chebyshev nodes; relative error below 2e-7.
_EXP2 = tuple(np.float32(c) for c in (1.0000001, 0.6931472, 0.24022107, 0.05550327, 0.009676037, 0.001340043))
_C0, _C1, _C2, _C3, _C4, _C5 = _EXP2
_OFFSET = np.float32(128.5)
_BIAS = np.float32(128.0)


@inlined
def exp2_small(exponent: Any) -> Any:
    """2^exponent for -126 < exponent < 127."""
    whole = truncated(exponent + _OFFSET) - _BIAS
    fraction = exponent - whole
    power = _C4 + fraction * _C5
    power = _C3 + fraction * power
    power = _C2 + fraction * power
    power = _C1 + fraction * power
    power = _C0 + fraction * power
    return power * two_to(whole)
