"""Every camera, with methods that know pinholes and perhaps some others."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt

from ..cameras import Camera
from ..crop import Crop
from ..errors import OptionError
from ..methods.base import Method, RenderedFrame
from .lens import remap_mattes, render_distorted

# Camera axes (columns: right, up, back) of the six faces around a panorama's camera.
_FACES = {
    "ahead": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "right": ((0, 0, 1), (0, 1, 0), (-1, 0, 0)),
    "behind": ((-1, 0, 0), (0, 1, 0), (0, 0, -1)),
    "left": ((0, 0, -1), (0, 1, 0), (1, 0, 0)),
    "above": ((1, 0, 0), (0, 0, 1), (0, -1, 0)),
    "below": ((1, 0, 0), (0, 0, -1), (0, 1, 0)),
}
# Pixels that a face reaches beyond its quarter of the circle, for interpolation at the seams.
_MARGIN = 2


def render_camera(method: Method, camera: Camera, time: float, crop: Crop | None) -> RenderedFrame:
    """Render any camera at ``time`` seconds. An equirectangular one's depth is the distance along the ray.

    Raises:
        OptionError: the method cannot render such a camera, or its lens distortion sees too wide an angle.
    """
    if camera.camera_model in method.other_cameras:
        return method.render(camera, time, crop)
    if camera.camera_model == "EQUIRECTANGULAR":
        return _panorama(method, camera, time, crop)
    if camera.camera_model == "ORTHOGRAPHIC":
        raise OptionError(
            f"{method.label} renders no orthographic cameras; use a perspective one with a long lens"
        )
    return render_distorted(lambda pinhole: method.render(pinhole, time, crop), camera)


def _panorama(method: Method, camera: Camera, time: float, crop: Crop | None) -> RenderedFrame:
    """An equirectangular picture out of those faces of a cube that it sees."""
    upright = replace(camera, camera_to_world=np.eye(4))
    directions = upright.rays()[1]
    axes = np.array([np.array(face, dtype=np.float32).T for face in _FACES.values()])
    # -z is ahead: the face that a direction passes through is the one it goes most along.
    face_of = np.argmax(-np.einsum("hwi,fi->hwf", directions, axes[:, :, 2]), axis=-1)
    focal = max(camera.fl_x, camera.fl_y)  # a face is coarsest at its middle: there it is as fine
    size = 2 * (int(np.ceil(focal)) + _MARGIN)
    shape = camera.height, camera.width
    color, opacity, depth = np.zeros((*shape, 3), np.float32), *np.zeros((2, *shape), np.float32)
    mattes = None
    if crop is not None and crop.with_mattes:
        mattes = np.zeros((*shape, len(crop.mattes)), np.float32)
    result = RenderedFrame(color, opacity, depth, mattes)
    for index in np.unique(face_of):
        pose = camera.camera_to_world.copy()
        pose[:3, :3] = pose[:3, :3] @ axes[index]
        pinhole = Camera(size, size, focal, focal, size / 2, size / 2, pose)
        _resample(
            method.render(pinhole, time, crop), pinhole, directions @ axes[index], face_of == index, result
        )
    return result


def _resample(
    face: RenderedFrame,
    camera: Camera,
    directions: npt.NDArray[np.float32],
    inside: npt.NDArray[np.bool_],
    result: RenderedFrame,
) -> None:
    """Write what ``face`` shows along unit ``directions`` (H, W, 3) in its own axes where ``inside``."""
    ahead = np.where(inside, -directions[..., 2], 1.0)
    # cv2.remap counts pixel centres at whole numbers.
    map_x = (camera.fl_x * directions[..., 0] / ahead + camera.cx - 0.5).astype(np.float32)
    map_y = (-camera.fl_y * directions[..., 1] / ahead + camera.cy - 0.5).astype(np.float32)
    result.color[inside] = cv2.remap(face.color, map_x, map_y, cv2.INTER_LINEAR)[inside]
    result.opacity[inside] = cv2.remap(face.opacity, map_x, map_y, cv2.INTER_LINEAR)[inside]
    depth = cv2.remap(face.depth, map_x, map_y, cv2.INTER_NEAREST)  # depths of two surfaces do not mix
    result.depth[inside] = (depth / ahead)[inside]
    if result.mattes is not None and face.mattes is not None:
        result.mattes[inside] = remap_mattes(face.mattes, map_x, map_y)[inside]
