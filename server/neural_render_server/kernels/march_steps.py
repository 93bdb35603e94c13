"""How long the steps of a ray march are."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class MarchSteps:
    """Steps of ``t * cone`` (t along the ray), but at least ``least`` and at most ``longest`` long.

    Lengths are in edges of the innermost cube. ``most`` occupied steps a ray are kept. Instant-NGP's
    released code: sqrt(3)/1024, 1/256 for scenes beyond the innermost cube (else 0), 1024.
    """

    least: float = math.sqrt(3.0) / 1024.0
    longest: float = math.sqrt(3.0) / 1024.0
    cone: float = 0.0
    most: int = 1024
