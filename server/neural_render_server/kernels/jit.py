"""How every numba kernel is compiled, and the scalar functions they share.

Kernels release the GIL and hold no threads of their own (see ``threads.py``), so any number of Python
threads may call them at once; numba's own ``workqueue`` layer would abort the process there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba.extending import intrinsic

_Function = TypeVar("_Function", bound=Callable[..., Any])

# Reassociation lets LLVM turn sums into SIMD lanes. "nnan" and "ninf" stay off: a NaN must survive to
# the loss, where training is stopped.
_FASTMATH = {"reassoc", "contract", "arcp", "nsz", "afn"}


def kernel(function: _Function) -> _Function:
    """Compile with numba: cached on disk, without the GIL, sums in any order."""
    return cast(
        _Function, numba.njit(cache=True, nogil=True, fastmath=_FASTMATH, error_model="numpy")(function)
    )


def inlined(function: _Function) -> _Function:
    """As ``kernel``, inlined by LLVM into its callers' loops so that these stay SIMD."""
    return cast(
        _Function,
        numba.njit(cache=True, nogil=True, fastmath=_FASTMATH, error_model="numpy", forceinline=True)(
            function
        ),
    )


def _float_from_bits(_context: Any, bits: Any) -> Any:
    def generate(_target: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.FloatType())

    return numba.types.float32(bits), generate


def _bits_from_float(_context: Any, value: Any) -> Any:
    def generate(_target: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.IntType(32))

    return numba.types.uint32(value), generate


float_from_bits: Callable[[Any], Any] = intrinsic(_float_from_bits)
bits_from_float: Callable[[Any], Any] = intrinsic(_bits_from_float)

# Degree-5 polynomial of 2^f on [-0.5, 0.5], least squares at Chebyshev nodes; relative error below 2e-7.
_EXP2 = tuple(np.float32(c) for c in (1.0000001, 0.6931472, 0.24022107, 0.05550327, 0.009676037, 0.001340043))
_C0, _C1, _C2, _C3, _C4, _C5 = _EXP2
_OFFSET = np.float32(128.5)
_BIAS = np.float32(128.0)


@inlined
def exp2_small(exponent: Any) -> Any:
    """2^exponent for -126 < exponent < 127 in float32, written so that LLVM makes SIMD of it."""
    shifted = np.int32(exponent + _OFFSET)
    fraction = exponent - (np.float32(shifted) - _BIAS)
    power = _C4 + fraction * _C5
    power = _C3 + fraction * power
    power = _C2 + fraction * power
    power = _C1 + fraction * power
    power = _C0 + fraction * power
    return power * float_from_bits(np.int32((shifted - np.int32(1)) << np.int32(23)))
