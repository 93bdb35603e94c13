"""The pictures a solve looks at: photos, sharp frames of moving videos, stills of fixed cameras."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from ..captures.film import clocks_of
from ..captures.image import is_deep_image, read_image
from ..captures.pixels import Pixels, as_bytes, as_float
from ..captures.sequences import Sequence
from ..captures.timeline import moments_of, place
from ..captures.transfer import linear_to_srgb, srgb_to_linear
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


# The part of a high-dynamic-range photo that may be clipped in the picture it is solved from.
BRIGHTEST = 0.01


@dataclass(frozen=True)
class Picture:
    """``name`` is relative to the folder of all pictures; ``frame`` counts in the recording from 0.

    ``source`` is the number of its photo or recording in the footage. ``moment`` are the seconds of the
    moment of all recordings that a frame belongs to, ``time_shift`` those after it at which it was taken.
    """

    name: str
    source: int
    frame: int = 0
    moment: float = 0.0
    time_shift: float = 0.0


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
            "items": [list(astuple(item)) for item in self.items],
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
        write_png(folder / name, exposed(read_image(photo)[..., :3]))
        items.append(Picture(name, index))
        tell((index + 1) / len(photos))
    return Pictures(folder, tuple(items))


def exposed(pixels: Pixels) -> npt.NDArray[np.uint8]:
    """(H, W, 3) in 8 bits; what is deeper in such an exposure that only the brightest ``BRIGHTEST`` clips.

    Scene-linear pictures may have any exposure, and what is clipped or dark has no features.
    """
    if pixels.dtype == np.uint8:
        return as_bytes(pixels)
    linear = srgb_to_linear(as_float(pixels))
    white = float(np.quantile(linear.max(axis=-1), 1.0 - BRIGHTEST))
    encoded = linear_to_srgb(linear / np.float32(max(white, 1e-6)))
    return np.asarray(np.rint(np.clip(encoded, 0.0, 1.0) * 255.0), dtype=np.uint8)


def moving_pictures(
    footage: Footage, folder: Path, count: int, offsets: Mapping[str, float], tell: Tell
) -> Pictures:
    """About ``count`` sharp, evenly spaced frames of each moving video, written as PNG below ``folder``.

    Several videos give frames of the same moments, chosen by their mean sharpness. ``offsets`` are the
    seconds to add to recordings' clocks, by name.

    Raises:
        CaptureError: a video cannot be read.
        SolveError: the recordings share no moment.
    """
    recordings = footage.recordings
    moments = _common_moments(footage, offsets)
    parts = min(count, len(moments))
    judged = np.unique(
        np.linspace(0, len(moments) - 1, min(len(moments), parts * JUDGED)).round().astype(int)
    )
    measures = np.zeros((len(recordings), len(judged)))
    steps = len(recordings) * (len(judged) + parts)
    done = 0
    for row, recording in enumerate(recordings):
        frames = [moments[moment][row][0] for moment in judged]
        for column, pixels in enumerate(read_frames(recording, frames)):
            measures[row, column] = sharpness(pixels)
            done += 1
            tell(done / steps)
    mean = (measures / measures.mean(axis=1, keepdims=True).clip(min=1e-12)).mean(axis=0)
    chosen = [moments[judged[index]] for index in choose_sharp(mean, parts)]
    items = []
    for number, recording in enumerate(recordings):
        own = [moment[number] for moment in chosen]
        for (frame, moment, shift), pixels in zip(
            own, read_frames(recording, [frame for frame, _, _ in own]), strict=True
        ):
            name = f"{recording.name}/{recording.name}_{frame:06d}.png"
            write_png(folder / name, pixels)
            items.append(Picture(name, number, frame, moment, shift))
            done += 1
            tell(done / steps)
    return Pictures(folder, tuple(items), dropped=(parts - len(chosen)) * len(recordings))


def _common_moments(footage: Footage, offsets: Mapping[str, float]) -> list[list[tuple[int, float, float]]]:
    """For each moment that all film, each recording's frame, the moment, and how much later it was taken."""
    recordings = footage.recordings
    clocks = clocks_of(recordings[0].path.parent, recordings).clocks
    times = [
        clock.times + offsets.get(recording.name, 0.0)
        for clock, recording in zip(clocks, recordings, strict=True)
    ]
    moments = moments_of(times)
    found: list[list[tuple[int, float, float]]] = [[] for _ in moments]
    for clock, own in zip(clocks, times, strict=True):
        for frame, time, timestep in zip(clock.frames, own, place(own, moments), strict=True):
            if timestep >= 0:
                moment = float(moments[timestep])
                found[timestep].append((int(frame), moment - float(moments[0]), float(time) - moment))
    common = [frames for frames in found if len(frames) == len(recordings)]
    if not common:
        raise SolveError(
            f"{footage.path}: the recordings share no moment; check the offsets, or solve them separately"
        )
    return common


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
