"""How near and far the scene of a capture lies from each of its cameras."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from ..base import Report
from .rig import (
    choose_neighbours,
    depth_range_of_points,
    guessed_depth_range,
    likely_depth_range,
    middle_depth,
    spread_out,
)
from .surfaces import DepthRanges, still_surfaces
from .working_views import Float32Array, WorkingViews

# Cameras swept over the guessed range to find the true one.
TESTED_CAMERAS = 8
# Fewer surface points than this tell nothing about the range.
FEWEST_POINTS = 300


def depth_ranges(
    working: WorkingViews,
    images: Mapping[int, Float32Array],
    usable: Mapping[int, npt.NDArray[np.bool_]],
    report: Report,
) -> DepthRanges:
    """Near and far of every camera.

    As the capture states them, or as its points lie; else guessed from where the cameras stand and
    then narrowed to where plane sweeps over the guess find surfaces, or to what is likely.
    """
    indices = working.camera_indices
    cameras = [working.cameras[index] for index in indices]
    stated = working.views.near_far
    if stated is not None:
        near_far = np.asarray(stated, dtype=np.float64)[list(indices)]
        if (
            np.isfinite(near_far).all()
            and (near_far[:, 0] > 0).all()
            and (near_far[:, 1] > near_far[:, 0]).all()
        ):
            return _by_camera(working, near_far)
    guess = guessed_depth_range(cameras, working.views.has_alpha)
    points = working.views.points
    if points is not None and len(points.positions) >= FEWEST_POINTS:
        return _by_camera(working, depth_range_of_points(cameras, points.positions, guess))
    tested = set(spread_out(working.cameras, TESTED_CAMERAS))
    for index in tuple(tested):  # each with its nearest, so that two can agree
        middle = middle_depth(*_by_camera(working, guess)[index])
        tested.update(choose_neighbours(index, working.cameras, middle, 1))
    found, _ = still_surfaces(
        working.cameras, images, usable, _by_camera(working, guess), sorted(tested), report, 1
    )
    if len(found) >= FEWEST_POINTS:
        return _by_camera(working, depth_range_of_points(cameras, found.positions, guess))
    return _by_camera(working, likely_depth_range(cameras))


def _by_camera(working: WorkingViews, near_far: npt.NDArray[np.float64]) -> DepthRanges:
    return {
        index: (float(near), float(far))
        for index, (near, far) in zip(working.camera_indices, near_far, strict=True)
    }
