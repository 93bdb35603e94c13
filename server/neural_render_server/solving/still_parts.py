"""What stands still in a fixed camera's recording: the picture to solve from, and what moves masked out."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from .sharpness import small_grey

# Temporal deviation (levels of 255) above which a pixel counts as moving: several times a sensor's noise.
MOVING_DEVIATION = 10.0

# Features close to what moves describe it too: the mask grows by this part of the width.
GROWN = 0.01

# A camera stands still when most corners of its first frame are found again within this part of the width.
STILL_DISPLACEMENT = 0.004
CORNERS = 400


def still_picture(frames: Sequence[npt.NDArray[np.uint8]]) -> npt.NDArray[np.uint8]:
    """(H, W, 3) temporal median of a fixed camera's frames: what passes by is gone, noise averaged."""
    return np.asarray(np.median(np.stack(frames), axis=0)).astype(np.uint8)


def still_mask(frames: Sequence[npt.NDArray[np.uint8]]) -> npt.NDArray[np.bool_]:
    """(H, W) True where a fixed camera's frames hardly change, well clear of what moves.

    The deviation is the standard deviation over time of the channel that changes most, averaged over
    3x3 pixels so that noise and codec blocks do not count as motion. One frame gives no deviation.
    """
    deviation = np.stack(frames).astype(np.float32).std(axis=0).max(axis=-1)
    moving = cv2.blur(deviation, (3, 3)) > MOVING_DEVIATION
    radius = max(1, round(GROWN * moving.shape[1]))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    return np.asarray(cv2.dilate(moving.astype(np.uint8), disc) == 0)


def stands_still(first: npt.NDArray[np.uint8], later: npt.NDArray[np.uint8]) -> bool:
    """Whether a camera stands still between two of its frames, whatever moves before it.

    Corners of the first frame are followed into the later one (pyramidal Lucas-Kanade); most of what
    is found again must lie where it was.
    """
    before, after = small_grey(first), small_grey(later)
    corners = cv2.goodFeaturesToTrack(before, CORNERS, 0.01, 5)
    if corners is None:
        return True  # nothing to see that could move
    found, status, _ = cv2.calcOpticalFlowPyrLK(before, after, corners, np.empty_like(corners))
    is_found = status.ravel().astype(bool)
    if not is_found.any():
        return False
    moved = np.linalg.norm((found - corners).reshape(-1, 2)[is_found], axis=1)
    return bool(np.median(moved) <= STILL_DISPLACEMENT * before.shape[1])
