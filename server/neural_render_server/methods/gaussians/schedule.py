"""What changes over training, as functions of the fraction of the budget that is spent."""

from __future__ import annotations

import math

import torch

from ...kernels import layout
from .config import GaussiansConfig

# Learning rates of the recipe at the start (per unit of the working scale, timestep or logit); the first
# falls to a fiftieth, the others to 0.12 of it.
POSITION_RATE, POSITION_FALL = 4e-3, 0.02
VELOCITY_SHARE = 1.0 / 3.0
# A change of velocity moves a Gaussian the further the longer it lives, in timesteps: from the first on its
# rate falls in proportion, up to the second. 1,500 steps on 48 timesteps of `stage` gain 0.9 dB, 0.2 where it
# moves, over one rate for all; falling on up to 1,000 timesteps, 0.8 and 0.1.
VELOCITY_SPANS = (3.0, 24.0)
TIME_RATE = 0.05
EXTENT_RATE = 0.02
OPACITY_RATE = 0.05
SHAPE_RATE = 0.012
COLOR_RATE = 0.008
HARMONICS_RATE = 0.002
BACKGROUND_RATE = 0.002
FALL = 0.12
# Distance from the camera at which POSITION_RATE was measured, in the capture's units (metres).
MEASURED_DISTANCE = 4.5


# Shape and colour learn four times as fast as the recipe's first guess in a short run, and slower in a long
# one, which has the steps to settle: 4 was measured at 1,100 steps, 2 against 4 at 5,800; between is a guess.
FASTEST, SLOWEST = 4.0, 1.0
FAST_STEPS = 1500


def automatic_learning_rate(step: int, progress: float) -> float:
    """The scale of the rates from how many steps the whole run will have, as it looks at ``progress``."""
    expected = step / progress if progress > 0.0 else 0.0
    return min(FASTEST, max(SLOWEST, FASTEST * math.sqrt(FAST_STEPS / max(expected, 1.0))))


def learning_rates(config: GaussiansConfig, progress: float, step: int, distance: float) -> torch.Tensor:
    """(28,) float32 rates at ``progress``, after ``step`` steps.

    ``distance`` is the scene's usual distance from the cameras, in capture units.
    """
    rates = torch.zeros(layout.WIDTH)
    scale = config.learning_rate or automatic_learning_rate(step, progress)
    fall = FALL**progress
    position = POSITION_RATE * POSITION_FALL**progress * distance / MEASURED_DISTANCE
    rates[layout.POSITION] = position
    rates[layout.VELOCITY] = VELOCITY_SHARE * position if config.velocity else 0.0
    rates[layout.TIME] = TIME_RATE * fall
    rates[layout.EXTENT] = EXTENT_RATE * fall
    rates[layout.OPACITY] = OPACITY_RATE * fall
    rates[layout.SCALE] = SHAPE_RATE * scale * fall
    rates[layout.ROTATION] = SHAPE_RATE * scale * fall
    rates[layout.COLOR] = COLOR_RATE * scale * fall
    rates[layout.HARMONICS] = HARMONICS_RATE * fall
    return rates


def downscale(config: GaussiansConfig, progress: float) -> int:
    """How many times smaller than the views to train at ``progress``."""
    if progress < config.quarter_until:
        return 4
    return 2 if progress < config.half_until else 1
