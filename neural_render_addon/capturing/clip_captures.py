"""A solved movie clip becomes a capture: its frames, lens, cameras, masks and points."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from ..errors import AddonError
from .files import write_file
from .pictures import stored_pixels, write_gray
from .plan import IMAGES, MASKS
from .sequencer_pictures import render_strips, sequencer_scene
from .temporary_settings import temporarily
from .tracked_clips import SolvedClip, Track

POINTS_FILE = "points.ply"
GRAY = (128, 128, 128)  # of points that no written frame shows


@dataclass
class ClipCapture:
    """What is written, and how far it is. Datablocks are named: undo replaces them while it runs.

    ``mask`` is the mask's name, or empty; ``is_mask_ignored`` leaves its inside out of the training, else
    its outside. A still scene's frames get no times.
    """

    clip: str
    solve: SolvedClip
    folder: Path
    stem: str
    frame_step: int
    every_nth_test: int
    is_still: bool
    mask: str
    is_mask_ignored: bool
    entries: list[dict[str, Any]] = field(default_factory=list)
    colors: dict[int, tuple[int, int, int]] = field(default_factory=dict)

    @property
    def frames(self) -> list[int]:
        """The clip's frames to write, counted from 1."""
        return list(self.solve.poses)[:: self.frame_step]

    def steps(self) -> Iterator[float]:
        """Write pictures and masks frame by frame, telling the part done in [0, 1], then what lists them.

        Raises:
            AddonError: the clip or its mask is gone, or a file cannot be written.
        """
        frames = self.frames
        for count, frame in enumerate(frames, start=1):
            self._write_frame(frame)
            yield count / len(frames)
        self.write_lists()

    def write_lists(self) -> None:
        """Write the points and ``transforms.json`` over the frames so far. Raises AddonError."""
        data: dict[str, Any] = {**self.solve.lens, "frames": self.entries}
        if not self.is_still:
            data["fps"] = self.solve.fps / self.frame_step
        if self.every_nth_test:
            paths = [entry["file_path"] for entry in self.entries]
            data["test_filenames"] = paths[:: self.every_nth_test]
        if self.solve.tracks:
            data["ply_file_path"] = POINTS_FILE
            colors = [self.colors.get(index, GRAY) for index in range(len(self.solve.tracks))]
            write_file(self.folder / POINTS_FILE, ply_bytes(self.solve.tracks, colors))
        write_file(self.folder / "transforms.json", json.dumps(data, indent=1).encode("utf-8"))

    def _write_frame(self, frame: int) -> None:
        clip = bpy.data.movieclips.get(self.clip)
        if clip is None:
            raise AddonError(f"The clip {self.clip!r} is gone; the capture ends here")
        name = f"{self.stem}_{frame:04d}"
        picture, mask = (self.folder / kind / f"{name}.png" for kind in (IMAGES, MASKS))
        with sequencer_scene(self.solve.size, frame) as scene:
            scene.sequence_editor.strips.new_clip("Clip", clip, 1, 1)
            render_strips(scene, frame, picture, "RGB")
        entry: dict[str, Any] = {
            "file_path": f"{IMAGES}/{picture.name}",
            "name": name,
            "transform_matrix": self.solve.poses[frame].tolist(),
        }
        if not self.is_still:
            entry["time"] = (frame - self.frames[0]) / self.solve.fps
        if self.mask:
            self._write_mask(clip, frame, mask)
            entry["mask_path"] = f"{MASKS}/{mask.name}"
        self._note_colors(frame, picture)
        self.entries.append(entry)

    def _write_mask(self, clip: bpy.types.MovieClip, frame: int, path: Path) -> None:
        """A grey PNG, 255 where pixels are to be trained on."""
        mask = bpy.data.masks.get(self.mask)
        if mask is None:
            raise AddonError(f"The mask {self.mask!r} is gone; the capture ends here")
        # A mask's keys are at scene frames, the clip's first of which is its start frame.
        span = {"frame_start": clip.frame_start, "frame_end": clip.frame_start + frame + 1}
        with temporarily([(mask, span)]), sequencer_scene(self.solve.size, frame) as scene:
            scene.sequence_editor.strips.new_mask("Mask", mask, 1, 1)
            render_strips(scene, frame, path, "BW")
        try:
            inside = stored_pixels(path)[..., 0] > 0.5
            write_gray(path, np.where(inside != self.is_mask_ignored, np.uint8(255), np.uint8(0)))
        except OSError as error:
            raise AddonError(f"{path}: cannot be written ({error.strerror}); free some space") from error

    def _note_colors(self, frame: int, picture: Path) -> None:
        """Take the colours of points whose first marker is in this frame's picture."""
        places = {
            index: track.markers[frame]
            for index, track in enumerate(self.solve.tracks)
            if index not in self.colors and frame in track.markers
        }
        if not places:
            return
        pixels = np.rint(stored_pixels(picture)[..., :3] * 255.0)
        height, width = pixels.shape[:2]
        for index, (x, y) in places.items():
            if 0.0 <= x < 1.0 and 0.0 <= y < 1.0:  # markers count from the lower left
                red, green, blue = pixels[int((1.0 - y) * height), int(x * width)]
                self.colors[index] = (int(red), int(green), int(blue))


def ply_bytes(tracks: tuple[Track, ...], colors: list[tuple[int, int, int]]) -> bytes:
    """Points as an ASCII PLY file (Turk, The PLY Polygon File Format, 1994)."""
    header = ["ply", "format ascii 1.0", f"element vertex {len(tracks)}"]
    header += [f"property float {axis}" for axis in "xyz"]
    header += [f"property uchar {name}" for name in ("red", "green", "blue")]
    rows = [
        " ".join([*(f"{value:.9g}" for value in track.position), *map(str, color)])
        for track, color in zip(tracks, colors, strict=True)
    ]
    return "\n".join([*header, "end_header", *rows, ""]).encode("ascii")
