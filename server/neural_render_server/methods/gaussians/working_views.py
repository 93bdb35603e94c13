"""Training views at the small size on which the start is searched, and what moves in them."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from ...cameras import Camera
from ...captures.pixels import as_bytes
from ..base import Report, TrainingViews

Float32Array = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]

# Half resolution is enough for a start, between these numbers of pixels (160x120 and 320x240).
FEWEST_PIXELS = 160 * 120
MOST_PIXELS = 320 * 240
# Frames a camera that the median and the temporal deviation are taken over, evenly spaced.
MEDIAN_FRAMES = 24
# A pixel moves where the high-passed video deviates by more than this over time ...
MOVING_DEVIATION = 0.02
# ... and by more than this many times the camera's median deviation (sensor noise).
MOVING_NOISE_FACTOR = 3.0
# Standard deviation, in pixels of the small image, of the blur that is removed: flicker is smooth.
HIGH_PASS_SIGMA = 4.0
# An area counts as moving out to this many pixels from where it was seen to move.
MOVING_MARGIN = 1


class WorkingViews:
    """The training views and their cameras resized to one small common size.

    Images are (H, W, 3) float32 in [0, 1], or (H, W, 4) premultiplied where the capture has alpha.
    """

    def __init__(self, views: TrainingViews, most_pixels: int = MOST_PIXELS) -> None:
        self.views = views
        used = np.unique(views.camera_indices)
        self.camera_indices: Sequence[int] = [int(index) for index in used]
        width = float(np.median([views.cameras[index].width for index in used]))
        height = float(np.median([views.cameras[index].height for index in used]))
        pixels = np.clip(width * height / 4.0, FEWEST_PIXELS, max(most_pixels, FEWEST_PIXELS))
        scale = min(1.0, float(np.sqrt(pixels / (width * height))))
        self.width, self.height = max(8, round(width * scale)), max(8, round(height * scale))
        self.cameras: dict[int, Camera] = {
            index: views.cameras[index].scaled(self.width, self.height) for index in self.camera_indices
        }
        self._view_of = {
            (int(camera), int(timestep)): view
            for view, (camera, timestep) in enumerate(
                zip(views.camera_indices, views.timestep_indices, strict=True)
            )
        }

    @property
    def timesteps(self) -> npt.NDArray[np.int64]:
        """The timesteps that some training view has, ascending."""
        return np.unique(self.views.timestep_indices)

    @property
    def is_static_rig(self) -> bool:
        """Whether cameras stand still and film several timesteps."""
        return len(self.camera_indices) < len(self.views)

    def timesteps_of(self, camera: int) -> npt.NDArray[np.int64]:
        """The timesteps this camera has, ascending."""
        return np.sort(self.views.timestep_indices[self.views.camera_indices == camera])

    def has(self, camera: int, timestep: int) -> bool:
        return (camera, timestep) in self._view_of

    def image(self, camera: int, timestep: int) -> Float32Array:
        return self._small(self._view_of[camera, timestep]).astype(np.float32) / np.float32(255.0)

    def images_at(self, timestep: int) -> dict[int, Float32Array]:
        """The images of all cameras that have this timestep, by camera."""
        return {
            camera: self.image(camera, timestep)
            for camera in self.camera_indices
            if self.has(camera, timestep)
        }

    def usable(self, camera: int, timestep: int) -> BoolArray:
        """(H, W) True where the pixel shows the scene: mostly opaque and not masked out."""
        index = self._view_of[camera, timestep]
        usable = np.ones((self.height, self.width), dtype=bool)
        for plane in (self.views.alpha(index), self.views.mask(index)):
            if plane is not None:
                small = self._resized(np.where(plane, 255, 0) if plane.dtype == bool else plane)
                usable &= small > 127
        return usable

    def _resized(self, image: npt.NDArray[np.generic]) -> npt.NDArray[np.uint8]:
        small = cv2.resize(
            np.ascontiguousarray(image, dtype=np.uint8),
            (self.width, self.height),
            interpolation=cv2.INTER_AREA,
        )
        return np.asarray(small, dtype=np.uint8)

    def _small(self, index: int) -> npt.NDArray[np.uint8]:
        rgb, alpha = as_bytes(self.views.rgb(index)), self.views.alpha(index)
        if alpha is None:
            return self._resized(rgb)
        premultiplied = (rgb.astype(np.uint16) * alpha[..., None] + 127) // 255
        return self._resized(np.concatenate([premultiplied, alpha[..., None]], axis=-1))

    def still_and_moving(self, camera: int) -> tuple[Float32Array, BoolArray]:
        """The camera's temporal median image, and (H, W) True where its video moves.

        The video is high-passed before its deviation is taken, so that flicker and slow changes of
        light are not motion.
        """
        timesteps = self.timesteps_of(camera)
        sampled = np.unique(np.linspace(0, len(timesteps) - 1, MEDIAN_FRAMES).round().astype(np.int64))
        frames = [self._small(self._view_of[camera, int(timesteps[index])]) for index in sampled]
        if len(frames) == 1:
            still = frames[0].astype(np.float32) / np.float32(255.0)
            return still, np.zeros(still.shape[:2], dtype=bool)
        stack = np.stack(frames, axis=-1)
        middle = stack.shape[-1] // 2
        still = np.partition(stack, middle, axis=-1)[..., middle].astype(np.float32) / np.float32(255.0)
        return still, _moving(frames)


def _moving(frames: Sequence[npt.NDArray[np.uint8]]) -> BoolArray:
    total = np.zeros(frames[0].shape, dtype=np.float32)
    squares = np.zeros(frames[0].shape, dtype=np.float32)
    for frame in frames:
        image = frame.astype(np.float32) / np.float32(255.0)
        image -= cv2.GaussianBlur(image, (0, 0), HIGH_PASS_SIGMA)
        total += image
        squares += image * image
    variance = np.maximum(squares / len(frames) - (total / len(frames)) ** 2, 0.0)
    deviation = np.sqrt(variance.max(axis=-1))
    threshold = max(MOVING_DEVIATION, MOVING_NOISE_FACTOR * float(np.median(deviation)))
    moving = (deviation > threshold).astype(np.uint8)
    size = 2 * MOVING_MARGIN + 1
    return np.asarray(cv2.dilate(moving, np.ones((size, size), np.uint8)) > 0)


def still_images(
    working: WorkingViews, report: Report
) -> tuple[dict[int, Float32Array], dict[int, BoolArray]]:
    """Median image and moving map of every camera of a static rig."""
    still: dict[int, Float32Array] = {}
    moving: dict[int, BoolArray] = {}
    for done, camera in enumerate(working.camera_indices):
        report("Finding what moves", done / len(working.camera_indices))
        still[camera], moving[camera] = working.still_and_moving(camera)
    return still, moving
