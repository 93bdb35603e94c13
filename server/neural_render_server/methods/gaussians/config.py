"""The options of the Gaussians, their presets, and what is chosen automatically."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

from ..base import TrainingViews

# The recipe's counts were measured at this size: 30,000 for 24 timesteps, 40,000 for 48.
MEASURED_PIXELS = 320 * 240
MEASURED_TIMESTEPS = 24
MEASURED_COUNT = 30_000
TIMESTEP_EXPONENT = 0.45
# Sampled timesteps beyond which the start costs too much of a short budget, and the coarsest step at which
# what moves is still followed (recipe: 2 is better than 4).
SAMPLED_TIMESTEPS = 16
COARSEST_STEP = 4
# A long run has the steps to place more: 5,400 steps on 48 timesteps gained 0.2 dB in full and 0.4 dB where
# it moves from 52,000 instead of 41,000. At most this many times the count, from so many steps on.
LONG_RUN_STEPS = 2_000
LONG_RUN_EXPONENT = 0.25
MOST_MORE = 1.5
# Of the measured count, for a capture in which nothing moves.
STATIC_SHARE = 2.0 / 3.0
# Counts outside these bounds do not pay: too few to show anything, too many for two CPU cores' memory.
FEWEST, MOST = 2_000, 400_000


@dataclass
class GaussiansConfig:
    """Options of training; what is 0 is chosen from the capture."""

    count: int = 0
    """Gaussians at the end of growth; 0: 30,000 for 24 timesteps at 320x240, more for more of either and for
    longer runs."""
    start_share: float = 0.8
    """Share of the count at the start."""
    start: Literal["plane-sweep", "random"] = "plane-sweep"
    """Where Gaussians start: on surfaces found by stereo in the views, or anywhere."""
    time_step: int = 0
    """Timesteps between those at which moving Gaussians start; 0: more for longer captures, at most 4."""
    velocity: bool = True
    """Whether Gaussians move; off only to measure what motion is worth."""
    learning_rate: float = 0.0
    """Scale of the learning rates of shape and colour; 0: 4 for a thousand steps, less for more."""
    ssim_weight: float = 0.2
    """Share of structural similarity in the loss; the rest is the absolute difference."""
    transmittance_weight: float = 0.03
    """Weight of what shines through, for captures without alpha: walls become opaque."""
    tile_share: float = 0.85
    """Share of iterations that render only some tiles of the view: what moves, and what is still wrong."""
    tiles_from: float = 0.06
    """Fraction of the budget after which such iterations begin."""
    quarter_until: float = 0.02
    """Fraction of the budget trained at a quarter of the resolution."""
    half_until: float = 0.1
    """Fraction of the budget trained at up to half the resolution."""
    growth_until: float = 0.85
    """Fraction of the budget in which Gaussians are added."""


PRESETS: dict[str, dict[str, Any]] = {
    "small": {"count": 10_000},
    "default": {},
    "paper": {"start_share": 0.5},
}


def automatic_count(config: GaussiansConfig, views: TrainingViews) -> int:
    """``config.count``, or the recipe's count scaled by the size of the views and the number of timesteps."""
    if config.count > 0:
        return config.count
    pixels = max(camera.width * camera.height for camera in views.cameras)
    over_time: float = (len(views.times) / MEASURED_TIMESTEPS) ** TIMESTEP_EXPONENT
    count = MEASURED_COUNT * math.sqrt(pixels / MEASURED_PIXELS) * max(over_time, STATIC_SHARE)
    return round(min(max(count, FEWEST), MOST))


def room(config: GaussiansConfig, count: int) -> int:
    """The most Gaussians that a run of any length grows to, where ``automatic_count`` gave ``count``."""
    return count if config.count > 0 else round(MOST_MORE * count)


def growth_limit(config: GaussiansConfig, most: int, step: int, progress: float) -> int:
    """How many Gaussians to grow to, of the ``most`` there is ``room`` for, as the run's length now looks."""
    if config.count > 0 or progress <= 0.0:
        return most
    expected = step / progress
    more: float = max(1.0, (expected / LONG_RUN_STEPS) ** LONG_RUN_EXPONENT)
    return min(most, round(most / MOST_MORE * more))


def automatic_time_step(config: GaussiansConfig, views: TrainingViews) -> int:
    """``config.time_step``, or one timestep for every 16 there are, between 1 and 4."""
    if config.time_step > 0:
        return config.time_step
    return min(COARSEST_STEP, max(1, math.ceil(len(views.times) / SAMPLED_TIMESTEPS)))
