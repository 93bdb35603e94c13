"""What was filmed: cameras, timesteps, and where each frame's pixels lie. Nothing is decoded here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..cameras import Camera
from ..errors import CaptureError
from ..rolling_shutter import RollingShutter


@dataclass(frozen=True)
class ImageSource:
    """A frame in an image file."""

    path: Path


@dataclass(frozen=True)
class VideoSource:
    """Frame number ``frame`` (from 0, in presentation order) of a video file."""

    path: Path
    frame: int


@dataclass(frozen=True)
class CropSource:
    """The part of an image file from ``left``, ``top`` on, in pixels."""

    path: Path
    left: int
    top: int
    width: int
    height: int


FrameSource = ImageSource | VideoSource | CropSource


@dataclass(frozen=True)
class View:
    """One filmed frame: which camera, which timestep, and where its pixels are.

    ``time_shift`` are the seconds by which it was taken after its timestep's time.
    """

    camera: int
    timestep: int
    source: FrameSource
    mask: Path | None = None  # white where the pixel is to be used
    time_shift: float = 0.0


@dataclass(frozen=True)
class PointCloud:
    """Sparse scene points: ``positions`` (N, 3) float32, ``colors`` (N, 3) uint8 sRGB."""

    positions: npt.NDArray[np.float32]
    colors: npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Capture:
    """A posed multi-view recording.

    ``times[k]`` is timestep ``k`` in seconds from the capture's start. ``is_test`` marks, per view,
    what is held out: such a view never reaches training. ``near_far`` are per-camera depth bounds
    (C, 2) where the format states them. ``picture_areas`` are per camera (left, top, right, bottom) of
    the part of the frame that was filmed, where black bars surround it. ``transfer`` names the curve (of
    ``transfer.LOG_CURVES``) that its videos were recorded with where they do not say. ``shutters``
    are per camera how its pictures were read out, None where all of each was taken at once. ``warnings`` are
    sentences for the user about what was skipped or repaired.
    """

    path: Path
    format: str
    cameras: Sequence[Camera]
    times: npt.NDArray[np.float64]
    fps: float | None
    views: Sequence[View]
    is_test: npt.NDArray[np.bool_]
    points: PointCloud | None = None
    near_far: npt.NDArray[np.float64] | None = None
    has_alpha: bool = False
    picture_areas: Sequence[tuple[int, int, int, int] | None] | None = None
    transfer: str | None = None
    shutters: Sequence[RollingShutter] | None = None
    warnings: Sequence[str] = field(default_factory=tuple)

    @property
    def name(self) -> str:
        return self.path.stem if self.path.is_file() else self.path.name

    @property
    def is_dynamic(self) -> bool:
        return len(self.times) > 1

    @property
    def is_static_rig(self) -> bool:
        """Whether some camera films more than one timestep (so that it stands still)."""
        return self.is_dynamic and len(self.cameras) < len(self.views)

    @property
    def duration(self) -> float:
        return float(self.times[-1] - self.times[0]) if len(self.times) else 0.0

    @property
    def train_indices(self) -> npt.NDArray[np.int64]:
        return np.flatnonzero(~self.is_test)

    @property
    def test_indices(self) -> npt.NDArray[np.int64]:
        return np.flatnonzero(self.is_test)

    @property
    def view_times(self) -> npt.NDArray[np.float64]:
        """(V,) seconds at which each view was taken: its timestep's time and its own shift."""
        return np.array([self.times[view.timestep] + view.time_shift for view in self.views])

    def view_name(self, index: int) -> str:
        view = self.views[index]
        name = self.cameras[view.camera].name or f"camera{view.camera:02d}"
        return f"{name}_{view.timestep + 1:04d}" if self.is_dynamic else name


@dataclass(frozen=True)
class SplitOptions:
    """What to hold out, over what the capture's own files say (``None`` / empty keeps theirs)."""

    test_cameras: Sequence[str] = ()
    every_nth_test: int | None = None  # every n-th camera of a static capture, from the first
    test_timesteps: Sequence[int] = ()  # these timesteps of every camera, from 0
    timesteps: tuple[int, int] | None = None  # only timesteps first <= k < last

    def to_json(self) -> dict[str, Any]:
        return {
            "test_cameras": list(self.test_cameras),
            "every_nth_test": self.every_nth_test,
            "test_timesteps": list(self.test_timesteps),
            "timesteps": list(self.timesteps) if self.timesteps else None,
        }


def apply_split(capture: Capture, options: SplitOptions) -> Capture:
    """The capture with ``options`` applied to its timesteps and its train/test split.

    Raises:
        CaptureError: a named camera or timestep does not exist, or nothing is left to train on.
    """
    if options.timesteps is not None:
        first, last = options.timesteps
        if not 0 <= first < last or first >= len(capture.times):
            raise CaptureError(
                f"{capture.path}: timesteps {first}:{last} are outside the capture's 0:{len(capture.times)}"
            )
        last = min(last, len(capture.times))
        keep = [index for index, view in enumerate(capture.views) if first <= view.timestep < last]
        capture = replace(
            capture,
            views=[replace(capture.views[i], timestep=capture.views[i].timestep - first) for i in keep],
            is_test=capture.is_test[keep],
            times=capture.times[first:last] - capture.times[first],
        )
    is_test = capture.is_test.copy()
    if options.test_cameras or options.every_nth_test or options.test_timesteps:
        is_test[:] = False
    if options.test_cameras:
        names = [camera.name for camera in capture.cameras]
        for name in options.test_cameras:
            if name not in names:
                raise CaptureError(
                    f"{capture.path}: no camera {name!r} to hold out; there are {', '.join(names)}"
                )
        held_out = {names.index(name) for name in options.test_cameras}
        is_test |= np.array([view.camera in held_out for view in capture.views])
    if options.every_nth_test is not None:
        if options.every_nth_test < 2:
            raise CaptureError(f"every_nth_test is {options.every_nth_test}, but must be at least 2")
        is_test |= np.array([view.camera % options.every_nth_test == 0 for view in capture.views])
    for timestep in options.test_timesteps:
        if not 0 <= timestep < len(capture.times):
            raise CaptureError(
                f"{capture.path}: no timestep {timestep} to hold out; there are 0 to {len(capture.times) - 1}"
            )
    if options.test_timesteps:
        is_test |= np.isin([view.timestep for view in capture.views], list(options.test_timesteps))
    if is_test.all():
        raise CaptureError(
            f"{capture.path}: every view is held out, so nothing is left to train on; hold out fewer"
        )
    return replace(capture, is_test=is_test)
