"""L1 and SSIM with their gradient: numba, row by row.

SSIM is Wang et al. 2004: an 11x11 Gaussian window of deviation 1.5, C1 = 0.01^2, C2 = 0.03^2 for images in
[0, 1], zero outside the image as in the released 3D Gaussian Splatting code.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .jit import inlined, kernel

SSIM_RADIUS = 5
SSIM_C1 = 0.01**2
SSIM_C2 = 0.03**2


def ssim_window() -> npt.NDArray[np.float32]:
    """(11,) weights of the separable window, summing to one."""
    offsets = np.arange(-SSIM_RADIUS, SSIM_RADIUS + 1)
    weights = np.exp(-0.5 * (offsets / 1.5) ** 2)
    window: npt.NDArray[np.float32] = (weights / weights.sum()).astype(np.float32)
    return window


_W = ssim_window()
_W0, _W1, _W2, _W3, _W4, _W5 = (np.float32(w) for w in _W[5:])
_C1 = np.float32(SSIM_C1)
_C2 = np.float32(SSIM_C2)
_TWO = np.float32(2.0)
_ONE = np.float32(1.0)
_PAD = 3 * SSIM_RADIUS


@kernel
def compose(
    color: Any, transmittance: Any, truth: Any, used: Any, background: Any, low: int, high: int, image: Any
) -> None:
    """``image`` (H, W, 3) = colour over ``background``, and the truth where a pixel is not ``used``."""
    for row in range(low, high):
        for column in range(color.shape[1]):
            for channel in range(3):
                if used[row, column]:
                    image[row, column, channel] = (
                        color[row, column, channel] + transmittance[row, column] * background[channel]
                    )
                else:
                    image[row, column, channel] = truth[row, column, channel]


@inlined
def _along(line: Any, j: int) -> Any:
    """The window's weighted sum along a padded line of interleaved pixels."""
    return (
        _W5 * (line[j] + line[j + 30])
        + _W4 * (line[j + 3] + line[j + 27])
        + _W3 * (line[j + 6] + line[j + 24])
        + _W2 * (line[j + 9] + line[j + 21])
        + _W1 * (line[j + 12] + line[j + 18])
        + _W0 * line[j + 15]
    )


@kernel
def ssim_rows(
    image: Any, truth: Any, phase: int, stride: int, low: int, high: int, derivatives: Any, sums: Any
) -> None:
    """SSIM of every ``stride``-th of rows ``low <= row < high`` and its derivatives blurred along the row.

    The rows are those with ``row % stride == phase``. ``derivatives`` (3, H, 3 W): for the mean, the square
    and the product of the image's window. ``sums`` (H,) gets each such row's sum over pixels and channels.
    """
    height, width = image.shape[0], image.shape[1] * 3
    columns = np.zeros((4, width + 2 * _PAD), np.float32)
    slopes = np.zeros((3, width + 2 * _PAD), np.float32)
    for row in range(low, high):
        if row % stride != phase:
            continue
        columns[:, _PAD : _PAD + width] = np.float32(0.0)
        for offset in range(-SSIM_RADIUS, SSIM_RADIUS + 1):
            other = row + offset
            if other < 0 or other >= height:
                continue
            weight = _W[offset + SSIM_RADIUS]
            x_row = image[other].reshape(width)
            y_row = truth[other].reshape(width)
            for j in range(width):
                x = x_row[j]
                y = y_row[j]
                columns[0, _PAD + j] += weight * x
                columns[1, _PAD + j] += weight * y
                columns[2, _PAD + j] += weight * (x * x + y * y)
                columns[3, _PAD + j] += weight * (x * y)
        total = np.float32(0.0)
        for j in range(width):
            mean_x = _along(columns[0], j)
            mean_y = _along(columns[1], j)
            squares = _along(columns[2], j)
            product = _along(columns[3], j)
            means = mean_x * mean_x + mean_y * mean_y
            a1 = _TWO * mean_x * mean_y + _C1
            a2 = _TWO * (product - mean_x * mean_y) + _C2
            over_b1 = _ONE / (means + _C1)
            over_b2 = _ONE / (squares - means + _C2)
            over = over_b1 * over_b2
            similarity = a1 * a2 * over
            total += similarity
            slopes[0, _PAD + j] = _TWO * (
                mean_y * (a2 - a1) * over + mean_x * similarity * (over_b2 - over_b1)
            )
            slopes[1, _PAD + j] = -similarity * over_b2
            slopes[2, _PAD + j] = _TWO * a1 * over
        sums[row] = total
        for k in range(3):
            for j in range(width):
                derivatives[k, row, j] = _along(slopes[k], j)


@kernel
def image_gradient(
    image: Any,
    truth: Any,
    used: Any,
    derivatives: Any,
    phase: int,
    stride: int,
    l1_scale: float,
    ssim_scale: float,
    low: int,
    high: int,
    d_image: Any,
    error: Any,
    sums: Any,
) -> None:
    """``d_image`` (H, W, 3) of l1_scale sum |x - y| - ssim_scale sum SSIM, zero where not ``used``.

    ``derivatives``, ``phase`` and ``stride`` are those of ``ssim_rows``.
    ``error`` (H, W) gets the absolute difference summed over channels, ``sums`` (H, 2) each row's sums of
    absolute and of squared differences.
    """
    height, width = image.shape[0], image.shape[1]
    line = np.empty((3, width * 3), np.float32)
    l1 = np.float32(l1_scale)
    ssim = np.float32(ssim_scale)
    for row in range(low, high):
        line[:] = np.float32(0.0)
        if ssim_scale != 0:
            for offset in range(-SSIM_RADIUS, SSIM_RADIUS + 1):
                other = row + offset
                if other < 0 or other >= height or other % stride != phase:
                    continue
                weight = _W[offset + SSIM_RADIUS]
                for k in range(3):
                    for j in range(width * 3):
                        line[k, j] += weight * derivatives[k, other, j]
        absolute: Any = 0.0
        squared: Any = 0.0
        for column in range(width):
            summed = np.float32(0.0)
            for channel in range(3):
                j = 3 * column + channel
                x = image[row, column, channel]
                y = truth[row, column, channel]
                difference = x - y
                size = abs(difference)
                summed += size
                squared += difference * difference
                sign = np.float32(0.0) if difference == 0 else (l1 if difference > 0 else -l1)
                gradient = sign - ssim * (line[0, j] + _TWO * x * line[1, j] + y * line[2, j])
                d_image[row, column, channel] = gradient if used[row, column] else np.float32(0.0)
            error[row, column] = summed
            absolute += summed
        sums[row, 0] = absolute
        sums[row, 1] = squared
