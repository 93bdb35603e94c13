"""Depth maps of small views by plane-sweep stereo, and the points that two or more of them agree on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from ...cameras import Camera
from ...kernels import stereo
from .rig import two_sides

FloatArray = npt.NDArray[np.float64]
Float32Array = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]

# A minimum that is not clearly below the mean over all planes is no match.
RATIO_LIMIT = 0.75
# Two cameras agree where their depths of a point differ by less than this share.
DEPTH_TOLERANCE = 0.03
# A point contradicts a camera that sees a surface this much farther behind it.
FREE_SPACE_RATIO = 1.1
# Neighbouring planes lie about this many pixels apart in the farthest neighbour; the parabola and
# the nearer neighbours refine what is between.
PLANE_SPACING = 2.0
FEWEST_PLANES, MOST_PLANES = 32, 96


@dataclass(frozen=True, eq=False)
class DepthMap:
    """Planar ``depth`` (H, W) of a camera, 0 where unknown, and where it is ``confident``."""

    camera: Camera
    depth: Float32Array
    confident: BoolArray


def index_intrinsics(camera: Camera) -> FloatArray:
    """(3, 3) intrinsics for pixel indices: the centre of the first pixel is (0, 0)."""
    matrix = camera.intrinsics
    matrix[:2, 2] -= 0.5
    return matrix


def plane_homographies(reference: Camera, sources: Sequence[Camera]) -> tuple[Float32Array, Float32Array]:
    """``A`` (S, 3, 3) and ``b`` (S, 3): pixel p of the reference at inverse depth q falls on A p + q b."""
    reference_to_world = np.linalg.inv(reference.world_to_camera_opencv())
    inverse_intrinsics = np.linalg.inv(index_intrinsics(reference))
    rotations, translations = [], []
    for source in sources:
        relative = source.world_to_camera_opencv() @ reference_to_world
        intrinsics = index_intrinsics(source)
        rotations.append(intrinsics @ relative[:3, :3] @ inverse_intrinsics)
        translations.append(intrinsics @ relative[:3, 3])
    return np.array(rotations, dtype=np.float32), np.array(translations, dtype=np.float32)


def inverse_depth_planes(
    reference: Camera, sources: Sequence[Camera], near: float, far: float
) -> Float32Array:
    """Evenly spaced inverse depths from 1 / far to 1 / near, as many as the widest pair resolves."""
    baseline = max(float(np.linalg.norm(source.position - reference.position)) for source in sources)
    disparity = reference.fl_x * baseline * (1.0 / near - 1.0 / far)
    count = int(np.clip(np.ceil(disparity / PLANE_SPACING), FEWEST_PLANES, MOST_PLANES))
    return np.linspace(1.0 / far, 1.0 / near, count).astype(np.float32)


def sweep(
    reference: Camera,
    image: Float32Array,
    sources: Sequence[Camera],
    source_images: Sequence[Float32Array],
    near: float,
    far: float,
    active: BoolArray,
) -> DepthMap:
    """Depth of the ``active`` (H, W) pixels of one view by comparison with its neighbours."""
    planes = inverse_depth_planes(reference, sources, near, far)
    rotations, translations = plane_homographies(reference, sources)
    groups = two_sides(reference, sources)
    around = np.ones((2 * stereo.BOX_RADIUS + 1,) * 2, dtype=np.uint8)
    needed = cv2.dilate(active.astype(np.uint8), around) > 0
    stacked = np.stack([np.moveaxis(other, -1, 0) for other in source_images])
    costs = stereo.sweep_costs(image, stacked, groups, rotations, translations, planes, needed)
    found, ratio = stereo.best_planes(costs, planes)
    # The first and last plane also catch what lies outside the range.
    confident = (found > planes[0]) & (found < planes[-1]) & (ratio < RATIO_LIMIT)
    depth = np.zeros(active.shape, dtype=np.float32)
    depth[needed] = 1.0 / np.maximum(found, np.float32(0.5) * planes[0])
    is_confident = np.zeros(active.shape, dtype=bool)
    is_confident[needed] = confident
    return DepthMap(reference, np.where(active, depth, np.float32(0.0)), is_confident & active)


def unproject(camera: Camera, pixels: npt.NDArray[np.int64], depth: npt.ArrayLike) -> FloatArray:
    """World points (N, 3) at planar ``depth`` (N,) through the centres of pixels (N, 2) as (row, column)."""
    x = (pixels[:, 1] + 0.5 - camera.cx) / camera.fl_x
    y = (pixels[:, 0] + 0.5 - camera.cy) / camera.fl_y
    rays = np.stack([x, -y, -np.ones_like(x)], axis=-1) @ camera.camera_to_world[:3, :3].T
    result: FloatArray = camera.position + rays * np.asarray(depth, dtype=np.float64)[:, None]
    return result


def locate(
    points: FloatArray, camera: Camera
) -> tuple[BoolArray, npt.NDArray[np.int64], npt.NDArray[np.int64], FloatArray]:
    """Whether each point (N, 3) is in the camera's image, its row and column (0 where not), its depth."""
    pixels, depth = camera.project(points)
    with np.errstate(invalid="ignore"):
        in_view = (depth > 0) & np.all((pixels >= 0) & (pixels < [camera.width, camera.height]), axis=1)
    inside = np.where(in_view[:, None], pixels, 0.0).astype(np.int64)
    return in_view, inside[:, 1], inside[:, 0], depth


@dataclass(frozen=True, eq=False)
class Comparison:
    """What one depth map says of N points: ``in_view``, ``agrees`` and ``contradicts`` (N,).

    ``pixels`` (N, 2) are its row and column there, (0, 0) where the camera does not see it.
    """

    in_view: BoolArray
    agrees: BoolArray
    contradicts: BoolArray
    pixels: npt.NDArray[np.int64]


def compare(points: FloatArray, depth_map: DepthMap) -> Comparison:
    """Whether the surface seen by ``depth_map`` passes through each point (N, 3), or lies behind it."""
    camera = depth_map.camera
    in_view, row, column, depth = locate(points, camera)
    surface = np.where(in_view, depth_map.depth[row, column], 0.0)
    ratio = np.where(in_view, surface / np.where(in_view, depth, 1.0), 0.0)
    agrees = np.abs(ratio - 1.0) < DEPTH_TOLERANCE
    contradicts = (ratio > FREE_SPACE_RATIO) & depth_map.confident[row, column]
    return Comparison(in_view, agrees, contradicts, np.stack([row, column], axis=1))
