"""Lists of posed images (``transforms.json`` and its kin) -> cameras, timesteps and views."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..cameras import RENDER_ONLY_MODELS, Camera, camera_from_json, is_finite_number
from ..errors import CaptureError
from .capture import Capture, FrameSource, ImageSource, PointCloud, VideoSource, View
from .checks import path_inside, rigid_pose, scaled_to_photo
from .film import mismatches
from .image import IMAGE_SUFFIXES, image_header
from .sequences import Sequence as Recording
from .timeline import interval, moments_of, place
from .timestamps import Clock

# Frames whose poses and intrinsics agree to this many decimals come from one camera that stands still.
SAME_CAMERA_DECIMALS = 6

# Times closer than this (seconds) are one timestep: files round them to six decimals or so.
SAME_TIME = 1e-5

# A listed video, and when its frames were taken.
VideoFilm = tuple[Recording, Clock]


@dataclass(frozen=True, eq=False)
class PosedFrame:
    """One listed frame whose image exists. ``time`` is in seconds, None where the list has none.

    ``image`` is the video where ``video_frame`` is a number. ``time_shift`` are the seconds after ``time``,
    that of its timestep, at which it was taken.
    """

    camera: Camera
    image: Path
    mask: Path | None
    time: float | None
    is_test: bool
    has_alpha: bool
    where: str
    was_resized: bool
    video_frame: int | None = None
    time_shift: float = 0.0

    @property
    def source(self) -> FrameSource:
        return (
            ImageSource(self.image) if self.video_frame is None else VideoSource(self.image, self.video_frame)
        )


def find_image(root: Path, file_path: Any, where: str) -> Path | None:
    """The image that a list's ``file_path`` means, with or without extension; None where it is missing.

    Raises:
        CaptureError: the path leads out of ``root``.
    """
    path = path_inside(root, file_path, where)
    if path.is_file():
        return path
    with_suffixes = (path.with_name(path.name + suffix) for suffix in IMAGE_SUFFIXES)
    return next((candidate for candidate in with_suffixes if candidate.is_file()), None)


def read_frame(
    entry: dict[str, Any], shared: dict[str, Any], root: Path, image: Path, is_test: bool, where: str
) -> PosedFrame:
    """One frame of a list; intrinsics calibrated at another size are scaled to the image's.

    Raises:
        CaptureError, CameraFileError: its intrinsics, pose, time, mask or image cannot be used.
    """
    width, height, has_alpha = image_header(image)
    return _posed_frame(entry, shared, root, image, (width, height, has_alpha), is_test, where)


def read_video_frames(
    entry: dict[str, Any], shared: dict[str, Any], root: Path, film: VideoFilm, is_test: bool, where: str
) -> list[PosedFrame]:
    """The frames of a listed video: a camera that stands still, from the entry's ``time`` (default 0) on.

    Raises:
        CaptureError, CameraFileError: its intrinsics, pose or time cannot be used.
    """
    sequence, clock = film
    header = (sequence.width, sequence.height, False)
    first = _posed_frame(
        {"time": 0.0, "name": sequence.name, **entry}, shared, root, sequence.path, header, is_test, where
    )
    assert first.time is not None
    return [
        replace(first, video_frame=int(frame), time=first.time + float(time))
        for frame, time in zip(clock.frames, clock.times, strict=True)
    ]


def _posed_frame(
    entry: dict[str, Any],
    shared: dict[str, Any],
    root: Path,
    image: Path,
    header: tuple[int, int, bool],
    is_test: bool,
    where: str,
) -> PosedFrame:
    width, height, has_alpha = header
    size = {"w": width, "h": height}
    calibrated = camera_from_json({**size, **shared, **entry}, {}, where)
    if calibrated.camera_model in RENDER_ONLY_MODELS:
        raise CaptureError(
            f"{where}: pictures of the camera_model {calibrated.camera_model} cannot be trained on; export "
            "them as perspective ones"
        )
    camera = replace(
        scaled_to_photo(calibrated, width, height, where),
        camera_to_world=rigid_pose(entry.get("transform_matrix"), where),
        name=str(entry.get("name") or ""),
    )
    mask = None
    if entry.get("mask_path"):
        mask = find_image(root, entry["mask_path"], where)
        if mask is None:
            raise CaptureError(
                f"{where}: the mask {entry['mask_path']!r} does not exist; add it or its entry"
            )
    return PosedFrame(
        camera=camera,
        image=image,
        mask=mask,
        time=_seconds(entry, "time", where),
        is_test=is_test,
        has_alpha=has_alpha,
        where=where,
        was_resized=(calibrated.width, calibrated.height) != (width, height),
        time_shift=_seconds(entry, "time_shift", where) or 0.0,
    )


def _seconds(entry: dict[str, Any], key: str, where: str) -> float | None:
    value = entry.get(key)
    if value is None:
        return None
    if not is_finite_number(value):
        raise CaptureError(f"{where}: {key!r} is {value!r}, but must be seconds")
    return float(value)


def capture_from_frames(
    path: Path,
    kind: str,
    frames: Sequence[PosedFrame],
    fps: float | None,
    points: PointCloud | None,
    warnings: Sequence[str],
) -> Capture:
    """Gather listed frames into a capture; frames of one standing camera share it.

    Raises:
        CaptureError: there are no frames, or some of them have a time and others none.
    """
    if not frames:
        raise CaptureError(f"{path}: none of the listed images exist; put them where the file says")
    warnings = list(warnings)
    if all(frame.video_frame is not None for frame in frames):
        frames, times, timesteps, told = _film(frames)
        warnings += told
        fps = fps or (1.0 / interval(times) if len(times) > 1 else None)
    else:
        times, timesteps = _timesteps(path, frames)
    cameras, owners = _cameras(frames, timesteps, is_dynamic=len(times) > 1)
    resized = sum(frame.was_resized for frame in frames)
    if resized:
        warnings.append(f"{resized} images have another size than calibrated; their intrinsics were scaled.")
    if fps is None and len(times) > 1:
        steps = np.diff(times)
        if steps.max() - steps.min() < 0.01 * steps.mean():
            fps = float(1.0 / steps.mean())
    return Capture(
        path=path,
        format=kind,
        cameras=cameras,
        times=times,
        fps=fps,
        views=[
            View(owner, int(timestep), frame.source, frame.mask, frame.time_shift)
            for frame, owner, timestep in zip(frames, owners, timesteps, strict=True)
        ],
        is_test=np.array([frame.is_test for frame in frames]),
        points=points,
        has_alpha=all(frame.has_alpha for frame in frames),
        warnings=warnings,
    )


def _film(
    frames: Sequence[PosedFrame],
) -> tuple[list[PosedFrame], npt.NDArray[np.float64], npt.NDArray[np.int64], list[str]]:
    """The frames that timesteps take, the timesteps' times from 0 on, each frame's timestep, and warnings."""
    videos: dict[Path, list[PosedFrame]] = {}
    for frame in frames:
        videos.setdefault(frame.image, []).append(frame)
    clocks = [np.array([frame.time for frame in own], dtype=np.float64) for own in videos.values()]
    moments = moments_of(clocks)
    if not len(moments):
        names = ", ".join(video.name for video in videos)
        raise CaptureError(
            f"{frames[0].where}: the videos {names} have no time in common; correct their 'time'"
        )
    kept, timesteps = [], []
    for own, times in zip(videos.values(), clocks, strict=True):
        for frame, time, timestep in zip(own, times, place(times, moments), strict=True):
            if timestep >= 0:
                kept.append(replace(frame, time_shift=float(time - moments[timestep])))
                timesteps.append(timestep)
    told = mismatches([video.stem for video in videos], clocks)
    return kept, moments - moments[0], np.array(timesteps, dtype=np.int64), told


def _timesteps(
    path: Path, frames: Sequence[PosedFrame]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Times of the timesteps, from 0 seconds, and each frame's timestep."""
    without = [frame for frame in frames if frame.time is None]
    if len(without) == len(frames):
        return np.zeros(1), np.zeros(len(frames), dtype=np.int64)
    if without:
        raise CaptureError(
            f"{without[0].where}: 'time' is missing here and in {len(without) - 1} other frames "
            "while others have it; give every frame of a moving scene its time in seconds"
        )
    stated = np.array([frame.time for frame in frames], dtype=np.float64)
    order = np.sort(stated)
    times = order[np.concatenate([[True], np.diff(order) > SAME_TIME])]
    timesteps = np.searchsorted(times, stated + SAME_TIME, side="right") - 1
    return times - times[0], timesteps


