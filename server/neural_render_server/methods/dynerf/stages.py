"""DyNeRF's stages: keyframes first, then the full sequence (section 3.2), with importance sampling (3.3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from ..volumetric.importance_sampler import GAMMA_FULL, GAMMA_KEYFRAMES

PixelWeights = Literal["even", "isg", "ist"]


@dataclass(frozen=True)
class Stage:
    """A part of the training: up to ``until`` of it, with rays chosen by ``weights``.

    ``rate`` is the number of its learning rate, ``gamma`` the scale of ISG.
    """

    until: float
    keyframes: bool
    weights: PixelWeights
    rate: int
    gamma: float = GAMMA_FULL


# Lengths of IS*'s three stages, in thousand steps, as HexPlane's authors state them (Cao and Johnson 2023).
_LENGTHS = (300.0, 250.0, 100.0)


def _two_stages(weights: PixelWeights) -> tuple[Stage, Stage]:
    keyframes = _LENGTHS[0] / sum(_LENGTHS)
    return Stage(keyframes, True, weights, 0, GAMMA_KEYFRAMES), Stage(1.0, False, weights, 1)


def _three_stages() -> tuple[Stage, Stage, Stage]:
    ends = np.cumsum(_LENGTHS) / sum(_LENGTHS)
    return (
        Stage(float(ends[0]), True, "isg", 0, GAMMA_KEYFRAMES),
        Stage(float(ends[1]), False, "isg", 1),
        Stage(1.0, False, "ist", 2),
    )


SAMPLINGS: dict[str, tuple[Stage, ...]] = {
    "none": _two_stages("even"),
    "isg": _two_stages("isg"),
    "ist": _two_stages("ist"),
    "is*": _three_stages(),
}


def stage_at(sampling: str, progress: float) -> Stage:
    """The stage of the training at ``progress`` in [0, 1]."""
    stages = SAMPLINGS[sampling]
    return next((stage for stage in stages if progress < stage.until), stages[-1])


def keyframes(timesteps: Sequence[int] | npt.NDArray[np.int64], interval: int) -> npt.NDArray[np.int64]:
    """Every ``interval``-th of the ascending ``timesteps`` and the last, so that all lie between two."""
    chosen = np.asarray(timesteps, dtype=np.int64)[::interval]
    return np.unique(np.append(chosen, timesteps[-1]))
