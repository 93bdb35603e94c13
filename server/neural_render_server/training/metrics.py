"""Image metrics. Images are float arrays in [0, 1] of the capture's own encoding."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from skimage.metrics import structural_similarity

# MixVoxels' rule (released code, dynamic-pixel threshold): a pixel moves when its temporal deviation
# exceeds this, values in [0, 1].
MOVING_DEVIATION = 0.03

Image = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]


def mean_squared_error(image: Image, truth: Image, mask: Mask | None = None) -> float:
    """Mean over pixels (of ``mask``, where given) and channels of the squared difference."""
    squared = (image.astype(np.float64) - truth) ** 2
    return float(squared.mean() if mask is None else squared[mask].mean())


def without_unusable(image: Image, truth: Image, mask: Mask | None) -> Image:
    """``image`` with nothing to see outside ``mask``, over whose edge a metric's filters reach."""
    return image if mask is None else np.where(mask[..., None], image, truth)


def psnr(image: Image, truth: Image, mask: Mask | None = None) -> float:
    """-10 log10(MSE) in dB, capped at 100 for equal images."""
    return float(-10.0 * np.log10(max(mean_squared_error(image, truth, mask), 1e-10)))


# SSIM's window: Gaussian weights of deviation 1.5, cut off at 11 pixels (Wang et al. 2004, section III.B).
SSIM_WINDOW = 11


def ssim(image: Image, truth: Image, mask: Mask | None = None, data_range: float = 1.0) -> float:
    """SSIM with Wang's Gaussian window (2004), the mean over the pixels whose window lies in the image.

    Only pixels of ``mask`` count, and what lies outside it does not reach them. NaN where the image is
    smaller than the window. ``data_range`` is 1 for values in [0, 1]; DyNeRF's numbers (DSSIM2) come of 2.
    """
    if min(image.shape[:2]) < SSIM_WINDOW:
        return float("nan")
    image = without_unusable(image, truth, mask)
    _, of_pixels = structural_similarity(
        image,
        truth,
        channel_axis=-1,
        data_range=data_range,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        full=True,
    )
    border = SSIM_WINDOW // 2
    inner = (slice(border, -border), slice(border, -border))
    values = of_pixels[inner] if mask is None else of_pixels[inner][mask[inner]]
    return float(values.mean(dtype=np.float64)) if values.size else float("nan")


class MovingRegion:
    """Finds, from a camera's true frames one at a time, the pixels that move."""

    def __init__(self) -> None:
        self._count = 0
        self._sum: npt.NDArray[np.float64] | None = None
        self._square: npt.NDArray[np.float64] | None = None

    def add(self, truth: Image) -> None:
        values = truth.astype(np.float64)
        if self._sum is None or self._square is None:
            self._sum, self._square = np.zeros_like(values), np.zeros_like(values)
        self._count += 1
        self._sum += values
        self._square += values**2

    def mask(self) -> Mask:
        """(H, W) True where the deviation over time, averaged over the channels, exceeds the threshold."""
        if self._sum is None or self._square is None:
            raise ValueError("no frame was added")
        mean = self._sum / self._count
        deviation = np.sqrt(np.maximum(self._square / self._count - mean**2, 0.0)).mean(axis=-1)
        return np.asarray(deviation > MOVING_DEVIATION)
