"""Training pixels of which a share is drawn one way and the rest another."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .rays import Pixels, PixelSampler


@dataclass(frozen=True)
class MixedSampler:
    """``share`` of a batch comes from ``first``, the rest from ``second``."""

    first: PixelSampler
    second: PixelSampler
    share: float

    def sample(self, random: np.random.Generator, count: int) -> Pixels:
        own = min(max(round(self.share * count), 0), count)
        parts = [
            sampler.sample(random, wanted)
            for sampler, wanted in ((self.first, own), (self.second, count - own))
            if wanted
        ]
        return Pixels(
            np.concatenate([part.views for part in parts]),
            np.concatenate([part.rows for part in parts]),
            np.concatenate([part.columns for part in parts]),
        )
