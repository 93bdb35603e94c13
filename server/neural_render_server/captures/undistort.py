"""Turning a frame of a distorted lens into that of the ideal pinhole, and making it smaller."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
import numpy.typing as npt

from ..cameras import Camera, FloatArray
from ..errors import CaptureError
from ..lens_models import COEFFICIENTS, FOV, THIN_PRISM_FISHEYE, distort, radial_thin_prism
from .letterbox import Area
from .pixels import Pixels, as_float, from_float

# A resized validity of 1 less rounding: the output pixel draws on nothing outside the photo.
FULLY_VALID = 0.999


def pinhole_of(camera: Camera, downscale: float = 1.0) -> Camera:
    """The camera whose pictures ``Undistorter`` makes: same pose and field, no distortion."""
    return replace(camera.downscaled(downscale), camera_model="PINHOLE", distortion=())


Pixel = TypeVar("Pixel", np.uint8, np.uint16, np.float32)


class Undistorter:
    """Maps frames of one camera to ``pinhole_of(camera, downscale)``.

    Undistortion resamples bicubically at full size, then pixels are averaged over their area, so
    that a smaller picture does not alias. ``mask`` is (h, w), True where a pixel draws only on what
    was filmed, or None where all do; ``area`` is where the photo's picture lies, when not everywhere.
    """

    def __init__(self, camera: Camera, downscale: float = 1.0, area: Area | None = None) -> None:
        target = pinhole_of(camera, downscale)
        self._size = (target.width, target.height)
        self._shape = (camera.height, camera.width)
        self._is_resized = self._size != (camera.width, camera.height)
        self._maps: tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]] | None = None
        self.mask: npt.NDArray[np.bool_] | None = None
        if not camera.is_pinhole:
            self._maps = distortion_maps(camera)
        if self._maps is not None or area is not None:
            valid = self._resized(_valid_pixels(camera, self._maps, area).astype(np.float32)) >= FULLY_VALID
            self.mask = None if valid.all() else valid

    def apply(self, pixels: Pixels) -> Pixels:
        """(H, W), (H, W, 3) or (H, W, 4 straight alpha) -> the same at the target's size."""
        if self._maps is None and not self._is_resized:
            return pixels
        if pixels.ndim == 3 and pixels.shape[2] == 4:
            return self._apply_rgba(pixels)
        if self._maps is not None:
            pixels = cv2.remap(pixels, *self._maps, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        if pixels.dtype == np.uint16:
            return self._resized(np.asarray(pixels, dtype=np.uint16))
        return self._resized(np.asarray(pixels, dtype=np.uint8))

    def apply_mask(self, mask: npt.NDArray[np.bool_], path: Path) -> npt.NDArray[np.bool_]:
        """A (H, W) mask at the target's size: True where all that a pixel draws on is True.

        Raises:
            CaptureError: the mask, read from ``path``, has not its camera's size.
        """
        if mask.shape != self._shape:
            raise CaptureError(
                f"{path}: the mask is {mask.shape[1]}x{mask.shape[0]}, but its frame is "
                f"{self._shape[1]}x{self._shape[0]}; make the mask again at that size"
            )
        usable = mask.astype(np.float32)
        if self._maps is not None:
            usable = cv2.remap(usable, *self._maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
        return np.asarray(self._resized(usable) >= FULLY_VALID)

    def _apply_rgba(self, pixels: Pixels) -> Pixels:
        # Straight colours cannot be averaged: what is transparent would bleed in.
        values = as_float(pixels)
        alpha = values[..., 3:]
        layers = np.concatenate([values[..., :3] * alpha, alpha], axis=-1)
        if self._maps is not None:
            layers = cv2.remap(layers, *self._maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
        layers = self._resized(layers)
        alpha = layers[..., 3:]
        color = np.divide(layers[..., :3], alpha, out=np.zeros_like(layers[..., :3]), where=alpha > 0)
        return from_float(np.concatenate([color, alpha], axis=-1), pixels.dtype == np.uint16)

    def _resized(self, pixels: npt.NDArray[Pixel]) -> npt.NDArray[Pixel]:
        if not self._is_resized:
            return pixels
        resized: npt.NDArray[Pixel] = cv2.resize(pixels, self._size, interpolation=cv2.INTER_AREA)
        return resized


def distortion_maps(camera: Camera) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Where in the photo each pixel of the ideal camera lies: column and row (H, W) in OpenCV's
    convention, whose pixel centres are at whole numbers (hence the shift of the principal point)."""
    if camera.camera_model in COEFFICIENTS:
        x, y = _unit_depth(camera)
        x, y = distort(camera.camera_model, camera.distortion, x, y)
        columns, rows = camera.fl_x * x + camera.cx - 0.5, camera.fl_y * y + camera.cy - 0.5
        return columns.astype(np.float32), rows.astype(np.float32)
    intrinsics = camera.intrinsics - _half_pixel()
    coefficients = np.asarray(camera.distortion, dtype=np.float64)
    size = (camera.width, camera.height)
    rectify = (
        cv2.fisheye.initUndistortRectifyMap
        if camera.camera_model == "OPENCV_FISHEYE"
        else cv2.initUndistortRectifyMap
    )
    columns, rows = rectify(intrinsics, coefficients, np.eye(3), intrinsics, size, cv2.CV_32FC1)
    return columns, rows


def _half_pixel() -> FloatArray:
    return np.array([[0.0, 0.0, 0.5], [0.0, 0.0, 0.5], [0.0, 0.0, 0.0]])


def _valid_pixels(
    camera: Camera, maps: tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]] | None, area: Area | None
) -> npt.NDArray[np.bool_]:
    """(H, W) True where an ideal pixel falls inside the picture and short of the lens model's fold."""
    left, top, right, bottom = area or (0, 0, camera.width, camera.height)
    columns, rows = maps or np.meshgrid(
        np.arange(camera.width, dtype=np.float32), np.arange(camera.height, dtype=np.float32)
    )
    inside = (columns >= left - 0.5) & (columns <= right - 0.5) & (rows >= top - 0.5) & (rows <= bottom - 0.5)
    if maps is None:
        return np.asarray(inside)
    radius = np.hypot(*_unit_depth(camera))
    return np.asarray(inside & (radius <= fold_radius(camera, float(radius.max()))))


def _unit_depth(camera: Camera) -> tuple[FloatArray, FloatArray]:
    """x and y (H, W) at depth 1 of the ideal camera's pixel centres, y down."""
    x = (np.arange(camera.width) + 0.5 - camera.cx) / camera.fl_x
    y = (np.arange(camera.height) + 0.5 - camera.cy) / camera.fl_y
    columns, rows = np.meshgrid(x, y)
    return columns, rows


def fold_radius(camera: Camera, limit: float) -> float:
    """Largest radius on the plane at depth 1, up to ``limit``, at which radial distortion still grows.

    Beyond it a polynomial fitted to the photo turns back, and two directions share a pixel.
    """
    if camera.camera_model == FOV:
        return limit  # an arc tangent never turns
    radius = np.linspace(0.0, limit, 2048)
    if camera.camera_model == THIN_PRISM_FISHEYE:
        distorted = radial_thin_prism(camera.distortion, np.arctan(radius))
    elif camera.camera_model == "OPENCV_FISHEYE":
        angle = np.arctan(radius)
        k1, k2, k3, k4 = camera.distortion
        distorted = angle * (1 + k1 * angle**2 + k2 * angle**4 + k3 * angle**6 + k4 * angle**8)
    else:
        padded = (*camera.distortion, *([0.0] * 8))
        k1, k2, _, _, k3, k4, k5, k6 = padded[:8]
        squared = radius**2
        distorted = (
            radius
            * (1 + k1 * squared + k2 * squared**2 + k3 * squared**3)
            / (1 + k4 * squared + k5 * squared**2 + k6 * squared**3)
        )
    turning = np.flatnonzero(np.diff(distorted) <= 0)
    return float(radius[turning[0]]) if len(turning) else limit
