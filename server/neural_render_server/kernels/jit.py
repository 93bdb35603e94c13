"""How every numba kernel is compiled, and the scalar functions they share.

Kernels release the GIL and hold no threads of their own (see ``threads.py``), so any number of Python
threads may call them at once; numba's own ``workqueue`` layer would abort the process there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
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


def _bits_from_float(_context: Any, value: Any) -> Any:
    def generate(_target: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.IntType(32))

    return numba.types.uint32(value), generate


bits_from_float: Callable[[Any], Any] = intrinsic(_bits_from_float)


def everywhere(builder: Any, number: Any, vector: Any) -> Any:
    """LLVM code that puts ``number`` into every lane of a value of the type ``vector``."""
    word = ir.IntType(32)
    undefined = ir.Constant(vector, ir.Undefined)
    first = builder.insert_element(undefined, number, word(0))
    return builder.shuffle_vector(first, undefined, ir.Constant(ir.VectorType(word, vector.count), None))
