"""Where a ray is sampled: between bounds, or in the normalised device coordinates of a forward-facing rig."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from ...cameras import Camera
from ...errors import OptionError
from ...kernels.ray_shapes import intersect_box
from ..base import Tensors, TrainingViews
from ..volumetric.bounds import SceneBounds

# The near plane is kept at three quarters of the nearest stated depth (LLFF's and NeRF's bd_factor).
NEAR_MARGIN = 0.75
# All rays of a forward-facing rig are within about 78 degrees of its mean direction (the cosine), and its
# near plane is in front of the rig's middle, by at least this share of the nearest stated depth.
LEAST_FORWARD, LEAST_NEAR_PLANE = 0.2, 0.25


@dataclass(frozen=True, eq=False)
class FieldRays:
    """R rays in field coordinates: ``origins + t * directions`` for t from ``near`` (R,) to ``far`` (R,).

    ``near >= far`` where there is nothing to sample. ``planar_depth`` maps t (R, S) to planar depth in
    capture units. With ``in_disparity`` samples are even in 1/t, else in t. ``ends_open``: the last sample
    stands for all beyond it.
    """

    origins: torch.Tensor
    directions: torch.Tensor
    near: torch.Tensor
    far: torch.Tensor
    planar_depth: Callable[[torch.Tensor], torch.Tensor]
    in_disparity: bool
    ends_open: bool

    def spaced(self, shares: torch.Tensor) -> torch.Tensor:
        """t (R, S) at ``shares`` (R, S) in [0, 1] of the way."""
        near, far = self.near[:, None], torch.maximum(self.far, self.near)[:, None]
        if self.in_disparity:
            return 1.0 / ((1.0 - shares) / near + shares / far)
        return near + shares * (far - near)

    def points(self, t: torch.Tensor) -> torch.Tensor:
        return self.origins[:, None] + t[..., None] * self.directions[:, None]


class Space(ABC):
    """Maps rays of the capture (of unit planar depth) to field coordinates."""

    @abstractmethod
    def rays(self, rays_o: torch.Tensor, rays_d: torch.Tensor) -> FieldRays:
        """``rays_o``, ``rays_d`` (R, 3) in capture coordinates."""

    @abstractmethod
    def tensors(self) -> Tensors:
        """What ``space_from_tensors`` needs besides the bounds."""


@dataclass(frozen=True, eq=False)
class BoundedSpace(Space):
    """The part of the scene that the cameras look at becomes the cube from -1 to 1.

    An object (a capture with alpha) is sampled evenly within its box; NeRF's near and far of synthetic
    scenes, found instead of given. A room is sampled evenly in disparity between its near and far depths,
    as NeRF's released code advises for captures from all sides.
    """

    bounds: SceneBounds
    is_object: bool

    def rays(self, rays_o: torch.Tensor, rays_d: torch.Tensor) -> FieldRays:
        center = torch.from_numpy(self.bounds.center).to(rays_o)
        if self.is_object:
            minimum, maximum = (
                torch.from_numpy(a).to(rays_o) for a in (self.bounds.minimum, self.bounds.maximum)
            )
            near, far = intersect_box(rays_o, rays_d, minimum, maximum)
        else:
            near = torch.full_like(rays_o[:, 0], self.bounds.near)
            far = torch.full_like(near, self.bounds.far)
        return FieldRays(
            (rays_o - center) / self.bounds.radius,
            rays_d / self.bounds.radius,
            near,
            far,
            planar_depth=lambda t: t,
            in_disparity=not self.is_object,
            ends_open=not self.is_object,
        )

    def tensors(self) -> Tensors:
        return {"space.is_object": torch.tensor(self.is_object)}


@dataclass(frozen=True, eq=False)
class NdcSpace(Space):
    """Normalised device coordinates: the frustum of the mean camera becomes a cube, infinity its far face.

    NeRF, appendix C. ``to_rig`` (3, 4) maps capture coordinates to the rig's frame (OpenGL axes), scaled so
    that the near plane lies at z = -1. ``focal`` (2,): focal length over half the picture's width and height.
    ``deepest``: where the depths that the capture states end, along -z; a sample beyond counts as there.
    """

    to_rig: npt.NDArray[np.float64]
    focal: npt.NDArray[np.float64]
    deepest: float

    def rays(self, rays_o: torch.Tensor, rays_d: torch.Tensor) -> FieldRays:
        matrix = torch.from_numpy(self.to_rig).to(rays_o)
        origins, directions = rays_o @ matrix[:, :3].T + matrix[:, 3], rays_d @ matrix[:, :3].T
        is_forward = directions[:, 2] < -1e-6 * directions.norm(dim=-1)
        d_z = torch.where(is_forward, directions[:, 2], -1.0)
        at_near = origins - ((1.0 + origins[:, 2]) / d_z)[:, None] * directions  # now z = -1
        focal = torch.from_numpy(self.focal).to(rays_o)
        ndc_o = torch.cat([focal * at_near[:, :2], torch.full_like(d_z, -1.0)[:, None]], dim=-1)
        across = -focal * (directions[:, :2] / d_z[:, None] + at_near[:, :2])
        ndc_d = torch.cat([across, torch.full_like(d_z, 2.0)[:, None]], dim=-1)
        # a camera beyond the near plane sees only what lies before it
        o_z = origins[:, 2]
        own = torch.where(o_z < -1.0, 1.0 + 1.0 / o_z.clamp_max(-1.0), 0.0)
        far = torch.where(is_forward, torch.ones_like(own), torch.zeros_like(own))

        def planar_depth(t: torch.Tensor) -> torch.Tensor:
            # z = 2 / (z' - 1), and z' = -1 + 2 t
            z = 1.0 / (t.clamp(0.0, 1.0 - 1.0 / self.deepest) - 1.0)
            return ((z - o_z[:, None]) / d_z[:, None]).clamp_min(0.0)

        return FieldRays(ndc_o, ndc_d, own, far, planar_depth, in_disparity=False, ends_open=True)

    def tensors(self) -> Tensors:
        values = np.concatenate([self.to_rig.ravel(), self.focal, [self.deepest]])
        return {"space.ndc": torch.from_numpy(values)}


def choose_space(method: str, kind: str, views: TrainingViews, bounds: SceneBounds) -> Space:
    """The space of a capture; ``kind`` is ``auto``, ``ndc`` or ``bounded``.

    Raises:
        OptionError: ``ndc`` was asked for, but the rig does not face one way or its depths are not stated.
    """
    if kind != "bounded":
        ndc = _forward_facing(views)
        if ndc is not None and (kind == "ndc" or not views.has_alpha):
            return ndc
        if kind == "ndc":
            raise OptionError(
                f"{method}: space=ndc needs cameras that face one way and stated depths (near_far); "
                "use space=bounded"
            )
    return BoundedSpace(bounds, views.has_alpha)


def space_from_tensors(tensors: Tensors, bounds: SceneBounds) -> Space:
    """The space whose ``tensors`` these are."""
    if "space.ndc" in tensors:
        values = tensors["space.ndc"].double().cpu().numpy()
        return NdcSpace(values[:12].reshape(3, 4), values[12:14], float(values[14]))
    return BoundedSpace(bounds, bool(tensors["space.is_object"]))


def _forward_facing(views: TrainingViews) -> NdcSpace | None:
    """The NDC space of a rig that faces one way and states its depths; None for another."""
    used = np.unique(views.camera_indices)
    cameras = [views.cameras[int(index)] for index in used]
    if views.near_far is None:
        return None
    near_far = np.asarray(views.near_far, dtype=np.float64)[used]
    rig_to_world = mean_pose(cameras)
    if rig_to_world is None:
        return None
    to_rig = np.asarray(np.linalg.inv(rig_to_world)[:3], dtype=np.float64)
    near_plane, deepest = np.inf, 0.0
    for camera, (near, far) in zip(cameras, near_far, strict=True):
        corners = _corner_directions(camera) @ to_rig[:, :3].T
        position = to_rig[:, :3] @ camera.position + to_rig[:, 3]
        if (-corners[:, 2] < LEAST_FORWARD * np.linalg.norm(corners, axis=1)).any():
            return None
        near_plane = min(near_plane, float(-(position + NEAR_MARGIN * near * corners)[:, 2].max()))
        deepest = max(deepest, float(-(position + far * corners)[:, 2].min()))
    if not near_plane > LEAST_NEAR_PLANE * near_far[:, 0].min() or not deepest > near_plane:
        return None
    focals = np.array([(2.0 * c.fl_x / c.width, 2.0 * c.fl_y / c.height) for c in cameras])
    focal: npt.NDArray[np.float64] = np.median(focals, axis=0)
    return NdcSpace(np.asarray(to_rig / near_plane, dtype=np.float64), focal, deepest / near_plane)


def mean_pose(cameras: Sequence[Camera]) -> npt.NDArray[np.float64] | None:
    """(4, 4) camera-to-world of the rig's mean camera (LLFF's "poses_avg"); None if they look all round."""
    poses = np.stack([camera.camera_to_world for camera in cameras])
    back = poses[:, :3, 2].mean(axis=0)
    right = np.cross(poses[:, :3, 1].mean(axis=0), back)
    if np.linalg.norm(back) < LEAST_FORWARD or np.linalg.norm(right) < LEAST_FORWARD**2:
        return None
    back, right = back / np.linalg.norm(back), right / np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3] = np.stack([right, np.cross(back, right), back, poses[:, :3, 3].mean(axis=0)], axis=1)
    return pose


def _corner_directions(camera: Camera) -> npt.NDArray[np.float64]:
    """(4, 3) world-space rays of unit planar depth through the picture's corners."""
    x = (np.array([0.0, camera.width]) - camera.cx) / camera.fl_x
    y = (np.array([0.0, camera.height]) - camera.cy) / camera.fl_y
    corners = np.array([[u, -v, -1.0] for u in x for v in y])
    return np.asarray(corners @ camera.camera_to_world[:3, :3].T)
