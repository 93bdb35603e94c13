"""The pass ``motion``: velocities in space, from how the field's own pictures move.

A trained field knows what is where at each moment, hardly what goes where: a density has no velocity, and
even Gaussians learn much of what moves as coming and going. So the field is seen from the same camera a
timestep before and after, and what pixels do between (optical flow) becomes, with the depth, a velocity.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from ..cameras import RENDER_ONLY_MODELS, Camera
from ..crop import Crop
from ..methods.base import Method, RenderedFrame
from ..optical_flow import image_flow, pixel_centres, sampled
from .any_camera import render_camera
from .colour import linear_to_srgb
from .frame_key import content_hash
from .lens import render_distorted

Float32Array = npt.NDArray[np.float32]

# Flow is believed where it leaves less than this share of the difference that there is without motion, around
# a pixel (a Gaussian of so many pixels) and beside changes of the light: on `stage` it then sees a tenth as
# much motion on a floor in the light of a flame, and as much of what moves.
BELIEVED, AROUND = 0.8, 2.0
# A timestep's part below which a neighbouring moment is too close to see motion.
LEAST_PART = 0.25
# What is put behind the field, in pictures that are looked at for motion alone.
BEHIND_NOTHING = np.float32(0.5)


@dataclass(frozen=True, eq=False)
class Look:
    """What a camera sees at a moment: ``picture`` (H, W, 3) in [0, 1], sRGB-encoded; ``depth`` (H, W)."""

    picture: Float32Array
    depth: Float32Array


class FieldMotion:
    """The velocities of what a moving field shows; ``times`` are its timesteps' seconds.

    The last whole picture's are remembered: those of its windows (bands of a frame) are parts of it.
    """

    def __init__(self, method: Method, times: Sequence[float], encoding: str) -> None:
        self._method = method
        self._first, self._last = times[0], times[-1]
        self._step = float(np.median(np.diff(times)))
        self._encoding = encoding
        self._remembered: tuple[str, Float32Array] | None = None

    def velocities(self, camera: Camera, time: float, crop: Crop | None) -> Float32Array:
        """(H, W, 3) capture units a second along capture axes; 0 where nothing is seen to move.

        Raises:
            OptionError: the method cannot render such a camera.
        """
        whole = camera.uncut()
        pixels = whole.width * whole.height
        reduced = whole.downscaled(max(1.0, math.sqrt(pixels / self._method.motion_pixels)))
        key = content_hash([reduced, time, crop])
        if self._remembered is None or self._remembered[0] != key:
            self._remembered = key, self._flowing(reduced, time, crop)
        left, top = (0, 0) if camera.window is None else camera.window[:2]
        places = pixel_centres(camera.width, camera.height) + np.array([left, top], np.float32)
        scale = np.array([reduced.width / whole.width, reduced.height / whole.height], np.float32)
        return sampled(self._remembered[1], places * scale)

    def _flowing(self, camera: Camera, time: float, crop: Crop | None) -> Float32Array:
        """(H, W, 3) a whole picture's velocities."""

        def flowing(undistorted: Camera) -> RenderedFrame:  # velocities for colours
            here = self._look(undistorted, time, crop)
            total, count = np.zeros_like(here.picture), np.zeros((*here.depth.shape, 1), np.float32)
            for moment in self.neighbours(time):
                there = self._look(undistorted, moment, crop)
                moved, believed = displacement(undistorted, here, there)
                total += believed * moved / np.float32(moment - time)
                count += believed
            mean = (total / np.maximum(count, 1.0)).astype(np.float32)
            return RenderedFrame(mean, np.ones_like(here.depth), here.depth)

        is_distorted = camera.camera_model not in RENDER_ONLY_MODELS
        return (render_distorted(flowing, camera) if is_distorted else flowing(camera)).color

    def neighbours(self, time: float) -> list[float]:
        """The moments a timestep before and after ``time``, as far as the capture goes."""
        near = [max(time - self._step, self._first), min(time + self._step, self._last)]
        return [moment for moment in near if abs(moment - time) >= LEAST_PART * self._step]

    def _look(self, camera: Camera, time: float, crop: Crop | None) -> Look:
        frame = render_camera(self._method, camera, time, crop)
        background = self._method.background
        picture = frame.over(BEHIND_NOTHING if background is None else background)
        if self._encoding == "linear":
            picture = linear_to_srgb(picture)
        return Look(np.clip(picture, 0.0, 1.0).astype(np.float32), frame.depth)


def displacement(camera: Camera, here: Look, there: Look) -> tuple[Float32Array, Float32Array]:
    """How far (H, W, 3), in capture units, what is seen ``here`` has moved in the picture ``there``.

    That is across the view, as if at the same depth: depths of two moments differ more by the errors of a
    training than by most motions along the view. The second result (H, W, 1) is 1 where the first is
    believed, else 0.
    """
    if np.array_equal(here.picture, there.picture):
        return np.zeros_like(here.picture), np.ones((*here.depth.shape, 1), np.float32)
    flow = image_flow(here.picture, there.picture)
    ends = pixel_centres(camera.width, camera.height) + flow
    left = _difference(here.picture, sampled(there.picture, ends))
    believed = left < BELIEVED * _difference(here.picture, there.picture)
    believed &= ((ends > 0.0) & (ends < (camera.width, camera.height))).all(axis=-1)
    rays_o, rays_d = camera.rays()
    moved = sampled(rays_o, ends) - rays_o + here.depth[..., None] * (sampled(rays_d, ends) - rays_d)
    return moved, believed[..., None].astype(np.float32)


def _difference(first: Float32Array, second: Float32Array) -> Float32Array:
    """(H, W) how much two pictures differ about each pixel beside a common change: a variance."""
    apart = first - second
    mean = cv2.GaussianBlur(apart, (0, 0), AROUND)
    squares = cv2.GaussianBlur((apart**2).sum(axis=-1), (0, 0), AROUND)
    return np.asarray(squares - (mean**2).sum(axis=-1), dtype=np.float32)
