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


@inlined
def _runs(flags: Any, gap: int, runs: Any) -> int:
    """Ranges that hold a row's True ``flags``, joined over gaps of up to ``gap``, into ``runs``; how many."""
    count = 0
    for column in range(len(flags)):
        if flags[column]:
            if count > 0 and column - runs[count - 1, 1] <= gap:
                runs[count - 1, 1] = column + 1
            else:
                runs[count, 0] = column
                runs[count, 1] = column + 1
                count += 1
    return count


@kernel
def ssim_rows(
    image: Any,
    truth: Any,
    used: Any,
    phase: int,
    stride: int,
    low: int,
    high: int,
    derivatives: Any,
    sums: Any,
) -> None:
    """SSIM of every ``stride``-th of rows ``low <= row < high`` and its derivatives blurred along the row.

    The rows are those with ``row % stride == phase``. ``derivatives`` (3, H, 3 W): for the mean, the square
    and the product of the image's window. ``sums`` (H,) gets each such row's sum of 1 - SSIM over pixels
    and channels. Only windows with a ``used`` (H, W) pixel are looked at: elsewhere ``image`` must be
    ``truth``, so that SSIM is 1; the derivatives there are not written.
    """
    height, columns_of_image = used.shape
    width = 3 * columns_of_image
    columns = np.zeros((4, width + 2 * _PAD), np.float32)
    slopes = np.zeros((3, width + 2 * _PAD), np.float32)
    reached = np.empty(columns_of_image, np.bool_)
    runs = np.empty((columns_of_image // 2 + 1, 2), np.int64)
    for row in range(low, high):
        if row % stride != phase:
            continue
        first_row, last_row = max(0, row - SSIM_RADIUS), min(height, row + SSIM_RADIUS + 1)
        reached[:] = False
        for other in range(first_row, last_row):
            for column in range(columns_of_image):
                reached[column] |= used[other, column]
        total = np.float32(0.0)
        # Windows of different runs have no pixel in common. Loops over slices that start at 0: LLVM makes
        # no SIMD of indices that might be negative.
        for run in range(_runs(reached, 2 * SSIM_RADIUS, runs)):
            start, end = 3 * runs[run, 0], 3 * runs[run, 1]
            first, last = max(0, start - _PAD), min(width, end + _PAD)
            left, right = max(0, first - _PAD), min(width, last + _PAD)
            columns[:, _PAD + left : _PAD + right] = np.float32(0.0)
            line_x = columns[0, _PAD + left : _PAD + right]
            line_y = columns[1, _PAD + left : _PAD + right]
            line_squares = columns[2, _PAD + left : _PAD + right]
            line_product = columns[3, _PAD + left : _PAD + right]
            for other in range(first_row, last_row):
                weight = _W[other - row + SSIM_RADIUS]
                x_row = image[other].reshape(width)[left:right]
                y_row = truth[other].reshape(width)[left:right]
                for j in range(right - left):
                    x = x_row[j]
                    y = y_row[j]
                    line_x[j] += weight * x
                    line_y[j] += weight * y
                    line_squares[j] += weight * (x * x + y * y)
                    line_product[j] += weight * (x * y)
            line_x = columns[0, first:]
            line_y = columns[1, first:]
            line_squares = columns[2, first:]
            line_product = columns[3, first:]
            slope_mean = slopes[0, _PAD + first : _PAD + last]
            slope_square = slopes[1, _PAD + first : _PAD + last]
            slope_product = slopes[2, _PAD + first : _PAD + last]
            for j in range(last - first):
                mean_x = _along(line_x, j)
                mean_y = _along(line_y, j)
                squares = _along(line_squares, j)
                product = _along(line_product, j)
                means = mean_x * mean_x + mean_y * mean_y
                a1 = _TWO * mean_x * mean_y + _C1
                a2 = _TWO * (product - mean_x * mean_y) + _C2
                over_b1 = _ONE / (means + _C1)
                over_b2 = _ONE / (squares - means + _C2)
                over = over_b1 * over_b2
                similarity = a1 * a2 * over
                total += _ONE - similarity
                slope_mean[j] = _TWO * (mean_y * (a2 - a1) * over + mean_x * similarity * (over_b2 - over_b1))
                slope_square[j] = -similarity * over_b2
                slope_product[j] = _TWO * a1 * over
            for k in range(3):
                along_row = derivatives[k, row, start:end]
                slope = slopes[k, start:]
                for j in range(end - start):
                    along_row[j] = _along(slope, j)
        sums[row] = total


@kernel
def image_gradient(
    image: Any,
    transmittance: Any,
    truth: Any,
    used: Any,
    background: Any,
    derivatives: Any,
    phase: int,
    stride: int,
    l1_scale: float,
    ssim_scale: float,
    transmittance_scale: float,
    low: int,
    high: int,
    d_color: Any,
    d_transmittance: Any,
    error: Any,
    sums: Any,
) -> None:
    """Gradients of l1_scale sum |x - y| - ssim_scale sum SSIM + transmittance_scale sum T, rows ``low`` on.

    x is ``image``, colour + T ``background``; the sums are over ``used`` pixels, elsewhere the gradients
    are zero. ``derivatives``, ``phase`` and ``stride`` are those of ``ssim_rows``. Writes ``d_color``
    (H, W, 3), ``d_transmittance`` (H, W), ``error`` (H, W), the absolute difference summed over channels,
    and ``sums`` (H, 6): each row's absolute differences, squared differences, transmittance and gradient
    for the background.
    """
    width = used.shape[1]
    line = np.empty((3, width * 3), np.float32)
    gradients = np.empty(width * 3, np.float32)
    runs = np.empty((width // 2 + 1, 2), np.int64)
    l1, ssim = np.float32(l1_scale), np.float32(ssim_scale)
    clear = np.float32(transmittance_scale)
    for row in range(low, high):
        d_color[row] = np.float32(0.0)
        d_transmittance[row] = np.float32(0.0)
        error[row] = np.float32(0.0)
        absolute: Any = 0.0
        squared: Any = 0.0
        through: Any = 0.0
        d_red = d_green = d_blue = np.float32(0.0)
        for run in range(_runs(used[row], SSIM_RADIUS, runs)):
            start, end = runs[run, 0], runs[run, 1]
            values = 3 * (end - start)
            line[:, :values] = np.float32(0.0)
            if ssim_scale != 0:
                first, last = max(0, row - SSIM_RADIUS), min(len(used), row + SSIM_RADIUS + 1)
                for other in range(first, last):
                    if other % stride != phase:
                        continue
                    weight = _W[other - row + SSIM_RADIUS]
                    for k in range(3):
                        derivative = derivatives[k, other, 3 * start : 3 * end]
                        for j in range(values):
                            line[k, j] += weight * derivative[j]
            x_row = image[row].reshape(3 * width)[3 * start : 3 * end]
            y_row = truth[row].reshape(3 * width)[3 * start : 3 * end]
            for j in range(values):
                difference = x_row[j] - y_row[j]
                sign = np.float32(0.0) if difference == 0 else (l1 if difference > 0 else -l1)
                structure = line[0, j] + _TWO * x_row[j] * line[1, j] + y_row[j] * line[2, j]
                gradients[j] = sign - ssim * structure
            for column in range(start, end):
                if not used[row, column]:
                    continue
                summed = d_through = np.float32(0.0)
                for channel in range(3):
                    j = 3 * (column - start) + channel
                    difference = abs(x_row[j] - y_row[j])
                    summed += difference
                    squared += difference * difference
                    d_color[row, column, channel] = gradients[j]
                    d_through += gradients[j] * background[channel]
                d_transmittance[row, column] = d_through + clear
                clearness = transmittance[row, column]
                d_red += clearness * d_color[row, column, 0]
                d_green += clearness * d_color[row, column, 1]
                d_blue += clearness * d_color[row, column, 2]
                error[row, column] = summed
                absolute += summed
                through += clearness
        sums[row, 0] = absolute
        sums[row, 1] = squared
        sums[row, 2] = through
        sums[row, 3] = d_red
        sums[row, 4] = d_green
        sums[row, 5] = d_blue
