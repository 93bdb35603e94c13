"""Recordings that were made smaller at an unchanged frame size, with black bars around the picture."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from ..cameras import Camera

# Left, top, right, bottom in pixels (right and bottom exclusive).
Area = tuple[int, int, int, int]

# Mean of a bar's brightest channel (0..255): video black is 0, compression leaves some noise.
BLACK = 24.0

# Pixels beside a bar's edge that compression and resampling smear.
SMEAR = 2


def in_letterbox(calibrated: Camera, pixels: npt.NDArray[np.uint8]) -> tuple[Camera, Area] | None:
    """The camera of a frame (H, W, 3) that shows the whole calibrated picture between black bars.

    Returns the camera at the frame's size, its intrinsics those of the picture within, and the
    picture's area less the smeared edge; None where the frame has no such bars.
    """
    height, width = pixels.shape[:2]
    scale = min(width / calibrated.width, height / calibrated.height)
    inner_width, inner_height = round(calibrated.width * scale), round(calibrated.height * scale)
    left, top = (width - inner_width) // 2, (height - inner_height) // 2
    bars = [band for band in _bands(pixels, left, top) if band.size]
    if not bars or any(band.max(axis=-1).mean() > BLACK for band in bars):
        return None
    picture = calibrated.scaled(inner_width, inner_height)
    camera = replace(picture, width=width, height=height, cx=picture.cx + left, cy=picture.cy + top)
    inset_x, inset_y = (SMEAR if left else 0), (SMEAR if top else 0)
    area = (left + inset_x, top + inset_y, left + inner_width - inset_x, top + inner_height - inset_y)
    return camera, area


def _bands(pixels: npt.NDArray[np.uint8], left: int, top: int) -> list[npt.NDArray[np.uint8]]:
    """The bars where they are expected, less the smeared pixels next to the picture."""
    rows, columns = max(top - SMEAR, 0), max(left - SMEAR, 0)
    height, width = pixels.shape[:2]
    return [pixels[:rows], pixels[height - rows :], pixels[:, :columns], pixels[:, width - columns :]]
