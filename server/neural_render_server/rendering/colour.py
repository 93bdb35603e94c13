"""Colour: captures train in sRGB encoding and leave as scene-linear Rec.709."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..captures.transfer import linear_to_srgb, srgb_to_linear

__all__ = ["linear_to_srgb", "premultiplied_srgb_to_linear", "srgb_to_linear"]

FloatImage = npt.NDArray[np.float32]


def premultiplied_srgb_to_linear(color: FloatImage, opacity: FloatImage) -> FloatImage:
    """Premultiplied sRGB-encoded colour (H, W, 3) to premultiplied linear.

    The encoding is not linear, so it is undone on the straight colour.
    """
    coverage = np.maximum(opacity, 1e-6)[..., None]
    straight = np.asarray(color / coverage, dtype=np.float32)
    return np.asarray(srgb_to_linear(straight) * opacity[..., None], dtype=np.float32)
