"""What an artist brings: photos, one moving video, or the recordings of several cameras."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..captures.checks import natural_sorted
from ..captures.image import is_image
from ..captures.pixels import as_bytes
from ..captures.sequences import Sequence, image_sequence, video_sequence
from ..captures.video import is_video
from ..errors import SolveError
from .options import CameraMotion
from .still_parts import stands_still

FootageKind = Literal["photos", "moving", "fixed"]

# Where the photos or videos of a folder are looked for, besides the folder itself.
INNER_FOLDERS = ("videos", "images", "input", "photos")

# Fewer pictures than this cannot give depth.
LEAST_PICTURES = 2


@dataclass(frozen=True)
class Footage:
    """``photos`` for kind ``photos``, else ``recordings``: moving cameras, or several that stand still."""

    path: Path
    kind: FootageKind
    photos: tuple[Path, ...] = ()
    recordings: tuple[Sequence, ...] = ()

    @property
    def is_moving_rig(self) -> bool:
        """Whether several cameras were moved at the same time."""
        return self.kind == "moving" and len(self.recordings) > 1

    def describe(self) -> str:
        """``29 photos``, ``1 moving video``, ``19 fixed cameras``."""
        if self.kind == "photos":
            return f"{len(self.photos)} photos"
        count = len(self.recordings)
        return f"{count} {'fixed camera' if self.kind == 'fixed' else 'moving video'}{'s' * (count != 1)}"


def find_footage(path: Path, motion: CameraMotion = "auto") -> Footage:
    """What is at ``path``: a video file, or a folder of photos, of videos or of one folder a camera.

    Videos of several cameras that stand still are one rig; with ``motion`` ``auto`` frames far apart are
    compared to find out.

    Raises:
        SolveError: there is nothing to solve from.
        CaptureError: a video or image cannot be read.
    """
    if not path.exists():
        raise SolveError(f"{path}: there is no such file or folder; check the path")
    if path.is_file():
        if not is_video(path):
            raise SolveError(f"{path}: not a video; give a video or a folder of videos or photos")
        recordings: tuple[Sequence, ...] = (video_sequence(path),)
        return Footage(path, _motion(motion, recordings), recordings=recordings)
    for folder in (path, *(path / name for name in INNER_FOLDERS)):
        if not folder.is_dir():
            continue
        entries = natural_sorted(folder.iterdir())
        videos = [entry for entry in entries if entry.is_file() and is_video(entry)]
        if videos:
            recordings = tuple(video_sequence(video) for video in videos)
            return Footage(path, _motion(motion, recordings), recordings=recordings)
        photos = tuple(entry for entry in entries if entry.is_file() and is_image(entry))
        if photos:
            if len(photos) < LEAST_PICTURES:
                raise SolveError(f"{folder}: holds a single photo; cameras are solved from at least two")
            return Footage(path, "photos", photos=photos)
        folders = [entry for entry in entries if entry.is_dir() and _has_images(entry)]
        if len(folders) >= LEAST_PICTURES:
            recordings = tuple(image_sequence(entry) for entry in folders)
            return Footage(path, _motion(motion, recordings), recordings=recordings)
    raise SolveError(
        f"{path}: holds no photos, videos or folders of frames; give the folder that does, "
        f"or put them in {INNER_FOLDERS[0]}/ or {INNER_FOLDERS[1]}/"
    )


def _has_images(folder: Path) -> bool:
    return any(is_image(entry) for entry in folder.iterdir() if entry.is_file())


def _motion(asked: CameraMotion, recordings: tuple[Sequence, ...]) -> FootageKind:
    if asked != "auto":
        motion: FootageKind = asked
    elif len(recordings) == 1:
        motion = "moving"
    else:
        motion = "fixed" if all(map(_stands_still, recordings)) else "moving"
    if motion == "fixed" and len(recordings) < LEAST_PICTURES:
        raise SolveError(
            f"{recordings[0].path}: one camera that stands still gives no depth; add another camera's video, "
            "or move the camera"
        )
    return motion


def _stands_still(recording: Sequence) -> bool:
    """Compares the first frame with the middle and the last one."""
    first = as_bytes(recording.pixels(0))
    later = {recording.frames // 2, recording.frames - 1} - {0}
    return all(stands_still(first, as_bytes(recording.pixels(frame))) for frame in later)
