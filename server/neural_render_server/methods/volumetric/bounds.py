"""Where the scene of a capture lies: how near and far, and in which box."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
import torch

from ...cameras import Camera
from ..base import Report, Tensors, TrainingViews
from ..gaussians.depth_range import depth_ranges
from ..gaussians.rig import FloatArray, focus_point, middle_depth
from ..gaussians.working_views import WorkingViews

# Voxels along an edge of the box in which an object is sought from its alpha.
HULL_VOXELS = 64
# Share of the cameras that must see a voxel before it can count as the object's.
HULL_SEEN_SHARE = 0.5
# A pixel with less alpha than this (of 255) shows no object.
HULL_LEAST_ALPHA = 8
# Pixels and depths sampled a camera to find the box that the cameras see.
FRUSTUM_PIXELS, FRUSTUM_DEPTHS = 5, 12


@dataclass(frozen=True, eq=False)
class SceneBounds:
    """In capture coordinates and units.

    ``near``, ``far``: planar depths that hold the scene, over all training cameras. ``minimum``,
    ``maximum`` (3,): the box of all that at least two cameras see in that range, or of the object where the
    capture has alpha. ``center`` (3,) and ``radius``: the part the cameras look at; the cameras stand about
    ``radius`` from it, or, where the capture has alpha, the object fits into the cube around it.
    """

    near: float
    far: float
    minimum: FloatArray
    maximum: FloatArray
    center: FloatArray
    radius: float

    @property
    def extent(self) -> float:
        """Half the edge of the smallest cube around ``center`` that holds the box."""
        return float(np.abs(np.stack([self.minimum, self.maximum]) - self.center).max())

    def tensors(self) -> Tensors:
        """As a float64 tensor, to be stored with a field."""
        values = [self.near, self.far, *self.minimum, *self.maximum, *self.center, self.radius]
        return {"bounds": torch.tensor(values, dtype=torch.float64)}

    @staticmethod
    def from_tensors(tensors: Tensors) -> SceneBounds:
        values = tensors["bounds"].double().cpu().numpy()
        return SceneBounds(
            float(values[0]), float(values[1]), values[2:5], values[5:8], values[8:11], float(values[11])
        )


def scene_bounds(views: TrainingViews, report: Report) -> SceneBounds:
    """Find the scene's bounds from alpha, stated depths, sparse points, or stereo, whichever there is.

    Raises:
        Cancelled: from ``report``.
    """
    used = [int(index) for index in np.unique(views.camera_indices)]
    cameras = [views.cameras[index] for index in used]
    box = object_box(views, report) if views.has_alpha else None
    if box is not None:
        return _around_object(cameras, *box)
    near_far = _near_far(views, report)
    center = focus_point(cameras)
    middles = np.array([middle_depth(near, far) for near, far in near_far])
    if center is None:
        center = np.mean([c.position + m * c.forward for c, m in zip(cameras, middles, strict=True)], axis=0)
    radius = float(np.median([np.linalg.norm(camera.position - center) for camera in cameras]))
    minimum, maximum = _visible_box(cameras, near_far)
    return SceneBounds(
        float(near_far[:, 0].min()), float(near_far[:, 1].max()), minimum, maximum, center, radius
    )


def _around_object(cameras: list[Camera], minimum: FloatArray, maximum: FloatArray) -> SceneBounds:
    corners = np.array(np.meshgrid(*zip(minimum, maximum, strict=True))).reshape(3, -1).T
    depths = np.concatenate([(corners - camera.position) @ camera.forward for camera in cameras])
    center = 0.5 * (minimum + maximum)
    far = float(depths.max())
    near = max(float(depths.min()), 1e-3 * far)
    return SceneBounds(near, far, minimum, maximum, center, float(0.5 * (maximum - minimum).max()))


def object_box(views: TrainingViews, report: Report) -> tuple[FloatArray, FloatArray] | None:
    """The box of the visual hull of what has alpha, one voxel wider, or None where it cannot be told.

    Of a moving object filmed by standing cameras the hull of all its places is taken; moving cameras that
    film a moving object tell nothing.
    """
    if not hull_is_known(views):
        return None
    used = [int(index) for index in np.unique(views.camera_indices)]
    cameras = [views.cameras[index] for index in used]
    center = focus_point(cameras)
    if center is None:
        return None
    half = 1.1 * max(_visible_half(camera, center) for camera in cameras)
    ticks = (np.arange(HULL_VOXELS) + 0.5) / HULL_VOXELS * 2.0 - 1.0
    voxels = np.stack(np.meshgrid(ticks, ticks, ticks, indexing="ij"), axis=-1).reshape(-1, 3) * half + center
    voxel = 2.0 * half / HULL_VOXELS
    voxels = voxels[in_hull(views, voxels, voxel, report)]
    if not len(voxels):
        return None
    return voxels.min(axis=0) - 1.5 * voxel, voxels.max(axis=0) + 1.5 * voxel


def in_hull(views: TrainingViews, centers: FloatArray, voxel: float, report: Report) -> npt.NDArray[np.bool_]:
    """(N,) whether a voxel around each of ``centers`` (N, 3), with edge ``voxel``, may hold the object.

    It may not where a camera sees nothing but transparency, nor where few cameras see at all.
    """
    used = np.unique(views.camera_indices)
    left = np.arange(len(centers))
    seen = np.zeros(len(centers), dtype=np.int64)
    middle = centers.mean(axis=0)
    for done, index in enumerate(used):
        report("Finding the object", done / len(used))
        camera = views.cameras[index]
        # a pixel of the small alpha is about a voxel, and holds the largest alpha around it
        scale = voxel / float(np.linalg.norm(camera.position - middle)) * camera.fl_x
        small = camera.downscaled(max(1.0, scale))
        alpha = _largest_alpha(views, int(index), small)
        pixels, depth = small.project(centers[left])
        with np.errstate(invalid="ignore"):
            inside = (depth > 0) & np.all((pixels >= 0) & (pixels < [small.width, small.height]), axis=1)
        column, row = pixels[inside].astype(np.int64).T
        kept = np.ones(len(left), dtype=bool)
        kept[inside] = alpha[row, column]
        seen[left] += inside
        left = left[kept]
    result = np.zeros(len(centers), dtype=bool)
    result[left] = seen[left] >= max(1.0, HULL_SEEN_SHARE * len(used))
    return result


def views_agree(views: TrainingViews) -> bool:
    """Whether views can be compared over all times: the scene stands still, or the cameras do."""
    stands_still = len(np.unique(views.timestep_indices)) == 1
    return stands_still or len(np.unique(views.camera_indices)) < len(views)


def hull_is_known(views: TrainingViews) -> bool:
    """Whether alpha bounds the object."""
    return views.has_alpha and views_agree(views)


def _visible_half(camera: Camera, center: FloatArray) -> float:
    """Half the height or width of what the camera sees at the distance of ``center``."""
    depth = abs(float((center - camera.position) @ camera.forward))
    return depth * max(camera.width / camera.fl_x, camera.height / camera.fl_y) / 2.0


def _largest_alpha(views: TrainingViews, camera: int, small: Camera) -> npt.NDArray[np.bool_]:
    """(h, w) of the small camera: whether any of the camera's views has alpha there or right beside."""
    found = np.zeros((small.height, small.width), dtype=np.uint8)
    for view in np.flatnonzero(views.camera_indices == camera):
        alpha = views.alpha(int(view))
        assert alpha is not None
        present = (alpha >= HULL_LEAST_ALPHA).astype(np.uint8) * np.uint8(255)
        shrunk = cv2.resize(present, (small.width, small.height), interpolation=cv2.INTER_AREA)
        np.maximum(found, np.asarray(shrunk, dtype=np.uint8), out=found)
    return np.asarray(cv2.dilate((found > 0).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0)


def _near_far(views: TrainingViews, report: Report) -> FloatArray:
    """(C, 2) near and far planar depth of the cameras that are used."""
    working = WorkingViews(views)
    first = {index: int(working.timesteps_of(index)[0]) for index in working.camera_indices}
    images = {index: working.image(index, first[index]) for index in working.camera_indices}
    usable = {index: working.usable(index, first[index]) for index in working.camera_indices}
    ranges = depth_ranges(working, images, usable, report)
    return np.array([ranges[index] for index in working.camera_indices], dtype=np.float64)


def _visible_box(cameras: list[Camera], near_far: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Corners of what at least two cameras (or the only one) see within their depths."""
    parts = []
    for camera, (near, far) in zip(cameras, near_far, strict=True):
        x = np.linspace(0.0, camera.width, FRUSTUM_PIXELS)
        y = np.linspace(0.0, camera.height, FRUSTUM_PIXELS)
        depth = 1.0 / np.linspace(1.0 / near, 1.0 / far, FRUSTUM_DEPTHS)
        u, v, d = (a.ravel() for a in np.meshgrid(x, y, depth))
        local = np.stack([(u - camera.cx) / camera.fl_x * d, -(v - camera.cy) / camera.fl_y * d, -d], axis=-1)
        parts.append(local @ camera.camera_to_world[:3, :3].T + camera.position)
    points = np.concatenate(parts)
    seen = np.zeros(len(points), dtype=np.int64)
    for camera, (near, far) in zip(cameras, near_far, strict=True):
        pixels, depth = camera.project(points)
        with np.errstate(invalid="ignore"):
            seen += (
                (depth > 0.999 * near)
                & (depth < 1.001 * far)
                & np.all((pixels >= -0.5) & (pixels <= [camera.width + 0.5, camera.height + 0.5]), axis=1)
            )
    shared = points[seen >= min(2, len(cameras))]
    if not len(shared):
        shared = points
    return shared.min(axis=0), shared.max(axis=0)
