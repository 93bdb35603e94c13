"""How the levels of a multiresolution hash grid lie in one table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch

# One factor a dimension (Instant-NGP, Mueller et al. 2022, equation 4; the fourth as in tiny-cuda-nn).
PRIMES = (1, 2654435761, 805459861, 3674653429)


@dataclass(frozen=True)
class HashLayout:
    """Levels of grids over the unit cube [0, 1]^D.

    ``resolutions``: per level the cells along each of the D axes (2 to 4). A level whose corners number at
    most ``2^log2_table_size`` is stored densely, without collisions; a larger one is hashed into that many
    entries. ``features`` a level: 1, 2 or 4.
    """

    resolutions: tuple[tuple[int, ...], ...]
    features: int
    log2_table_size: int

    def __post_init__(self) -> None:
        if self.features not in (1, 2, 4):
            raise ValueError(f"features is {self.features}, but must be 1, 2 or 4")
        if not 2 <= self.dimensions <= 4 or any(len(level) != self.dimensions for level in self.resolutions):
            raise ValueError("every level needs a resolution for each of 2 to 4 dimensions")

    @property
    def dimensions(self) -> int:
        return len(self.resolutions[0])

    @property
    def levels(self) -> int:
        return len(self.resolutions)

    @property
    def width(self) -> int:
        """Features of all levels together."""
        return self.levels * self.features

    @cached_property
    def is_dense(self) -> npt.NDArray[np.bool_]:
        corners = [math.prod(cells + 1 for cells in level) for level in self.resolutions]
        return np.array([count <= 2**self.log2_table_size for count in corners])

    @cached_property
    def offsets(self) -> npt.NDArray[np.int64]:
        """(L + 1,) first entry of each level, and the number of all entries."""
        sizes = [
            math.prod(cells + 1 for cells in level) if dense else 2**self.log2_table_size
            for level, dense in zip(self.resolutions, self.is_dense, strict=True)
        ]
        return np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)

    @property
    def entries(self) -> int:
        return int(self.offsets[-1])

    @cached_property
    def cells(self) -> npt.NDArray[np.int64]:
        """(L, D) ``resolutions`` as an array."""
        return np.array(self.resolutions, dtype=np.int64)

    @cached_property
    def factors(self) -> npt.NDArray[np.uint32]:
        """(L, D) what a corner's coordinates are multiplied by: strides where dense, else the primes."""
        rows = []
        for level, dense in zip(self.resolutions, self.is_dense, strict=True):
            strides = np.cumprod([1] + [cells + 1 for cells in level[:-1]])
            rows.append(strides if dense else PRIMES[: self.dimensions])
        return np.array(rows, dtype=np.uint32)


def geometric_layout(
    dimensions: int,
    levels: int,
    features: int,
    log2_table_size: int,
    coarsest: int | Sequence[int],
    finest: int | Sequence[int],
) -> HashLayout:
    """Resolutions that grow geometrically from ``coarsest`` to ``finest`` (one number, or one per axis).

    Instant-NGP, equations 2 and 3.
    """
    first = np.broadcast_to(np.asarray(coarsest, dtype=np.float64), (dimensions,))
    last = np.broadcast_to(np.asarray(finest, dtype=np.float64), (dimensions,))
    shares = np.arange(levels) / max(1, levels - 1)
    # the small addend keeps floor() of an exact power from falling to the number below
    grown = np.floor(first * (last / first) ** shares[:, None] + 1e-6).astype(int)
    return HashLayout(tuple(tuple(int(n) for n in row) for row in grown), features, log2_table_size)


def initial_table(layout: HashLayout, generator: torch.Generator, amplitude: float = 1e-4) -> torch.Tensor:
    """(entries, features) uniform in +-``amplitude`` (Instant-NGP, section 4: 1e-4)."""
    return torch.empty(layout.entries, layout.features).uniform_(-amplitude, amplitude, generator=generator)
