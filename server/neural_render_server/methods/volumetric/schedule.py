"""How the learning rate of hash fields falls."""

from __future__ import annotations

from typing import Literal

Schedule = Literal["budget", "published"]

# Instant-NGP's released code: the rate is multiplied by this at step 20,000 and every 10,000 from there.
FALL, FALL_START, FALL_EVERY = 0.33, 20_000, 10_000
# Otherwise the rate falls exponentially over this last share of the budget, to this share of itself.
BUDGET_SHARE, BUDGET_FALL = 0.6, 0.03


def learning_rate(start: float, schedule: Schedule, step: int, progress: float) -> float:
    """The rate at ``step`` (from 0) and ``progress`` in [0, 1] of the budget."""
    if schedule == "published":
        return float(start * FALL ** max(0, (step - FALL_START) // FALL_EVERY + 1))
    return float(start * BUDGET_FALL ** max(0.0, (progress - 1.0 + BUDGET_SHARE) / BUDGET_SHARE))
