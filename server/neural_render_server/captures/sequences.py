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
    """A camera's frames in time. ``fps`` is None where the recording does not say.

    ``times`` are the frames' seconds from the first one's, None where they follow ``fps``.
    """

    name: str
    path: Path
    width: int
    height: int
    frames: int
    fps: float | None
    images: SequenceOf[Path] = ()
    times: SequenceOf[float] | None = None

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
    return Sequence(
        path.stem, path, info.width, info.height, info.frames, info.fps or None, times=info.uneven_times
    )


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
