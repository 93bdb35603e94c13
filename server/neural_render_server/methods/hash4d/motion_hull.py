"""Where in space something may change: the hull of what changes in the pictures."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from ...captures.pixels import as_bytes
from ..base import Report, TrainingViews
from ..volumetric.box import CascadeBox

# Pictures are looked at in this size, and this many of them a camera, evenly spaced in time.
LONGEST_SIDE = 160
MOST_FRAMES = 16
# A pixel changes where a channel's deviation over time is above this (sensor noise and coding stay below).
LEAST_DEVIATION = 0.012
# Share of the cameras with a place in their picture that must see change there; the rest may be blocked.
AGREEING = 0.6


def motion_hull(views: TrainingViews, box: CascadeBox, cells: int, report: Report) -> npt.NDArray[np.bool_]:
    """(G, G, G) True where something may change, over the outermost cube of ``box``.

    All True where it cannot be told: no camera films two timesteps.
    """
    ticks = (np.arange(cells) + 0.5) / cells
    low, high = box.corners
    points = low + np.stack(np.meshgrid(ticks, ticks, ticks, indexing="ij"), axis=-1).reshape(-1, 3) * (
        high - low
    )
    seen = np.zeros(len(points), dtype=np.int64)
    agreed = np.zeros(len(points), dtype=np.int64)
    used = np.unique(views.camera_indices)
    for done, index in enumerate(used):
        report("Finding what moves", done / len(used))
        own = np.flatnonzero(views.camera_indices == index)
        if len(own) < 2:
            continue
        camera = views.cameras[index]
        small = camera.downscaled(max(1.0, max(camera.width, camera.height) / LONGEST_SIDE))
        pixels, depth = small.project(points)
        voxel = box.whole_edge / cells * max(small.fl_x, small.fl_y) / np.maximum(depth, 1e-6)
        changing = _changing(views, own, (small.width, small.height))
        with np.errstate(invalid="ignore"):
            inside = (depth > 0) & np.all((pixels >= 0) & (pixels < [small.width, small.height]), axis=1)
        column, row = pixels[inside].astype(np.int64).T
        # a voxel covers several pixels: it changes if any of them does
        spreads = [1, 3, 7, 15, 31]
        which = np.searchsorted(spreads, np.minimum(voxel[inside], spreads[-1]))
        maps = np.stack([cv2.dilate(changing, np.ones((n, n), np.uint8)) for n in spreads])
        agreed[inside] += maps[which, row, column] > 0
        seen += inside
    if not seen.any():
        return np.ones((cells,) * 3, dtype=bool)
    moving = (agreed >= AGREEING * np.maximum(seen, 1)) & (agreed > 0)
    return np.asarray(moving.reshape((cells,) * 3))


def _changing(
    views: TrainingViews, own: npt.NDArray[np.int64], size: tuple[int, int]
) -> npt.NDArray[np.uint8]:
    """(h, w) 1 where one camera's pictures change."""
    own = own[np.argsort(views.timestep_indices[own])]
    sampled = own[np.unique(np.linspace(0, len(own) - 1, MOST_FRAMES).round().astype(np.int64))]
    frames = []
    for view in sampled:
        image = cv2.resize(
            np.ascontiguousarray(as_bytes(views.rgb(int(view)))), size, interpolation=cv2.INTER_AREA
        )
        frames.append(np.asarray(image, dtype=np.float32) / np.float32(255.0))
    deviation = np.std(np.stack(frames), axis=0).max(axis=-1)
    return np.asarray(deviation > LEAST_DEVIATION, dtype=np.uint8)
