"""A scene for the while, that renders nothing but its sequencer's strips: clips and masks as pictures."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import bpy

from .. import versions
from ..errors import AddonError
from .temporary_settings import standard_view, temporarily


@contextlib.contextmanager
def sequencer_scene(size: tuple[int, int], frames: int) -> Iterator[bpy.types.Scene]:
    """A new scene of ``frames`` frames from 1 on, with an empty sequencer; it is removed in the end.

    8-bit strips come out as they are: the view is sRGB's own.
    """
    scene = bpy.data.scenes.new("Neural Render Sequencer")
    try:
        scene.sequence_editor_create()
        scene.render.resolution_x, scene.render.resolution_y = size
        scene.render.resolution_percentage = 100
        scene.render.dither_intensity = 0.0
        scene.render.use_compositing = False
        scene.frame_start, scene.frame_end = 1, frames
        with temporarily(standard_view(scene)):
            yield scene
    finally:
        bpy.data.scenes.remove(scene)


def render_strips(scene: bpy.types.Scene, frame: int, path: Path, color_mode: str) -> None:
    """Write the strips' picture at ``frame`` as an 8-bit PNG, whole or not at all.

    As an animation of one frame: a still of a scene that no window shows is always of its first frame.

    Raises:
        AddonError: it cannot be rendered or written.
    """
    part = path.with_name("part_tmp_")
    versions.set_image_format(scene.render.image_settings, "PNG")
    scene.render.image_settings.color_mode = color_mode
    scene.render.filepath = str(part)
    span = {"frame_start": frame, "frame_end": frame}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporarily([(scene, span)]):
            bpy.ops.render.render(animation=True, scene=scene.name)
        Path(f"{part}{frame:04d}.png").replace(path)
    except (OSError, RuntimeError) as error:
        raise AddonError(
            f"{path}: cannot be written ({error}); free some space or choose another folder"
        ) from error
