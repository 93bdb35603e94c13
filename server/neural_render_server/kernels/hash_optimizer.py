"""Adam for hash tables and small networks, with an exponential moving average of the weights.

Kingma and Ba 2015, as tiny-cuda-nn has it: an entry whose gradient is exactly 0 keeps its moments and its
value, so that cells no ray met are not moved by old momentum. Most entries of a large table are so in any
step: blocks of them are skipped without a look at anything but their gradient. The average follows every
``AVERAGE_INTERVAL`` steps, because it is the only part that would touch all entries in each step.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from .jit import inlined, kernel
from .lanes import LANES, any_reaches, lanes, larger, load, root, store, where_less
from .threads import run_sliced
from .volume_dispatch import is_compiled

# Weights move little in this many steps beside the twenty or so that the average spans.
AVERAGE_INTERVAL = 8
# Values that a thread takes at once, a multiple of LANES: touched ones are many here and few there.
SLICE = 2**18


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

    ``averaged`` takes its ``AVERAGE_INTERVAL`` steps at once, when ``step`` is a multiple of that.

    ``values``, ``gradient`` and ``averaged`` have one shape, ``moments`` (2, ...) holds two of it.
    """
    correction_1 = 1.0 - rates.beta_1**step
    correction_2 = math.sqrt(1.0 - rates.beta_2**step)
    rate = rates.rate * correction_2 / correction_1
    epsilon = rates.epsilon * correction_2
    memory = 1.0 if step % AVERAGE_INTERVAL else rates.average**AVERAGE_INTERVAL
    if is_compiled(values):
        arrays = [tensor.detach().view(-1).numpy() for tensor in (values, gradient, moments[0], moments[1])]
        real = arrays[0].dtype.type
        # the least number that is not 0
        scalars = [np.finfo(real).smallest_subnormal]
        scalars += [real(n) for n in (rate, epsilon, rates.decay, rates.beta_1, rates.beta_2)]
        bounds = [*range(0, values.numel(), SLICE), values.numel()]
        run_sliced(lambda low, high: cpu_adam(*arrays, *scalars, low, high), bounds)
        if memory < 1.0:
            average, share = averaged.detach().view(-1).numpy(), real(1.0 - memory)
            run_sliced(lambda low, high: cpu_average(arrays[0], average, share, low, high), bounds)
        return
    with torch.no_grad():
        _reference(values, gradient, moments, rate, epsilon, rates)
        averaged.lerp_(values, 1.0 - memory)


def _reference(
    values: torch.Tensor,
    gradient: torch.Tensor,
    moments: torch.Tensor,
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
    gradient.zero_()


@inlined
def _moved(
    value: Any,
    gradient: Any,
    size: Any,
    least: Any,
    first: Any,
    second: Any,
    one: Any,
    rate: Any,
    epsilon: Any,
    decay: Any,
    beta_1: Any,
    beta_2: Any,
) -> Any:
    """Value and moments after a step where ``size`` reaches ``least``, of a number or of ``Lanes``."""
    total = gradient + value * decay
    m = first * beta_1 + total * (one - beta_1)
    v = second * beta_2 + total * total * (one - beta_2)
    moved = value - m * rate / (root(v) + epsilon)
    return (
        where_less(size, least, value, moved),
        where_less(size, least, first, m),
        where_less(size, least, second, v),
    )


@kernel
def _adam_slice(
    values: Any,
    gradient: Any,
    first: Any,
    second: Any,
    least: Any,
    rate: Any,
    epsilon: Any,
    decay: Any,
    beta_1: Any,
    beta_2: Any,
    low: int,
    high: int,
) -> None:
    """Values ``low`` to ``high``; ``low`` is a multiple of ``LANES``."""
    one, zero = values.dtype.type(1), values.dtype.type(0)
    for line in range(low // LANES, high // LANES):
        g = load(gradient, line)
        size = larger(g, zero - g)
        if any_reaches(size, least):
            value, m, v = load(values, line), load(first, line), load(second, line)
            value, m, v = _moved(value, g, size, least, m, v, one, rate, epsilon, decay, beta_1, beta_2)
            store(values, line, value)
            store(first, line, m)
            store(second, line, v)
            store(gradient, line, lanes(zero))
    for i in range(high // LANES * LANES, high):
        g = gradient[i]
        values[i], first[i], second[i] = _moved(
            values[i], g, abs(g), least, first[i], second[i], one, rate, epsilon, decay, beta_1, beta_2
        )
        gradient[i] = zero


@kernel
def _average_slice(values: Any, averaged: Any, share: Any, low: int, high: int) -> None:
    for i in range(low, high):
        averaged[i] += share * (values[i] - averaged[i])


cpu_adam: Any = _adam_slice  # compiled functions have no types
cpu_average: Any = _average_slice
