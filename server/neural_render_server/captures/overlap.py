"""What the cameras see together: the volume that can be reconstructed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..cameras import Camera, FloatArray
from ..errors import CaptureError
from .capture import Capture

# Rays a side and depths a ray at which a camera's view is sampled.
GRID, DEPTHS = 7, 24

# Where a capture states no depths, views are sampled from NEAREST to FARTHEST rig sizes from the lens;
# whether two views meet at all is asked further out than what the scene's box is made of.
NEAREST, FARTHEST, BOX_FARTHEST = 0.02, 100.0, 2.0

# Points outside these percentiles are stray ones that solving left.
STRAY = 1.0

# The box of a capture without points holds what this part of its cameras see, the first part that sees
# anything together; at least two cameras.
SEEN_BY = (0.9, 0.5, 0.0)

# Cameras asked about when the box is made: the cost grows with their square.
MAX_BOX_CAMERAS = 40


def check_overlap(capture: Capture) -> list[str]:
    """Warnings about training cameras that see nothing together with another one.

    Raises:
        CaptureError: no point in space is seen by two training cameras.
    """
    indices = sorted({capture.views[index].camera for index in capture.train_indices})
    cameras = [capture.cameras[index] for index in indices]
    if len(cameras) < 2:
        return [f"Only one camera is left to train on ({cameras[0].name}); depth cannot be found from one."]
    if rig_size(cameras) == 0.0:
        return ["All cameras stand in one place; depth cannot be found without a distance between them."]
    alone = [camera.name for camera, index in zip(cameras, indices, strict=True)
             if not _sees_with_another(capture, index, indices)]  # fmt: skip
    if len(alone) == len(cameras):
        raise CaptureError(
            f"{capture.path}: no two of the cameras to train on see a common point; "
            "check the poses and their axis convention, or film with overlapping views"
        )
    if alone:
        return [f"{', '.join(alone)}: sees nothing that another camera to train on sees; check the poses."]
    return []


def rig_size(cameras: Sequence[Camera]) -> float:
    """Diagonal of the box around the cameras' positions."""
    positions = np.array([camera.position for camera in cameras])
    return float(np.linalg.norm(np.ptp(positions, axis=0)))


def scene_bounds(capture: Capture) -> tuple[FloatArray, FloatArray] | None:
    """Minimum and maximum corner of what can be reconstructed, in capture coordinates.

    The box of the points without stray ones; without points, the box of what nearly all training
    cameras see, or half of them, or two. None where the cameras see nothing together.
    """
    if capture.points is not None and len(capture.points.positions):
        low, high = np.percentile(capture.points.positions, [STRAY, 100.0 - STRAY], axis=0)
        return low.astype(np.float64), high.astype(np.float64)
    indices = sorted({capture.views[index].camera for index in capture.train_indices})
    if len(indices) > MAX_BOX_CAMERAS:
        chosen = np.linspace(0, len(indices) - 1, MAX_BOX_CAMERAS).round().astype(int)
        indices = [indices[index] for index in chosen]
    cameras = [capture.cameras[index] for index in indices]
    if rig_size(cameras) == 0.0:
        return None
    samples = np.concatenate([view_samples(capture, index, BOX_FARTHEST) for index in indices])
    seen_by = np.sum([sees(camera, samples) for camera in cameras], axis=0)
    for part in SEEN_BY:
        together = samples[seen_by >= max(2.0, part * len(cameras))]
        if len(together):
            return together.min(axis=0), together.max(axis=0)
    return None


def view_samples(capture: Capture, index: int, farthest: float = FARTHEST) -> FloatArray:
    """(N, 3) world points all over what a camera sees, from its near to its far depth (where none are
    stated, to ``farthest`` rig sizes)."""
    camera = capture.cameras[index]
    if capture.near_far is not None:
        near, far = capture.near_far[index]
    else:
        size = rig_size(capture.cameras)
        near, far = NEAREST * size, farthest * size
    columns = (np.linspace(0.0, camera.width, GRID + 2)[1:-1] - camera.cx) / camera.fl_x
    rows = (np.linspace(0.0, camera.height, GRID + 2)[1:-1] - camera.cy) / camera.fl_y
    x, y = (values.ravel() for values in np.meshgrid(columns, rows))
    directions = np.stack([x, -y, -np.ones_like(x)], axis=-1) @ camera.camera_to_world[:3, :3].T
    depths = np.geomspace(near, far, DEPTHS)
    points: FloatArray = camera.position + (depths[:, None, None] * directions).reshape(-1, 3)
    return points


def sees(camera: Camera, points: FloatArray) -> FloatArray:
    """(N,) 1 where a point lies in the camera's picture (its lens taken as ideal), else 0."""
    pixels, depth = camera.project(points)
    inside = (pixels >= 0).all(axis=1) & (pixels <= [camera.width, camera.height]).all(axis=1)
    return np.asarray(inside & (depth > 0), dtype=np.float64)


def _sees_with_another(capture: Capture, index: int, indices: Sequence[int]) -> bool:
    samples = view_samples(capture, index)
    own = capture.cameras[index].position
    others = sorted(
        (other for other in indices if other != index),
        key=lambda other: float(np.linalg.norm(capture.cameras[other].position - own)),
    )
    return any(sees(capture.cameras[other], samples).any() for other in others)
