"""One clock for all cameras from what pairs of them say of each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..cameras import FloatArray

# Rounds of reweighting, and the deviation (seconds) below which pairs count alike.
_ROUNDS, _SMALLEST = 30, 2e-3


@dataclass(frozen=True, eq=False)
class Clocks:
    """``offsets`` (C,) seconds to add to each camera's own clock, the earliest started has 0.

    ``residuals`` (C,) are the median, in seconds, of how far its pairs' delays are from the offsets'
    differences; NaN for a camera that no pair ties to the others.
    """

    offsets: FloatArray
    residuals: FloatArray


def settle(count: int, delays: Mapping[tuple[int, int], tuple[float, float]]) -> Clocks:
    """The offsets of ``count`` cameras that fit the pairs best: least absolute deviations, so that pairs
    which are wrong altogether count little (iteratively reweighted least squares).

    ``delays[a, b]`` are the seconds by which camera ``b`` was started after ``a``, and the weight of it.
    Cameras that no pairs tie to the first group keep 0 and a NaN residual.
    """
    members = tied(count, delays)
    rows, values, weights = [], [], []
    for (a, b), (delay, likeness) in delays.items():
        if a in members and b in members:
            row = np.zeros(count)
            row[a], row[b] = -1.0, 1.0
            rows.append(row)
            values.append(delay)
            weights.append(likeness)
    if not rows:
        return Clocks(np.zeros(count), np.full(count, np.nan))
    system, wanted, weight = np.array(rows), np.array(values), np.array(weights)
    off: FloatArray = np.ones(len(wanted))
    for _ in range(_ROUNDS):
        root = np.sqrt(weight / np.maximum(np.abs(off), _SMALLEST))
        offsets = np.linalg.lstsq(system * root[:, None], wanted * root, rcond=None)[0]
        off = system @ offsets - wanted
    residuals = np.full(count, np.nan)
    for camera in sorted(members):
        own = system[:, camera] != 0
        residuals[camera] = np.median(np.abs(off[own]))
    offsets[sorted(members)] -= offsets[sorted(members)].min()
    offsets[[camera for camera in range(count) if camera not in members]] = 0.0
    return Clocks(offsets, residuals)


def tied(count: int, delays: Mapping[tuple[int, int], object]) -> set[int]:
    """The largest group of cameras that pairs tie together; the first such."""
    groups: list[set[int]] = [{camera} for camera in range(count)]
    for a, b in delays:
        first = next(group for group in groups if a in group)
        second = next(group for group in groups if b in group)
        if first is not second:
            first |= second
            groups.remove(second)
    largest = max(groups, key=len)
    return largest if len(largest) > 1 else set()
