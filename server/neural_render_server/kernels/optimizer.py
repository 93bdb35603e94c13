"""Adam on the rows that were drawn: numba.

Kingma and Ba 2015, with each row's own step count: a Gaussian that is rarely seen keeps its moments
meanwhile, as in the "sparse" Adam of Gaussian splatting. The small constant is added inside the root, where
it also keeps a fast square root of 0 from being NaN.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .jit import kernel
from .layout import EXTENT, VELOCITY, WIDTH

# Adam's constants of the recipe: a short second-moment memory, since rows are seen irregularly.
BETA_1, BETA_2, EPSILON = 0.9, 0.99, 1e-15
VELOCITY_FIRST, VELOCITY_LAST = VELOCITY.start, VELOCITY.stop


@kernel
def adam_rows(
    parameters: Any,
    moments: Any,
    steps: Any,
    visible: Any,
    gradients: Any,
    rates: Any,
    shortest: float,
    longest: float,
    beta_1: float,
    beta_2: float,
    epsilon: float,
    low: int,
    high: int,
) -> None:
    """One Adam step of rows ``visible[low:high]`` with ``gradients`` (V, 28) and ``rates`` (28,).

    ``shortest`` and ``longest`` are the ``spans`` of ``Backend.adam``.

    ``parameters`` (N, 28), ``moments`` (N, 2, 28) and ``steps`` (N,) int32 are changed in place.
    """
    one = np.float32(1.0)
    b1 = np.float32(beta_1)
    b2 = np.float32(beta_2)
    shorter, longer = np.float32(shortest), np.float32(longest)
    is_velocity = np.zeros(WIDTH, np.float32)
    is_velocity[VELOCITY_FIRST:VELOCITY_LAST] = one
    small = np.float32(epsilon * epsilon)
    # not a power: LLVM makes of that a call that numba cannot link
    log_1, log_2 = math.log(beta_1), math.log(beta_2)
    for k in range(low, high):
        i = visible[k]
        steps[i] += 1
        correction_1 = np.float32(1.0 / (1.0 - math.exp(steps[i] * log_1)))
        correction_2 = np.float32(1.0 / (1.0 - math.exp(steps[i] * log_2)))
        extent = np.float32(math.exp(parameters[i, EXTENT]))
        slower = shorter / min(max(extent, shorter), longer)
        for j in range(WIDTH):
            gradient = gradients[k, j]
            first = b1 * moments[i, 0, j] + (one - b1) * gradient
            second = b2 * moments[i, 1, j] + (one - b2) * gradient * gradient
            moments[i, 0, j] = first
            moments[i, 1, j] = second
            rate = rates[j] * (one + is_velocity[j] * (slower - one))
            parameters[i, j] -= rate * first * correction_1 / (np.sqrt(second * correction_2 + small))