def _cameras(
    frames: Sequence[PosedFrame], timesteps: npt.NDArray[np.int64], is_dynamic: bool
) -> tuple[list[Camera], list[int]]:
    """The distinct cameras, and each frame's index among them."""
    groups: list[list[int]] = []
    filmed: list[set[int]] = []
    known: dict[tuple[float, ...], int] = {}
    owners: list[int] = []
    for index, frame in enumerate(frames):
        group = known.get(_identity(frame.camera)) if is_dynamic else None
        if group is None or timesteps[index] in filmed[group]:
            group = len(groups)
            groups.append([])
            filmed.append(set())
            known[_identity(frame.camera)] = group
        groups[group].append(index)
        filmed[group].add(int(timesteps[index]))
        owners.append(group)
    names = _camera_names([[frames[index] for index in group] for group in groups])
    return [
        replace(frames[group[0]].camera, name=name) for group, name in zip(groups, names, strict=True)
    ], owners


def _identity(camera: Camera) -> tuple[float, ...]:
    values = [camera.width, camera.height, camera.fl_x, camera.fl_y, camera.cx, camera.cy]
    values += [*camera.distortion, *camera.camera_to_world.ravel()]
    return tuple(np.round(values, SAME_CAMERA_DECIMALS).tolist())


def _camera_names(groups: Sequence[Sequence[PosedFrame]]) -> list[str]:
    """Stated names stay as they are; else the first of several ways that tells all cameras apart."""
    stated = [frames[0].camera.name for frames in groups]
    if all(stated):
        single = all(len(frames) == 1 for frames in groups)
        shortened = [name if single else _without_number(name) for name in stated]
        return shortened if len(set(shortened)) == len(shortened) else stated
    candidates = (
        [
            _without_number(frames[0].image.stem) if len(frames) > 1 else frames[0].image.stem
            for frames in groups
        ],
        [frames[0].image.parent.name for frames in groups],
        [frames[0].image.stem for frames in groups],
        [f"{frames[0].image.parent.name}_{frames[0].image.stem}" for frames in groups],
    )
    for names in candidates:
        if all(names) and len(set(names)) == len(names):
            return names
    return [f"camera{index:0{len(str(len(groups)))}d}" for index in range(len(groups))]


def _without_number(stem: str) -> str:
    """``cam00_0001`` -> ``cam00``: a name without the number of its frame."""
    return re.sub(r"[_\-. ]\d+$", "", stem)
