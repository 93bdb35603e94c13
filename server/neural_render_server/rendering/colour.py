"""Colour: 8-bit captures train in sRGB encoding and leave as scene-linear Rec.709."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatImage = npt.NDArray[np.float32]


def srgb_to_linear(encoded: FloatImage) -> FloatImage:
    """IEC 61966-2-1 decoding; values above 1 follow the same curve, negative ones become 0."""
    value = np.maximum(encoded, 0.0)
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    return np.asarray(linear, dtype=np.float32)


def linear_to_srgb(linear: FloatImage) -> FloatImage:
    """IEC 61966-2-1 encoding, the inverse of ``srgb_to_linear``."""
    value = np.maximum(linear, 0.0)
    encoded = np.where(value <= 0.0031308, value * 12.92, 1.055 * value ** (1.0 / 2.4) - 0.055)
    return np.asarray(encoded, dtype=np.float32)


def premultiplied_srgb_to_linear(color: FloatImage, opacity: FloatImage) -> FloatImage:
    """Premultiplied sRGB-encoded colour (H, W, 3) to premultiplied linear.

    The encoding is not linear, so it is undone on the straight colour.
    """
    coverage = np.maximum(opacity, 1e-6)[..., None]
    straight = np.asarray(color / coverage, dtype=np.float32)
    return np.asarray(srgb_to_linear(straight) * opacity[..., None], dtype=np.float32)
