"""Rendered frames on disk as one sequence, and as a Blender image.

A frame is ``<prefix><frame, four digits>.exr``: single-part OpenEXR with the channels
``ViewLayer.Combined.R/G/B/A`` (scene-linear Rec.709, premultiplied) and ``ViewLayer.Depth.Z``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import AddonError
from .exr_header import ExrHeader, read_exr_header

if TYPE_CHECKING:
    import bpy

COLOR_SPACE = "Linear Rec.709"
COLOR_CHANNELS = {f"ViewLayer.Combined.{name}" for name in "RGBA"}
DEPTH_CHANNEL = "ViewLayer.Depth.Z"
LAYER_CHANNELS = {f"ViewLayer.{layer}.{name}" for layer in ("Front", "Behind") for name in "RGBA"}


class LayerError(AddonError):
    """Rendered frames, or the place in the compositor or sequencer they belong in, cannot be used."""


@dataclass(frozen=True)
class FrameSequence:
    """Rendered frames numbered by scene frame, both ends included; ``missing`` are gaps between them."""

    folder: Path
    prefix: str
    start: int
    end: int
    missing: tuple[int, ...] = ()

    def name(self, frame: int) -> str:
        return f"{self.prefix}{frame:04d}.exr"

    def path(self, frame: int) -> Path:
        return self.folder / self.name(frame)

    @property
    def duration(self) -> int:
        return self.end - self.start + 1


def find_frames(folder: str | Path, prefix: str, start: int, end: int) -> FrameSequence:
    """The frames that are on disk between ``start`` and ``end``, cut to the first and last that exist.

    Raises:
        LayerError: no folder is set, it is gone, or it holds none of the frames.
    """
    if not str(folder):
        raise LayerError("No frames are rendered for this field yet; run Render Frames first")
    folder = Path(folder)
    if not folder.is_dir():
        raise LayerError(f"{folder}: the folder of rendered frames is gone; run Render Frames again")
    wanted = FrameSequence(folder, prefix, start, end)
    present = [frame for frame in range(max(start, 0), end + 1) if wanted.path(frame).is_file()]
    if not present:
        raise LayerError(
            f"None of {wanted.name(start)} to {wanted.name(end)} is in {folder}; run Render Frames first"
        )
    first, last = present[0], present[-1]
    missing = tuple(sorted(set(range(first, last + 1)) - set(present)))
    return FrameSequence(folder, prefix, first, last, missing)


def gap_warning(frames: FrameSequence) -> str | None:
    """One sentence on frames that are not rendered yet between the first and the last."""
    if not frames.missing:
        return None
    return (
        f"{len(frames.missing)} frames between {frames.start} and {frames.end} are not rendered yet "
        f"(the first is {frames.missing[0]}); run Render Frames over the whole range"
    )


def frame_size(frames: FrameSequence, with_depth: bool) -> tuple[int, int]:
    """Width and height of the first frame in pixels.

    Raises:
        LayerError: it is no EXR with the channels of a rendered frame.
    """
    path = frames.path(frames.start)
    header = _header(path)
    if not COLOR_CHANNELS.issubset(header.channels):
        raise LayerError(f"{path} has no Combined pass; run Render Frames again")
    if with_depth and DEPTH_CHANNEL not in header.channels:
        raise LayerError(f"{path} has no Depth pass; run Render Frames again with Depth on")
    return header.width, header.height


def has_depth_layers(frames: FrameSequence) -> bool:
    """Whether the frames are split at the CG's depth: all of them, or they are no sequence of layers.

    Raises:
        LayerError: some are and some are not, or one cannot be read.
    """
    numbers = [frame for frame in range(frames.start, frames.end + 1) if frame not in frames.missing]
    split = [LAYER_CHANNELS.issubset(_header(frames.path(frame)).channels) for frame in numbers]
    if any(split) and not all(split):
        raise LayerError(
            f"{frames.path(numbers[split.index(False)])} has no depth layers, but other frames have; run "
            "Render Frames again over the whole range, without Keep Frames"
        )
    return all(split)


def _header(path: Path) -> ExrHeader:
    try:
        return read_exr_header(path)
    except (OSError, ValueError) as error:
        raise LayerError(f"{path} cannot be read ({error}); run Render Frames again") from error


def sequence_image(image: bpy.types.Image | None, frames: FrameSequence, name: str) -> bpy.types.Image:
    """A Blender image of the sequence, for an Image node; ``image`` is used again where it is given."""
    import bpy

    path = str(frames.path(frames.start))
    if image is None:
        image = bpy.data.images.load(path)
    else:
        image.filepath = path
    image.name = name
    image.source = "SEQUENCE"
    # Reading the size makes Blender open the file: only then does an Image node know the layer's passes.
    _ = image.size[0]
    image.colorspace_settings.name = COLOR_SPACE
    image.alpha_mode = "PREMUL"
    return image
