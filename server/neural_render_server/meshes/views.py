"""From where the field's depth is taken: the capture's own cameras, and places between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from ..cameras import Camera

FloatArray = npt.NDArray[np.float64]

# A rig films from tens of places; of a walk with one camera, hundreds, as many are enough.
MOST_CAMERAS = 48
# A depth picture's longer side in pixels for each voxel of the grid's: finer, pixels share a voxel.
PIXELS_PER_VOXEL = 2.0
# Share of the seen points that the grid's box leaves out at either end of each axis: they are floaters.
OUTLIERS = 0.005


def fusion_cameras(rig: Sequence[Camera], resolution: int, with_between: bool) -> list[Camera]:
    """The rig's cameras without lens distortion, sized for a grid of ``resolution`` voxels.

    ``with_between`` adds one half-way from each to its nearest neighbour: field that no camera filmed head on
    is seen from there too, and what only one camera sees is outvoted.
    """
    step = max(1, int(np.ceil(len(rig) / MOST_CAMERAS)))
    cameras = []
    for camera in rig[::step]:
        pinhole = replace(camera, camera_model="PINHOLE", distortion=(), window=None)
        factor = max(pinhole.width, pinhole.height) / (PIXELS_PER_VOXEL * resolution)
        cameras.append(pinhole.downscaled(max(1.0, factor)))
    return [*cameras, *between(cameras)] if with_between else cameras


def between(cameras: Sequence[Camera]) -> list[Camera]:
    """A camera half-way between each camera and the one nearest to it, each pair once."""
    if len(cameras) < 2:
        return []
    places = np.stack([camera.position for camera in cameras])
    nearest = cKDTree(places).query(places, k=2)[1][:, 1]
    pairs = {(min(i, int(j)), max(i, int(j))) for i, j in enumerate(nearest) if i != j}
    return [half_way(cameras[i], cameras[j]) for i, j in sorted(pairs)]


def half_way(first: Camera, second: Camera) -> Camera:
    """The first camera's lens at the mean place, turned half-way."""
    pose = np.eye(4)
    rotations = Rotation.from_matrix(np.stack([c.camera_to_world[:3, :3] for c in (first, second)]))
    pose[:3, :3] = rotations.mean().as_matrix()
    pose[:3, 3] = (first.position + second.position) / 2.0
    return replace(first, camera_to_world=pose, name=f"{first.name}-{second.name}")


def box_of(
    cameras: Sequence[Camera], depths: Sequence[npt.NDArray[np.float32]]
) -> tuple[FloatArray, FloatArray]:
    """Minimum and maximum corner around the surfaces in the views' planar ``depths`` (inf where none).

    The outermost points are left out. An empty box where no view sees a surface.
    """
    points = []
    for camera, depth in zip(cameras, depths, strict=True):
        origins, directions = camera.rays()
        solid = np.isfinite(depth)
        points.append(origins[solid] + directions[solid] * depth[solid][:, None])
    seen = np.concatenate(points)
    if not len(seen):
        return np.zeros(3), np.zeros(3)
    low, high = np.quantile(seen.astype(np.float64), [OUTLIERS, 1.0 - OUTLIERS], axis=0)
    return low, high
