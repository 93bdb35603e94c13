"""One camera's recording: a video, or a folder of frames in order."""

from __future__ import annotations

from collections.abc import Sequence as SequenceOf
from dataclasses import dataclass
from pathlib import Path

from ..errors import CaptureError
from .capture import FrameSource, ImageSource, VideoSource
from .checks import natural_sorted
from .image import image_header, is_image, read_image
from .pixels import Pixels
from .video import VideoReader, probe_video


@dataclass(frozen=True)
class Sequence:
    """A camera's frames in time. ``fps`` is None where the recording does not say."""

    name: str
    path: Path
    width: int
    height: int
    frames: int
    fps: float | None
    images: SequenceOf[Path] = ()

    def source(self, frame: int) -> FrameSource:
        return ImageSource(self.images[frame]) if self.images else VideoSource(self.path, frame)

    def pixels(self, frame: int) -> Pixels:
        """(H, W, 3) of one frame."""
        if self.images:
            return read_image(self.images[frame])[..., :3]
        with VideoReader(self.path) as reader:
            return reader.frame(frame)


def video_sequence(path: Path) -> Sequence:
    """Raises CaptureError where the video is unreadable, empty or cut off."""
    info = probe_video(path)
    return Sequence(path.stem, path, info.width, info.height, info.frames, info.fps or None)


def image_sequence(folder: Path, name: str | None = None) -> Sequence:
    """The images of a folder in natural order; the name is the folder's (above ``images``).

    Raises:
        CaptureError: it has no images, or the first cannot be read.
    """
    images = natural_sorted(entry for entry in folder.iterdir() if is_image(entry))
    if not images:
        raise CaptureError(f"{folder}: no images here; put the camera's frames in it or remove the folder")
    width, height, _ = image_header(images[0])
    if name is None:
        name = folder.parent.name if folder.name == "images" else folder.name
    return Sequence(name, folder, width, height, len(images), None, images)


def synchronised(sequences: SequenceOf[Sequence]) -> tuple[int, float | None, list[str]]:
    """Common frame count and rate of recordings that start together, with warnings.

    Raises:
        CaptureError: the recordings run at different rates.
    """
    warnings: list[str] = []
    counts = [sequence.frames for sequence in sequences]
    count = min(counts)
    if max(counts) != count:
        longer = [sequence.name for sequence in sequences if sequence.frames > count]
        warnings.append(
            f"The recordings have {count} to {max(counts)} frames; only the common first {count} are used "
            f"(longer: {', '.join(longer)})."
        )
    rates = sorted({sequence.fps for sequence in sequences if sequence.fps is not None})
    if rates and rates[-1] > rates[0] * 1.001:
        listed = ", ".join(f"{sequence.name} {sequence.fps:g}" for sequence in sequences if sequence.fps)
        raise CaptureError(
            f"{sequences[0].path.parent}: the videos run at different frame rates ({listed}); "
            "convert them to one rate"
        )
    return count, (rates[0] if rates else None), warnings
