"""The pictures a solve looks at: photos, sharp frames of moving videos, stills of fixed cameras."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from ..captures.image import is_deep_image, read_image
from ..captures.pixels import as_bytes
from ..captures.sequences import Sequence
from ..captures.video import VideoReader
from ..errors import SolveError
from .footage import Footage
from .sharpness import choose_sharp, sharpness
from .still_parts import still_mask, still_picture

Tell = Callable[[float], None]

# A fixed camera's still is the median of this many sharp frames: enough that what passes by is outvoted.
STILL_FRAMES = 9

# Of a long recording this many frames a chosen one are judged for sharpness.
JUDGED = 12


@dataclass(frozen=True)
class Picture:
    """``name`` is relative to the folder of all pictures; ``frame`` counts in the recording from 0.

    ``source`` is the number of its photo or recording in the footage.
    """

    name: str
    source: int
    frame: int = 0


@dataclass(frozen=True)
class Pictures:
    """``masks`` is the folder of masks in COLMAP's naming, or None. ``dropped`` counts blurred frames."""

    folder: Path
    items: tuple[Picture, ...]
    masks: Path | None = None
    dropped: int = 0

    @property
    def names(self) -> list[str]:
        return [item.name for item in self.items]

    def to_json(self) -> dict[str, Any]:
        return {
            "folder": str(self.folder),
            "items": [[item.name, item.source, item.frame] for item in self.items],
            "masks": None if self.masks is None else str(self.masks),
            "dropped": self.dropped,
        }

    @staticmethod
    def from_json(data: dict[str, Any]) -> Pictures:
        return Pictures(
            Path(data["folder"]),
            tuple(Picture(*item) for item in data["items"]),
            None if data["masks"] is None else Path(data["masks"]),
            data["dropped"],
        )


def photo_pictures(footage: Footage, folder: Path, tell: Tell) -> Pictures:
    """The photos where they are; photos of more than 8 bits as 8-bit PNG in ``folder``, for the solver.

    Raises:
        CaptureError: a photo cannot be read.
    """
    photos = footage.photos
    if not any(map(is_deep_image, photos)):
        return Pictures(photos[0].parent, tuple(Picture(photo.name, i) for i, photo in enumerate(photos)))
    items = []
    for index, photo in enumerate(photos):
        name = f"{photo.name}.png"
        write_png(folder / name, as_bytes(read_image(photo)[..., :3]))
        items.append(Picture(name, index))
        tell((index + 1) / len(photos))
    return Pictures(folder, tuple(items))


def moving_pictures(footage: Footage, folder: Path, count: int, tell: Tell) -> Pictures:
    """About ``count`` sharp, evenly spaced frames of each moving video, written as PNG below ``folder``.

    Several videos give the same frames, chosen by their mean sharpness, so that each is a moment of all.

    Raises:
        CaptureError: a video cannot be read.
    """
    recordings = footage.recordings
    frames = min(recording.frames for recording in recordings)
    parts = min(count, frames)
    judged = np.unique(np.linspace(0, frames - 1, min(frames, parts * JUDGED)).round().astype(int))
    measures = np.zeros((len(recordings), len(judged)))
    steps = len(recordings) * (len(judged) + parts)
    done = 0
    for row, recording in enumerate(recordings):
        for column, pixels in enumerate(read_frames(recording, judged.tolist())):
            measures[row, column] = sharpness(pixels)
            done += 1
            tell(done / steps)
    mean = (measures / measures.mean(axis=1, keepdims=True).clip(min=1e-12)).mean(axis=0)
    chosen = [int(judged[index]) for index in choose_sharp(mean, parts)]
    items = []
    for number, recording in enumerate(recordings):
        for frame, pixels in zip(chosen, read_frames(recording, chosen), strict=True):
            name = f"{recording.name}/{recording.name}_{frame:06d}.png"
            write_png(folder / name, pixels)
            items.append(Picture(name, number, frame))
            done += 1
            tell(done / steps)
    return Pictures(folder, tuple(items), dropped=(parts - len(chosen)) * len(recordings))


def fixed_pictures(footage: Footage, folder: Path, tell: Tell) -> Pictures:
    """A still of each camera that stands still, the median of sharp frames, and a mask of what moves.

    Raises:
        CaptureError: a recording cannot be read.
        SolveError: nothing of a picture stands still.
    """
    stills, masks = folder / "stills", folder / "masks"
    items = []
    count = len(footage.recordings)
    for number, recording in enumerate(footage.recordings):
        judged = np.unique(
            np.linspace(0, recording.frames - 1, min(recording.frames, 3 * STILL_FRAMES)).round().astype(int)
        )
        measures, kept = [], []
        for pixels in read_frames(recording, judged.tolist()):
            measures.append(sharpness(pixels))
            kept.append(pixels)
            tell((number + len(kept) / len(judged)) / count)
        frames = [kept[index] for index in choose_sharp(np.array(measures), STILL_FRAMES)]
        mask = still_mask(frames)
        if not mask.any():
            raise SolveError(
                f"{recording.path}: the whole picture changes all the time, so it cannot be solved from; "
                "if the camera moves, solve with moving cameras"
            )
        name = f"{recording.name}.png"
        write_png(stills / name, still_picture(frames))
        write_png(masks / f"{name}.png", np.repeat(mask[..., None], 3, axis=2).astype(np.uint8) * 255)
        items.append(Picture(name, number, int(judged[0])))
    return Pictures(stills, tuple(items), masks)


def read_frames(recording: Sequence, frames: list[int]) -> Iterator[npt.NDArray[np.uint8]]:
    """(H, W, 3) of each of ``frames`` (ascending), a video in one pass."""
    if recording.images:
        for frame in frames:
            yield as_bytes(read_image(recording.images[frame])[..., :3])
        return
    with VideoReader(recording.path) as reader:
        for pixels in reader.read(frames):
            yield as_bytes(pixels)


def write_png(path: Path, pixels: npt.NDArray[np.uint8]) -> None:
    """Write an (H, W, 3) RGB picture.

    Raises:
        SolveError: the disk takes no more.
    """
    fast = [cv2.IMWRITE_PNG_COMPRESSION, 1]
    _, data = cv2.imencode(".png", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), fast)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.tobytes())
    except OSError as error:
        raise SolveError(
            f"{path}: cannot be written ({error.strerror or error}); free some space or choose another folder"
        ) from error
