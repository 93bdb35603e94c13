"""What changes from frame to frame, and how far two recordings are apart by it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..cameras import FloatArray
from .sharpness import small_grey

# Changes are measured at this width: motion of a part of the picture, not of its noise.
WIDTH = 160

# Delays are looked for in steps of this part of a frame, then refined by a parabola.
STEPS = 8

# Recordings must overlap by this part of the shorter one.
LEAST_OVERLAP = 0.5

# Trends slower than this (seconds) are taken out: clouds, exposure automatics.
TREND = 1.0

# A flash raises the mean level by at least this (of 255) above what frames usually differ by, so many times.
FLASH_LEVELS, FLASH_TIMES = 4.0, 6.0


@dataclass(frozen=True, eq=False)
class Changes:
    """A recording's frames: mean ``level`` (T,) and mean absolute ``change`` (T,) from the frame before.

    ``fps`` frames a second; the first frame has the second one's change.
    """

    level: FloatArray
    change: FloatArray
    fps: float


def measure(frames: Iterable[npt.NDArray[np.uint8]], fps: float) -> Changes:
    """The changes over a recording's frames, (H, W, 3) each."""
    levels, changes = [], []
    before: FloatArray | None = None
    for pixels in frames:
        grey = small_grey(pixels, WIDTH).astype(np.float64)
        levels.append(float(grey.mean()))
        changes.append(0.0 if before is None else float(np.abs(grey - before).mean()))
        before = grey
    if len(changes) > 1:
        changes[0] = changes[1]  # it has no frame before it; a 0 would be a feature of every recording
    return Changes(np.array(levels), np.array(changes), fps)


def picture_delay(first: Changes, second: Changes) -> tuple[float, float]:
    """Seconds by which ``second`` was started after ``first``, and how alike they then are (up to 1).

    Both recordings' level and amount of change, each without its trend, are laid over each other at every
    delay with enough overlap; the mean of the two normalised correlations is largest at the true one.
    """
    step = 1.0 / (STEPS * max(first.fps, second.fps))
    # A change lies between two frames, half a frame before the one it is counted at.
    changes = (_even(first.change, first.fps, step, -0.5), _even(second.change, second.fps, step, -0.5))
    levels = (_even(first.level, first.fps, step, 0.0), _even(second.level, second.fps, step, 0.0))
    return _largest(0.5 * (correlations(*changes) + correlations(*levels)), len(levels[1]), step)


def light_delay(first: Changes, second: Changes) -> tuple[float, float]:
    """As ``picture_delay``, by the level alone: light that changes is seen from all sides alike."""
    step = 1.0 / (STEPS * max(first.fps, second.fps))
    levels = (_even(first.level, first.fps, step, 0.0), _even(second.level, second.fps, step, 0.0))
    return _largest(correlations(*levels), len(levels[1]), step)


def _largest(total: FloatArray, second: int, step: float) -> tuple[float, float]:
    """The delay of the largest of ``correlations`` with a second signal of that many samples."""
    best = int(np.nanargmax(total))
    shift = 0.0
    if 0 < best < len(total) - 1 and np.isfinite(total[[best - 1, best + 1]]).all():
        before, at, after = total[best - 1 : best + 2]
        bend = before - 2.0 * at + after
        shift = 0.5 * (before - after) / bend if bend < 0 else 0.0
    lag = best + shift - (second - 1)
    return float(lag * step), float(total[best])


def _even(values: FloatArray, fps: float, step: float, offset: float) -> FloatArray:
    """The values, their trend removed, at even times of ``step`` seconds from the first frame's on."""
    window = max(3, round(TREND * fps) | 1)
    kernel = np.ones(window)
    trend = np.convolve(values, kernel, "same") / np.convolve(np.ones(len(values)), kernel, "same")
    times = (np.arange(len(values)) + offset) / fps
    return np.asarray(np.interp(np.arange(0.0, (len(values) - 1) / fps, step), times, values - trend))


def correlations(first: FloatArray, second: FloatArray) -> FloatArray:
    """Normalised correlation at every lag of ``second`` against ``first``, NaN where they hardly overlap.

    Index ``lag + len(second) - 1`` says how alike ``second[k]`` and ``first[k + lag]`` are. It is weighted by
    the part of the shorter one that overlaps: short stretches are alike by accident.
    """
    ones_first, ones_second = np.ones(len(first)), np.ones(len(second))
    count = np.correlate(ones_first, ones_second, "full")
    products = np.correlate(first, second, "full")
    sum_first, sum_second = np.correlate(first, ones_second, "full"), np.correlate(ones_first, second, "full")
    squares_first = np.correlate(first**2, ones_second, "full")
    squares_second = np.correlate(ones_first, second**2, "full")
    covariance = products - sum_first * sum_second / count
    variance_first = squares_first - sum_first**2 / count
    variance_second = squares_second - sum_second**2 / count
    spread = np.sqrt(np.maximum(variance_first, 0.0) * np.maximum(variance_second, 0.0))
    floor = 1e-9 * max(float((first**2).sum() + (second**2).sum()), 1e-12)
    like = np.where(spread > floor, covariance / np.maximum(spread, floor), 0.0)
    overlap = count / min(len(first), len(second))
    return np.where(overlap >= LEAST_OVERLAP, like * overlap, np.nan)


def flash_time(changes: Changes) -> float | None:
    """Seconds from the first frame at which a flash fires or a light goes on; None where none does.

    A light that stays on, on from within a frame's exposure, lights that frame only in part: that says when
    (exposures taken as long as frames). A short flash is known to half a frame.
    """
    rises = np.diff(changes.level)
    if not len(rises):
        return None
    usual = float(np.median(np.abs(rises)))
    start = int(np.argmax(rises))
    if rises[start] < max(FLASH_LEVELS, FLASH_TIMES * usual):
        return None
    # A rise spread over two frames is one event: its first frame is lit in part.
    if start > 0 and rises[start - 1] > FLASH_TIMES * usual and rises[start - 1] > 0.05 * rises[start]:
        start -= 1
    before, partly = changes.level[start], changes.level[start + 1]
    after = changes.level[start + 2 : start + 5]
    if len(after) and after.min() >= partly - FLASH_TIMES * usual:
        unlit = 1.0 - (partly - before) / max(float(np.median(after)) - before, 1e-9)
        return float((start + 1 + np.clip(unlit, 0.0, 1.0)) / changes.fps)
    return float((start + 1.5) / changes.fps)
