"""What a network is told of the moment besides the place: nothing, or the encoded time."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from ...fields.encodings import positional_encoding, positional_encoding_width


class Condition(nn.Module, ABC):
    """Maps times to the vectors that join the encoded position."""

    width: int

    @abstractmethod
    def forward(self, times: torch.Tensor) -> torch.Tensor:
        """(R,) seconds -> (R, width)."""


class Timeless(Condition):
    """NeRF's: the scene stands still."""

    width = 0

    def forward(self, times: torch.Tensor) -> torch.Tensor:
        return times.new_zeros(len(times), 0)


class EncodedTime(Condition):
    """NeRF-T's: time from -1 to 1 over the capture, by positional encoding (DyNeRF, section 3.1)."""

    def __init__(self, first: float, last: float, octaves: int) -> None:
        super().__init__()
        self.octaves = octaves
        self.width = positional_encoding_width(1, octaves)
        self.register_buffer("span", torch.tensor([first, last, octaves], dtype=torch.float64))

    def forward(self, times: torch.Tensor) -> torch.Tensor:
        first, last = self.span[0], self.span[1]  # type: ignore[index]
        place = (times.double() - 0.5 * (first + last)) / (0.5 * (last - first))
        return positional_encoding(place.clamp(-1.0, 1.0).to(times.dtype)[:, None], self.octaves)

    @staticmethod
    def of(times: npt.NDArray[np.float64], octaves: int) -> EncodedTime:
        """For a capture's ascending ``times`` (T,); ``octaves`` 0 takes as many as they can tell apart.

        A frequency with more than half a wave between timesteps would wave freely between them.
        """
        if octaves == 0:
            octaves = 1 + int(math.log2(math.pi * (len(times) - 1) / 2.0))
        return EncodedTime(float(times[0]), float(times[-1]), octaves)

    @staticmethod
    def from_span(span: torch.Tensor) -> EncodedTime:
        first, last, octaves = span.tolist()
        return EncodedTime(first, last, int(octaves))
