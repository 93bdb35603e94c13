"""Which frames of a video are sharp enough to solve from, evenly spaced over it."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

# Blur is measured at this width: noise is averaged away, motion blur of a few pixels still shows.
MEASURED_WIDTH = 640

# A chosen frame with less than this part of the others' median sharpness is left out.
LEAST_SHARPNESS = 0.25


def small_grey(pixels: npt.NDArray[np.uint8], width: int = MEASURED_WIDTH) -> npt.NDArray[np.uint8]:
    """(h, w) luma of an (H, W, 3) picture, at most ``width`` wide."""
    grey = cv2.cvtColor(pixels[..., :3], cv2.COLOR_RGB2GRAY)
    if grey.shape[1] > width:
        height = max(1, round(grey.shape[0] * width / grey.shape[1]))
        grey = cv2.resize(grey, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(grey)


def sharpness(pixels: npt.NDArray[np.uint8]) -> float:
    """Variance of the Laplacian over that of the picture: falls as a picture blurs, whatever its contrast.

    The measure is LAPV of Pertuz et al., Analysis of focus measure operators, 2013, with the contrast
    divided out. ``pixels``: (H, W, 3) uint8.
    """
    grey = small_grey(pixels).astype(np.float32)
    return float(cv2.Laplacian(grey, cv2.CV_32F).var() / (grey.var() + 1.0))


def choose_sharp(measures: npt.NDArray[np.float64], count: int) -> list[int]:
    """The sharpest frame of each of ``count`` equal parts of a recording, but for blurred parts.

    ``measures`` are the frames' sharpness in order. Ascending indices; at least one.
    """
    parts = np.array_split(np.arange(len(measures)), min(max(count, 1), len(measures)))
    best = [int(part[np.argmax(measures[part])]) for part in parts]
    least = LEAST_SHARPNESS * float(np.median(measures[best]))
    return [index for index in best if measures[index] >= least]
