"""``transforms.json`` of instant-ngp and nerfstudio: one list of posed images.

Formats: instant-ngp's ``docs/nerf_dataset_tips.md``; nerfstudio's "Data conventions" page. Poses
are camera-to-world with OpenGL axes, principal points have pixel centres at +0.5, both as ours.
``time`` is in seconds; a file without it is a static capture. Beyond those formats a ``file_path`` may be a
video: what a camera that stands still filmed from ``time`` (default 0) on; and ``time_shift`` are the seconds
after ``time``, then the time of its timestep, at which a frame was taken.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..cameras import is_finite_number
from ..errors import CaptureError
from .capture import Capture, PointCloud
from .checks import path_inside, read_json_object
from .film import clocks_of
from .ply import read_ply
from .posed_frames import PosedFrame, capture_from_frames, find_image, read_frame, read_video_frames
from .sequences import Sequence, video_sequence
from .video import is_video


@dataclass(frozen=True)
class _Listed:
    """An entry whose file is a video."""

    entry: dict[str, Any]
    sequence: Sequence
    is_test: bool
    where: str


def transforms_file(path: Path) -> Path | None:
    """The file that ``path`` means: itself, or the ``transforms.json`` in it."""
    if path.is_file():
        return path if path.suffix.lower() == ".json" else None
    return path / "transforms.json" if (path / "transforms.json").is_file() else None


def is_transforms(path: Path) -> bool:
    return transforms_file(path) is not None


def read_transforms(path: Path) -> Capture:
    """Read a ``transforms.json`` (or the folder it is in); listed images that are missing are skipped.

    Frames in ``test_filenames`` or ``val_filenames`` are held out, and where there are
    ``train_filenames``, all that are not among them.

    Raises:
        CaptureError, CameraFileError: the file or a frame in it cannot be used.
    """
    file = transforms_file(path)
    assert file is not None
    root = file.parent
    data = read_json_object(file)
    entries = data.get("frames")
    if not isinstance(entries, list) or not entries:
        raise CaptureError(f"{file}: has no 'frames'; it is no capture")
    shared = {key: value for key, value in data.items() if key != "frames"}
    train = _listed(data, ("train_filenames",), root, file)
    held_out = _listed(data, ("test_filenames", "val_filenames"), root, file)
    frames: list[PosedFrame] = []
    videos: list[_Listed] = []
    missing = 0
    for index, entry in enumerate(entries):
        where = f"{file}, frame {index + 1}"
        if not isinstance(entry, dict):
            raise CaptureError(f"{where}: not an object")
        if "file_path" not in entry:
            raise CaptureError(
                f"{where}: has no 'file_path'; a camera file without images cannot be trained on"
            )
        image = find_image(root, entry["file_path"], where)
        if image is None:
            missing += 1
            continue
        listed = path_inside(root, entry["file_path"], where).resolve()
        is_test = listed in held_out or (bool(train) and listed not in train)
        if is_video(image):
            videos.append(_Listed(entry, video_sequence(image), is_test, where))
        else:
            frames.append(read_frame(entry, shared, root, image, is_test, where))
    warnings = []
    if missing:
        warnings.append(
            f"{missing} of the {len(entries)} images that {file.name} lists are missing; they are skipped."
        )
    found = clocks_of(root, [video.sequence for video in videos])
    warnings += found.warnings
    for video, clock in zip(videos, found.clocks, strict=True):
        film = video.sequence, clock
        frames += read_video_frames(video.entry, shared, root, film, video.is_test, video.where)
    return capture_from_frames(path, "transforms", frames, _fps(data, file), _points(data, file), warnings)


def _listed(data: dict[str, Any], keys: tuple[str, ...], root: Path, file: Path) -> set[Path]:
    listed: set[Path] = set()
    for key in keys:
        names = data.get(key) or []
        if not isinstance(names, list):
            raise CaptureError(f"{file}: {key!r} is not a list of file names")
        listed |= {path_inside(root, name, f"{file}, {key}").resolve() for name in names}
    return listed


def _fps(data: dict[str, Any], file: Path) -> float | None:
    fps = data.get("fps")
    if fps is None:
        return None
    if not is_finite_number(fps) or fps <= 0:
        raise CaptureError(f"{file}: 'fps' is {fps!r}, but must be a positive number")
    return float(fps)


def _points(data: dict[str, Any], file: Path) -> PointCloud | None:
    if not data.get("ply_file_path"):
        return None
    path = path_inside(file.parent, data["ply_file_path"], f"{file}, ply_file_path")
    return read_ply(path) if path.is_file() else None
