"""Adam for hash tables and small networks, with an exponential moving average of the weights.

Kingma and Ba 2015, as tiny-cuda-nn has it: an entry whose gradient is exactly 0 keeps its moments and its
value, so that cells no ray met are not moved by old momentum.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch

from .jit import kernel
from .threads import even_bounds, run_sliced
from .volume_dispatch import is_compiled


@dataclass(frozen=True)
class AdamRates:
    """``decay`` is an L2 penalty's factor, ``average`` the memory of the moving average a step."""

    rate: float
    decay: float = 0.0
    average: float = 0.95
    beta_1: float = 0.9
    beta_2: float = 0.99
    epsilon: float = 1e-15


def adam(
    values: torch.Tensor,
    gradient: torch.Tensor,
    moments: torch.Tensor,
    averaged: torch.Tensor,
    step: int,
    rates: AdamRates,
) -> None:
    """One step in place, the ``step``-th from 1; the ``gradient`` is set to 0.

    ``values``, ``gradient`` and ``averaged`` have one shape, ``moments`` (2, ...) holds two of it.
    """
    correction_1 = 1.0 - rates.beta_1**step
    correction_2 = math.sqrt(1.0 - rates.beta_2**step)
    rate = rates.rate * correction_2 / correction_1
    epsilon = rates.epsilon * correction_2
    if is_compiled(values):
        arrays = [tensor.detach().view(-1).numpy() for tensor in (values, gradient, averaged)]
        arrays += [moments[k].view(-1).numpy() for k in (0, 1)]
        real = arrays[0].dtype.type
        numbers = [rate, epsilon, rates.decay, rates.average, rates.beta_1, rates.beta_2]
        scalars = [real(number) for number in numbers]
        run_sliced(lambda low, high: _kernel(*arrays, *scalars, low, high), even_bounds(values.numel()))
        return
    with torch.no_grad():
        _reference(values, gradient, moments, averaged, rate, epsilon, rates)


def _reference(
    values: torch.Tensor,
    gradient: torch.Tensor,
    moments: torch.Tensor,
    averaged: torch.Tensor,
    rate: float,
    epsilon: float,
    rates: AdamRates,
) -> None:
    touched = gradient != 0
    total = gradient + rates.decay * values
    first = rates.beta_1 * moments[0] + (1.0 - rates.beta_1) * total
    second = rates.beta_2 * moments[1] + (1.0 - rates.beta_2) * total * total
    moved = values - rate * first / (second.sqrt() + epsilon)
    moments[0].copy_(torch.where(touched, first, moments[0]))
    moments[1].copy_(torch.where(touched, second, moments[1]))
    values.copy_(torch.where(touched, moved, values))
    averaged.lerp_(values, 1.0 - rates.average)
    gradient.zero_()


@kernel
def _adam_slice(
    values: Any,
    gradient: Any,
    averaged: Any,
    first: Any,
    second: Any,
    rate: Any,
    epsilon: Any,
    decay: Any,
    average: Any,
    beta_1: Any,
    beta_2: Any,
    low: int,
    high: int,
) -> None:
    one, zero = values.dtype.type(1), values.dtype.type(0)
    half = values.dtype.type(0.5)
    for i in range(low, high):
        g = gradient[i]
        touched = g != zero
        g = g + decay * values[i]
        m = beta_1 * first[i] + (one - beta_1) * g
        v = beta_2 * second[i] + (one - beta_2) * g * g
        moved = values[i] - rate * m / (v**half + epsilon)
        # selections instead of a branch, so that LLVM makes SIMD of it
        first[i] = m if touched else first[i]
        second[i] = v if touched else second[i]
        value = moved if touched else values[i]
        values[i] = value
        averaged[i] += (one - average) * (value - averaged[i])
        gradient[i] = zero


_kernel: Any = _adam_slice  # compiled functions have no types
