"""What decoded frames are made of: sRGB-encoded Rec.709, in 8 bits, or in 16 where the footage has more.

16 bits go beyond white: ``DEEP_WHITE`` is 1, and the brightest that fits is 16, in linear light 690 times
white. Either kind can be resized and resampled as it is.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
Float32Array = npt.NDArray[np.float32]

WHITE = 255
# 12 bits up to white, the most that cameras record, and four for what is brighter.
DEEP_WHITE = 4095


def white_of(pixels: npt.NDArray[Any]) -> int:
    """The number that stands for 1."""
    return DEEP_WHITE if pixels.dtype == np.uint16 else WHITE


def as_float(pixels: npt.NDArray[Any]) -> Float32Array:
    """float32 of any shape, white at 1."""
    return np.asarray(np.multiply(pixels, np.float32(1.0 / white_of(pixels)), dtype=np.float32))


def as_bytes(pixels: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """8 bits, clipped at white: for what looks at shapes, not at light."""
    if pixels.dtype == np.uint8:
        return pixels
    return np.asarray(np.rint(np.minimum(as_float(pixels), 1.0) * WHITE), dtype=np.uint8)


def from_float(values: Float32Array, deep: bool) -> Pixels:
    """``values`` with white at 1, clipped to what fits."""
    if deep:
        return np.asarray(np.rint(np.clip(values * DEEP_WHITE, 0.0, 65535.0)), dtype=np.uint16)
    return np.asarray(np.rint(np.clip(values, 0.0, 1.0) * WHITE), dtype=np.uint8)
