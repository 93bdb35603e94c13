"""A training view's pixels, at the resolution of the present iteration, as the loss takes them."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from ...captures.pixels import as_float
from ..base import TrainingViews


@dataclass(frozen=True, eq=False)
class Truth:
    """``color`` (H, W, 3) float32 premultiplied by ``alpha`` (H, W, or None: opaque); ``used`` (H, W)."""

    color: npt.NDArray[np.float32]
    alpha: npt.NDArray[np.float32] | None
    used: npt.NDArray[np.bool_] | None

    def over(self, background: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """The view before a constant background."""
        if self.alpha is None:
            return self.color
        return self.color + (1.0 - self.alpha[..., None]) * background


def read_truth(views: TrainingViews, index: int, width: int, height: int) -> Truth:
    """View ``index`` resized to ``width`` x ``height``; a pixel is used where all it covers is usable."""
    rgb, alpha, mask = views.rgb(index), views.alpha(index), views.mask(index)
    color = as_float(rgb)
    opacity = None if alpha is None else as_float(alpha)
    if opacity is not None:
        color *= opacity[..., None]
    used = None if mask is None else mask.astype(np.float32)
    if color.shape[:2] != (height, width):
        size = (width, height)
        color = cv2.resize(color, size, interpolation=cv2.INTER_AREA)
        if opacity is not None:
            opacity = cv2.resize(opacity, size, interpolation=cv2.INTER_AREA)
        if used is not None:
            used = cv2.resize(used, size, interpolation=cv2.INTER_AREA)
    return Truth(color, opacity, None if used is None else used > 0.999)
