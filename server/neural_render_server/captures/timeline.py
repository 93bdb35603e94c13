"""Which frames of several recordings make up which timestep, whatever their rates, starts and gaps.

Timesteps are the moments at which one recording, the reference, took its frames. A frame of another one
belongs to the moment nearest to it and keeps its own time; a moment may be without a frame of some recording.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

# Part of a frame's interval that times are not trusted beyond: frames midway between two moments all go to
# the earlier one, however their times are rounded.
TIE = 1e-3

# Rates that differ by less are one rate, of which the recording that starts first is the reference.
SAME_RATE = 1e-3


def interval(times: FloatArray) -> float:
    """The usual seconds from frame to frame; infinite for a single frame."""
    return float(np.median(np.diff(times))) if len(times) > 1 else float("inf")


def reference_of(recordings: Sequence[FloatArray]) -> int:
    """The fastest recording, so that no frame of the others is left out; of several the first to start."""
    intervals = [interval(times) for times in recordings]
    fastest = min(intervals) * (1.0 + SAME_RATE)
    candidates = [index for index, value in enumerate(intervals) if value <= fastest]
    return min(candidates, key=lambda index: float(recordings[index][0]))


def moments_of(recordings: Sequence[FloatArray], fps: float | None = None) -> FloatArray:
    """(T,) times of the timesteps while all recordings last; none where they share no moment.

    ``recordings`` are the ascending times of each one's frames on a common clock. With ``fps`` the timesteps
    are evenly spaced from the reference's first common frame on.
    """
    moments = recordings[reference_of(recordings)]
    films = [times for times in recordings if len(times) > 1]
    if not films:
        return moments
    half = [(0.5 + TIE) * interval(times) for times in films]
    start = max(float(times[0]) - reach for times, reach in zip(films, half, strict=True))
    end = min(float(times[-1]) + reach for times, reach in zip(films, half, strict=True))
    moments = moments[(moments >= start) & (moments <= end)]
    if fps is None or not len(moments):
        return moments
    return np.asarray(moments[0] + np.arange(int((end - moments[0]) * fps) + 1) / fps)


def place(times: FloatArray, moments: FloatArray) -> IntArray:
    """(N,) the timestep of each frame of a recording, -1 for a frame that no timestep takes.

    A frame lies at most half an interval, its own or the timesteps', from its timestep. Of several frames
    that are nearest to one moment, the nearest is taken.
    """
    timesteps = np.full(len(times), -1, dtype=np.int64)
    if not len(moments):
        return timesteps
    step = min(interval(moments), interval(times))
    edges = (moments[1:] + moments[:-1]) / 2.0 + (TIE * step if np.isfinite(step) else 0.0)
    nearest = np.searchsorted(edges, times)
    away = np.abs(times - moments[nearest])
    near = np.flatnonzero(away <= (0.5 + TIE) * step)
    best: dict[int, int] = {}
    for frame in near:
        moment = int(nearest[frame])
        if moment not in best or away[frame] < away[best[moment]]:
            best[moment] = int(frame)
    timesteps[list(best.values())] = list(best.keys())
    return timesteps
