"""Lens distortion on the way out: a distorted camera is cut from a larger pinhole picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt

from ..cameras import Camera
from ..errors import OptionError
from ..lens_models import COEFFICIENTS, undistort
from ..methods.base import RenderedFrame

# Wider than this the pinhole picture grows without bound (tan of the half angle).
LARGEST_TANGENT = 8.0


def render_distorted(render: Callable[[Camera], RenderedFrame], camera: Camera) -> RenderedFrame:
    """Render ``camera`` with a renderer that knows pinholes only.

    Raises:
        OptionError: the distorted picture sees too wide an angle for a pinhole.
    """
    if camera.is_pinhole:
        return render(camera)
    x, y = undistorted_coordinates(camera)
    if not (np.isfinite(x).all() and max(np.abs(x).max(), np.abs(y).max()) < LARGEST_TANGENT):
        raise OptionError(
            f"camera {camera.name or '(unnamed)'}: its lens sees more than a flat picture can hold; "
            "lower the distortion or narrow the lens"
        )
    margin = 2
    left, top = np.floor(x.min() * camera.fl_x) - margin, np.floor(y.min() * camera.fl_y) - margin
    right, bottom = np.ceil(x.max() * camera.fl_x) + margin, np.ceil(y.max() * camera.fl_y) + margin
    pinhole = replace(
        camera,
        width=int(right - left),
        height=int(bottom - top),
        cx=-float(left),
        cy=-float(top),
        camera_model="PINHOLE",
        distortion=(),
        window=None,
    )
    frame = render(pinhole)
    # cv2.remap counts pixel centres at whole numbers.
    map_x = (x * camera.fl_x - left - 0.5).astype(np.float32)
    map_y = (y * camera.fl_y - top - 0.5).astype(np.float32)
    return RenderedFrame(
        cv2.remap(frame.color, map_x, map_y, cv2.INTER_LINEAR),
        cv2.remap(frame.opacity, map_x, map_y, cv2.INTER_LINEAR),
        cv2.remap(frame.depth, map_x, map_y, cv2.INTER_NEAREST),  # depths of two surfaces do not mix
        None if frame.mattes is None else remap_mattes(frame.mattes, map_x, map_y),
    )


def remap_mattes(
    mattes: npt.NDArray[np.float32], map_x: npt.NDArray[np.float32], map_y: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """(H, W, M), however many: OpenCV remaps at most four channels at once."""
    planes = [cv2.remap(plane, map_x, map_y, cv2.INTER_LINEAR) for plane in np.moveaxis(mattes, -1, 0)]
    return np.stack(planes, axis=-1) if planes else np.zeros((*map_x.shape, 0), np.float32)


def undistorted_coordinates(camera: Camera) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """(H, W) x and y at unit depth (OpenCV axes) that each pixel centre of the camera sees."""
    columns, rows = np.meshgrid(np.arange(camera.width) + 0.5, np.arange(camera.height) + 0.5)
    if camera.camera_model in COEFFICIENTS:
        x, y = (columns - camera.cx) / camera.fl_x, (rows - camera.cy) / camera.fl_y
        return undistort(camera.camera_model, camera.distortion, x, y)
    pixels = np.stack([columns, rows], axis=-1).reshape(-1, 1, 2)
    coefficients = np.asarray(camera.distortion, dtype=np.float64)
    if camera.camera_model == "OPENCV_FISHEYE":
        straight = cv2.fisheye.undistortPoints(pixels, camera.intrinsics, coefficients[:4])
    else:
        # The default five fixed-point rounds leave errors of pixels at strong distortion.
        criteria = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 100, 1e-9)
        straight = cv2.undistortPoints(pixels, camera.intrinsics, coefficients, criteria=criteria)
    shaped = np.asarray(straight, dtype=np.float64).reshape(camera.height, camera.width, 2)
    return shaped[..., 0], shaped[..., 1]
