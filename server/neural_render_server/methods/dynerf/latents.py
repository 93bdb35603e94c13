"""A latent code for each timestep, interpolated between them."""

from __future__ import annotations

import math

import torch
from torch import nn

from ..nerf.conditions import Condition

# Standard deviation of the codes' start, over the square root of their size (section 3.1).
START_DEVIATION = 0.01


class LatentCodes(Condition):
    """``codes`` (T, D) at ascending ``times`` (T,) in seconds; linear between them, constant outside.

    At a timestep the code is its own, without interpolation: what is trained there moves no other.
    Section 3.1, and 4 for interpolation at render time (slow motion).
    """

    times: torch.Tensor

    def __init__(self, times: torch.Tensor, codes: torch.Tensor) -> None:
        super().__init__()
        self.width = codes.shape[1]
        self.register_buffer("times", times.detach().float().clone())
        self.codes = nn.Parameter(codes.detach().clone())

    def forward(self, times: torch.Tensor) -> torch.Tensor:
        last = len(self.times) - 1
        above = torch.searchsorted(self.times, times.contiguous(), right=True).clamp(1, max(1, last))
        above, below = above.clamp_max(last), above - 1
        start, end = self.times[below], self.times[above]
        share = ((times - start) / (end - start).clamp_min(1e-12)).clamp(0.0, 1.0)[:, None]
        return (1.0 - share) * self.codes[below] + share * self.codes[above]

    @staticmethod
    def random(times: torch.Tensor, size: int, generator: torch.Generator) -> LatentCodes:
        """Normally distributed codes, as DyNeRF starts them."""
        codes = torch.randn(len(times), size, generator=generator) * (START_DEVIATION / math.sqrt(size))
        return LatentCodes(times, codes)

    def at(self, times: torch.Tensor) -> LatentCodes:
        """Codes of their own for other ``times``, interpolated from these (section 3.2)."""
        with torch.no_grad():
            return LatentCodes(times, self(times.to(self.times)))
