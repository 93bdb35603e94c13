"""What stereo between the views knows of a still scene before training: where surfaces are, and where air.

Without it a field of a scene without alpha starts as fog, most of its samples are spent on air, and few
views are explained by fog just as well. Depth guides the start as sparse points do in DS-NeRF (Deng et al.
2022), with weights around the surface as in Urban Radiance Fields (Rematas et al. 2022), and closes air as
space carving does (Kutulakos and Seitz 2000), but only where stereo is sure.
"""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np
import numpy.typing as npt
import torch

from ...kernels.ray_parts import FURTHEST, RayParts
from ..base import Report, TrainingViews
from ..gaussians.plane_sweep import DEPTH_TOLERANCE, DepthMap
from ..gaussians.rig import spread_out
from ..gaussians.still_scene import still_scene
from ..gaussians.surfaces import still_surfaces
from .bounds import views_agree
from .rays import Pixels

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

# Cameras whose depth maps are taken.
REFERENCES = 32
# Cameras that must see past a place, and none may see a surface in it.
WITNESSES = 2
# A place covers some pixels of a depth map: the nearest surface in a square of about as many counts.
SPREADS = (1, 3, 7, 15, 31)


class StereoDepths:
    """What the depth maps of cameras, by their index in the capture, say of places and of pixels' rays."""

    def __init__(self, maps: Mapping[int, DepthMap]) -> None:
        self._cameras = {index: depth_map.camera for index, depth_map in maps.items()}
        self._nearest = {index: _nearest(depth_map) for index, depth_map in maps.items()}

    @property
    def is_known(self) -> bool:
        """Whether there is any depth map."""
        return bool(self._cameras)

    def is_air(self, points: FloatArray, size: float) -> BoolArray:
        """(N,) True where cubes of edge ``size`` around ``points`` (N, 3) are known to be empty."""
        past = np.zeros(len(points), dtype=np.int64)
        met = np.zeros(len(points), dtype=bool)
        for index, camera in self._cameras.items():
            pixels, depth = camera.project(points)
            with np.errstate(invalid="ignore"):
                inside = (depth > 0) & np.all(
                    (pixels >= 0) & (pixels < [camera.width, camera.height]), axis=1
                )
            column, row = pixels[inside].astype(np.int64).T
            covered = size * camera.fl_x / depth[inside]
            spread = np.searchsorted(SPREADS[:-1], covered)
            ahead = self._nearest[index][spread, row, column] - depth[inside]
            margin = size + DEPTH_TOLERANCE * depth[inside]
            past[inside] += np.isfinite(ahead) & (ahead > margin)
            met[inside] |= np.abs(ahead) <= margin
        return np.asarray((past >= WITNESSES) & ~met)

    def surfaces(self, pixels: Pixels, views: TrainingViews) -> npt.NDArray[np.float32]:
        """(N,) planar depth of the first surface on the pixels' rays, infinite where that is not known."""
        found = np.full(len(pixels), np.inf, dtype=np.float32)
        cameras = views.camera_indices[pixels.views]
        for index, small in self._cameras.items():
            own = np.flatnonzero(cameras == index)
            full = views.cameras[index]
            row = pixels.rows[own] * small.height // full.height
            column = pixels.columns[own] * small.width // full.width
            found[own] = self._nearest[index][0, row, column]
        return found


def around_surfaces(surfaces: torch.Tensor) -> RayParts:
    """Whole rays with one matte: what lies about their ``surfaces`` (R,), within the tolerance of stereo."""
    known = surfaces.isfinite()
    depth = torch.where(known, surfaces, 0.0)
    depths = torch.stack([(1.0 - 2.0 * DEPTH_TOLERANCE) * depth, (1.0 + 2.0 * DEPTH_TOLERANCE) * depth])
    signs = torch.tensor([[0, 0], [-1, 1]], dtype=torch.int8, device=depth.device)
    return RayParts(
        depths=depths,
        signs=signs[..., None].expand(-1, -1, len(depth)),
        constants=torch.stack([torch.ones_like(depth), torch.zeros_like(depth)]),
        has_front=False,
        near=torch.zeros_like(depth),
        far=torch.full_like(depth, FURTHEST),
    )


def find_stereo_depths(views: TrainingViews, report: Report) -> StereoDepths:
    """By stereo between the training views. Not known where both the cameras and the scene move, nor where
    the capture has alpha, which says more.

    What moves at any time has no depth here, so no place it may be in is taken for empty.

    Raises:
        Cancelled: from ``report``.
    """
    if views.has_alpha or not views_agree(views):
        return StereoDepths({})
    scene = still_scene(views, report)
    cameras = scene.working.cameras
    still = {index: scene.usable[index] & ~scene.moving[index] for index in cameras}
    references = spread_out(cameras, REFERENCES)
    _, maps = still_surfaces(cameras, scene.images, still, scene.ranges, references, report)
    return StereoDepths(maps)


def _nearest(depth_map: DepthMap) -> npt.NDArray[np.float32]:
    """(len(SPREADS), H, W) the least sure depth around each pixel, infinite where there is none."""
    sure = np.where(depth_map.confident, depth_map.depth, np.float32(np.inf)).astype(np.float32)
    return np.stack([cv2.erode(sure, np.ones((n, n), np.uint8)) for n in SPREADS])
