"""A capture's scene as stereo looks at it: small, still, and between known depths."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..base import Report, TrainingViews
from .depth_range import depth_ranges
from .surfaces import DepthRanges
from .working_views import Float32Array, WorkingViews, still_images

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class StillScene:
    """By camera: small ``images``, where they are ``usable``, where they are ``moving``, near and far."""

    working: WorkingViews
    images: dict[int, Float32Array]
    usable: dict[int, BoolArray]
    moving: dict[int, BoolArray]
    ranges: DepthRanges


def still_scene(views: TrainingViews, report: Report) -> StillScene:
    """Of a static rig the scene without what moves, of other captures each camera's first image."""
    working = WorkingViews(views)
    first = {index: int(working.timesteps_of(index)[0]) for index in working.camera_indices}
    usable: dict[int, BoolArray] = {}
    images: dict[int, Float32Array] = {}
    moving: dict[int, BoolArray] = {}
    if working.is_static_rig:
        images, moving = still_images(working, report)
    for done, index in enumerate(working.camera_indices):
        report("Reading the views", done / len(working.camera_indices))
        usable[index] = working.usable(index, first[index])
        if not working.is_static_rig:
            images[index] = working.image(index, first[index])
            moving[index] = np.zeros_like(usable[index])
        elif views.has_alpha:
            usable[index] = images[index][..., 3] > 0.5
    return StillScene(working, images, usable, moving, depth_ranges(working, images, usable, report))
