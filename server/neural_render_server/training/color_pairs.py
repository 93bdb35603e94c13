"""Places that two cameras see, found through the depth that a field has learned so far.

The field's colours play no part: corrections that were found through them would be learned by the field,
found again, and grow.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from ..cameras import Camera
from ..captures.frames import Frames
from ..captures.pixels import as_float
from ..methods.base import Method
from .camera_colors import ColorPairs, even_powers

# Pixels rendered over all cameras, and the fewest of a camera.
PIXELS, FEWEST_PIXELS = 2**15, 2**9
# Cameras that each camera is compared with: the nearest.
NEIGHBOURS = 6
# A place is one and the same where the depths agree to this share, and the field is this opaque.
DEPTH_AGREEMENT, OPAQUE = 0.03, 0.9
# Filmed values outside of these may be clipped and say nothing of how bright the place was.
CLIPPED_BELOW, CLIPPED_ABOVE = 0.02, 0.98


@dataclass(frozen=True, eq=False)
class _Seen:
    """A small view: ``filmed`` (H, W, 3), planar ``depth`` (H, W), and where both can be trusted."""

    number: int
    camera: Camera
    filmed: npt.NDArray[np.float32]
    depth: npt.NDArray[np.float32]
    usable: npt.NDArray[np.float32]


def find_pairs(method: Method, frames: Frames, indices: Sequence[int]) -> ColorPairs:
    """Pairs between the views ``indices`` of ``frames``, which show the same moments."""
    numbers = frames.camera_indices[list(indices)]
    pixels = max(FEWEST_PIXELS, PIXELS / len(np.unique(numbers)))
    seen = [_look(method, frames, index, pixels) for index in indices]
    found: list[ColorPairs] = []
    for timestep in np.unique(frames.timestep_indices[list(indices)]):
        group = [
            view
            for view, index in zip(seen, indices, strict=True)
            if frames.timestep_indices[index] == timestep
        ]
        places = np.stack([view.camera.camera_to_world[:3, 3] for view in group])
        for view, place in zip(group, places, strict=True):
            nearest = np.argsort(np.linalg.norm(places - place, axis=1))[1 : NEIGHBOURS + 1]
            found += [_seen_by_both(view, group[other]) for other in nearest]
    if not found:
        return ColorPairs(np.zeros((0, 2), np.int64), np.zeros((0, 2, 3)), np.zeros((0, 2, 2)))
    return ColorPairs(
        np.concatenate([pairs.cameras for pairs in found]),
        np.concatenate([pairs.filmed for pairs in found]),
        np.concatenate([pairs.powers for pairs in found]),
    )


def _look(method: Method, frames: Frames, index: int, pixels: float) -> _Seen:
    number = int(frames.camera_indices[index])
    camera = frames.cameras[number]
    small = camera.downscaled(max(1.0, math.sqrt(camera.width * camera.height / pixels)))
    filmed = as_float(frames.rgb(index))
    mask, alpha = frames.mask(index), frames.alpha(index)
    usable = np.ones(filmed.shape[:2], np.float32) if mask is None else mask.astype(np.float32)
    if alpha is not None:
        usable *= alpha == 255
    usable *= ((filmed > CLIPPED_BELOW) & (filmed < CLIPPED_ABOVE)).all(axis=-1)
    size = (small.width, small.height)
    frame = method.render(small, float(frames.view_times[index]))
    usable = cv2.resize(usable, size, interpolation=cv2.INTER_AREA)
    usable = np.asarray((usable > 0.999) & (frame.opacity > OPAQUE), dtype=np.float32)
    return _Seen(number, small, cv2.resize(filmed, size, interpolation=cv2.INTER_AREA), frame.depth, usable)


def _seen_by_both(view: _Seen, other: _Seen) -> ColorPairs:
    """What of the pixels of ``view`` is seen by ``other`` too."""
    rays_o, rays_d = view.camera.rays()
    own = np.flatnonzero(view.usable.ravel() > 0)
    points = (rays_o + rays_d * view.depth[..., None]).reshape(-1, 3)[own]
    places, depths = other.camera.project(points)
    width, height = other.camera.width, other.camera.height
    with np.errstate(invalid="ignore"):
        inside = (depths > 0) & (places >= 0).all(axis=-1) & (places < (width, height)).all(axis=-1)
    own, places, depths = own[inside], places[inside], depths[inside]
    columns, rows = places.astype(np.int64).T
    same = np.abs(other.depth[rows, columns] - depths) < DEPTH_AGREEMENT * depths
    same &= other.usable[rows, columns] > 0
    own, rows, columns = own[same], rows[same], columns[same]
    at = (places[same][:, None] - 0.5).astype(np.float32)
    sampled = np.zeros((0, 3), np.float32)
    if len(own):
        sampled = cv2.remap(other.filmed, at, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)[:, 0]
    powers = even_powers(view.camera.width, view.camera.height).reshape(-1, 2)[own]
    return ColorPairs(
        np.tile([view.number, other.number], (len(own), 1)),
        np.stack([view.filmed.reshape(-1, 3)[own], sampled], axis=1).astype(np.float64),
        np.stack([powers, even_powers(width, height)[rows, columns]], axis=1),
    )
