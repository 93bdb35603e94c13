"""A hash grid read with the size of what is asked for: features finer than it fade (Zip-NeRF, section 2)."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import torch
from torch import nn

from ...kernels.hash_encoding import hash_encode
from ...kernels.hash_layout import HashLayout, initial_table
from ...kernels.multisampling import weighted_means

# Entries start within this, and are multiplied by the other before use: Adam then takes larger steps in
# proportion (released code).
START, PRECONDITION = 1e-5, 10.0


def doubling_layout(coarsest: int, finest: int, features: int, log2_table_size: int) -> HashLayout:
    """Levels that double in resolution from ``coarsest`` up to ``finest``, over three dimensions.

    A level is stored densely where all its corners fit; Zip-NeRF counts cells, so that its 128^3 still fit.
    """
    count = 1 + int(math.log2(finest / coarsest))
    return HashLayout(tuple((coarsest * 2**level,) * 3 for level in range(count)), features, log2_table_size)


def down_weights(stds: torch.Tensor, resolutions: torch.Tensor) -> torch.Tensor:
    """(N, L) shares of each level that Gaussians of ``stds`` (N,) keep: erf(1 / sqrt(8 std^2 n^2)).

    ``stds`` in edges of the unit cube, ``resolutions`` (L,) cells along it.
    """
    return torch.erf(1.0 / (math.sqrt(8.0) * stds.clamp_min(1e-12)[:, None] * resolutions))


class MultisampledGrid(nn.Module):
    """Features of intervals: the mean over their Gaussians of the down-weighted encodings."""

    resolutions: torch.Tensor

    def __init__(self, layout: HashLayout, generator: torch.Generator) -> None:
        super().__init__()
        self.layout = layout
        self.table = nn.Parameter(initial_table(layout, generator, START))
        cells = torch.tensor([level[0] for level in layout.resolutions], dtype=torch.float32)
        self.register_buffer("resolutions", cells, persistent=False)

    @property
    def width(self) -> int:
        """Features of an interval: those of all levels, and how much of each level is left."""
        return self.layout.width + self.layout.levels

    def forward(self, means: torch.Tensor, stds: torch.Tensor) -> torch.Tensor:
        """(N, width) features for ``means`` (N, M, 3) and ``stds`` (N, M) in the unit cube."""
        layout = self.layout
        encoded = hash_encode(means.reshape(-1, 3), self.table, layout)
        weights = down_weights(stds.reshape(-1), self.resolutions)
        features, shares = weighted_means(
            encoded.view(*stds.shape, layout.levels, layout.features), weights.view(*stds.shape, -1)
        )
        # how coarse the question was, in the features' own magnitude (released code)
        with torch.no_grad():
            magnitude = torch.sqrt(START**2 + self.mean_squares())
        scales = (2.0 * shares - 1.0) * magnitude
        return PRECONDITION * torch.cat([features.flatten(1), scales], dim=-1)

    def mean_squares(self) -> torch.Tensor:
        """(L,) mean of each level's squared entries: their sum is the normalised weight decay."""
        offsets = self.layout.offsets.tolist()
        squares: torch.Tensor = _MeanSquares.apply(self.table, offsets)  # type: ignore[no-untyped-call]
        return squares


class _MeanSquares(torch.autograd.Function):
    """Autograd would fill and add a whole table for the gradient of each level."""

    @staticmethod
    def forward(ctx: Any, table: torch.Tensor, offsets: list[int]) -> torch.Tensor:
        ctx.save_for_backward(table)
        ctx.offsets = offsets
        parts = [table[low:high].reshape(-1) for low, high in pairwise(offsets)]
        return torch.stack([part.dot(part) / part.numel() for part in parts])

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None]:
        (table,) = ctx.saved_tensors
        d_table = torch.empty_like(table)
        for gradient, (low, high) in zip(gradients[0], pairwise(ctx.offsets), strict=True):
            part = table[low:high]
            torch.mul(part, 2.0 * gradient / part.numel(), out=d_table[low:high])
        return d_table, None
