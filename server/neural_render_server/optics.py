"""A thin lens and a shutter: which cameras, at which times, a picture with blur is the mean of.

The accumulation of whole pictures is Haeberli and Akeley's (1990, "The accumulation buffer"): a camera moved
over the aperture, its picture shifted so that what lies in focus stays where it is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from .cameras import Camera, is_finite_number
from .crop import Crop
from .errors import OptionError

FloatArray = npt.NDArray[np.float64]

# Turning by the golden angle from sample to sample fills a disc evenly (Vogel 1979).
GOLDEN_ANGLE = math.pi * (3.0 - math.sqrt(5.0))


@dataclass(frozen=True)
class Lens:
    """A thin lens; lengths in capture units.

    What is at the planar depth ``focus_distance`` is sharp. The aperture has ``blades`` straight edges, or is
    round below 3, turned by ``rotation`` radians, and ``ratio`` times as high as wide, as in Cycles.
    """

    aperture_radius: float
    focus_distance: float
    blades: int = 0
    rotation: float = 0.0
    ratio: float = 1.0

    @staticmethod
    def from_json(value: Any, where: str) -> Lens | None:
        """``{aperture_radius, focus_distance, blades?, rotation?, ratio?}``, or None; radius 0 is none, too.

        Raises:
            OptionError: it is no such thing, or a number is out of range.
        """
        if value is None:
            return None
        known = {"aperture_radius", "focus_distance", "blades", "rotation", "ratio"}
        is_lens = isinstance(value, Mapping) and {"aperture_radius", "focus_distance"} <= set(value) <= known
        if not is_lens or not all(is_finite_number(number) for number in value.values()):
            raise OptionError(
                f"{where}: lens must have aperture_radius and focus_distance, of {sorted(known)}"
            )
        lens = Lens(**{**value, "blades": int(value.get("blades", 0))})
        if lens.aperture_radius < 0.0 or lens.focus_distance <= 0.0 or lens.ratio <= 0.0 or lens.blades < 0:
            raise OptionError(
                f"{where}: lens: {dict(value)} has a negative number, or a zero that may not be"
            )
        return lens if lens.aperture_radius > 0.0 else None


@dataclass(frozen=True)
class Moment:
    """A camera at a time, seconds from the capture's start; ``crop`` as it is then, where it moves."""

    camera: Camera
    time: float
    crop: Crop | None = None


@dataclass(frozen=True)
class BlurSampling:
    """How many pictures are averaged where a camera has a lens or a shutter, and which they are."""

    samples: int = 32
    seed: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.samples <= 4096:
            raise OptionError(f"samples is {self.samples}, but must be 1 to 4096")


def blurred_moments(
    camera: Camera, time: float, lens: Lens | None, shutter: Sequence[Moment], sampling: BlurSampling
) -> list[Moment]:
    """The cameras and times (seconds) whose pictures' mean is the blurred one.

    Lens and shutter are stratified, each by the number of samples, and shuffled against each other; the same
    seed gives the same ones.

    Raises:
        OptionError: the camera has a lens, but also distortion.
    """
    if lens is not None and not camera.is_pinhole:
        raise OptionError(
            f"camera {camera.name or '(unnamed)'}: depth of field needs a camera without lens distortion"
        )
    random = np.random.default_rng(sampling.seed)
    count = sampling.samples
    shares = random.permutation((np.arange(count) + random.random(count)) / count)
    points = aperture_points(lens, count, random) if lens is not None else np.zeros((count, 2))
    moments = []
    for share, (x, y) in zip(shares, points, strict=True):
        moment = moment_at(shutter, float(share)) if shutter else Moment(camera, time)
        if lens is not None:
            moment = replace(moment, camera=through_aperture(moment.camera, lens, x, y))
        moments.append(moment)
    return moments


def aperture_points(lens: Lens, count: int, random: np.random.Generator) -> FloatArray:
    """(count, 2) points spread evenly over the aperture, right and up, in capture units."""
    index = np.arange(count)
    radius = np.sqrt((index + random.random(count)) / count)
    angle = index * GOLDEN_ANGLE + 2.0 * math.pi * random.random()
    if lens.blades >= 3:
        # a slice of the disc becomes the triangle between two corners; its area stays evenly filled
        slices = angle / (2.0 * math.pi) * lens.blades
        corner = np.floor(slices)
        along = slices - corner
        first, second = (
            lens.rotation + (corner + side - 0.5) * 2.0 * math.pi / lens.blades for side in (0.0, 1.0)
        )
        x = radius * ((1.0 - along) * np.cos(first) + along * np.cos(second))
        y = radius * ((1.0 - along) * np.sin(first) + along * np.sin(second))
    else:
        x, y = radius * np.cos(angle), radius * np.sin(angle)
    return lens.aperture_radius * np.stack([x / lens.ratio, y], axis=-1)


def through_aperture(camera: Camera, lens: Lens, x: float, y: float) -> Camera:
    """The camera seen from ``x`` right and ``y`` up of its middle; what is in focus stays where it is."""
    pose = camera.camera_to_world.copy()
    pose[:3, 3] += x * pose[:3, 0] + y * pose[:3, 1]
    return replace(
        camera,
        camera_to_world=pose,
        cx=camera.cx + camera.fl_x * x / lens.focus_distance,
        cy=camera.cy - camera.fl_y * y / lens.focus_distance,
    )


def moment_at(shutter: Sequence[Moment], share: float) -> Moment:
    """Between the ``shutter``'s moments, which lie evenly from open to close, at ``share`` in [0, 1].

    Positions, lenses, times and crops go in straight lines, rotations by the shortest turn.
    """
    place = min(max(share, 0.0), 1.0) * (len(shutter) - 1)
    index = min(int(place), len(shutter) - 2)
    first, second, part = shutter[index], shutter[index + 1], place - index
    a, b = first.camera, second.camera

    def between(start: Any, end: Any) -> Any:
        return start + part * (end - start)

    turn, _ = cv2.Rodrigues(a.camera_to_world[:3, :3].T @ b.camera_to_world[:3, :3])
    rotation, _ = cv2.Rodrigues(turn * part)
    pose = np.eye(4)
    pose[:3, :3] = a.camera_to_world[:3, :3] @ rotation
    pose[:3, 3] = between(a.camera_to_world[:3, 3], b.camera_to_world[:3, 3])
    camera = replace(
        a,
        camera_to_world=pose,
        fl_x=between(a.fl_x, b.fl_x),
        fl_y=between(a.fl_y, b.fl_y),
        cx=between(a.cx, b.cx),
        cy=between(a.cy, b.cy),
    )
    crop = first.crop
    if crop is not None and second.crop is not None:
        crop = crop.between(second.crop, part)
    return Moment(camera, between(first.time, second.time), crop)
