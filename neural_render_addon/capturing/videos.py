"""Pictures become a video through Blender's own encoder."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

import bpy

from .. import versions
from ..errors import AddonError
from .sequencer_pictures import sequencer_scene
from .temporary_settings import temporarily


def write_video(pictures: Sequence[Path], path: Path, fps: tuple[int, float]) -> None:
    """Write pictures of one folder and size as H.264 with full colour resolution (4:4:4), without loss.

    Blender keeps 4:4:4 only without loss; every frame is a key frame, so that any can be read by itself.
    ``fps`` is ``(fps, fps_base)``.

    Raises:
        AddonError: a picture cannot be read or the video not be written.
    """
    image = bpy.data.images.load(str(pictures[0]))
    size = tuple(image.size)
    bpy.data.images.remove(image)
    part = path.with_name(f"part.tmp{path.suffix}")
    with sequencer_scene(size, len(pictures)) as scene:
        strip = scene.sequence_editor.strips.new_image(path.stem, str(pictures[0]), 1, 1)
        for picture in pictures[1:]:
            strip.elements.append(picture.name)
        render = scene.render
        render.fps, render.fps_base = fps
        versions.set_image_format(render.image_settings, "FFMPEG")
        video = {"format": "MPEG4", "codec": "H264", "constant_rate_factor": "LOSSLESS"}
        settings = {**video, "ffmpeg_preset": "GOOD", "gopsize": 1, "audio_codec": "NONE"}
        try:
            with temporarily([(render.ffmpeg, settings), (render, {"filepath": str(part)})]):
                bpy.ops.render.render(animation=True, scene=scene.name)
            part.replace(path)
        except (OSError, RuntimeError) as error:
            raise AddonError(
                f"{path}: cannot be written ({error}); free some space or choose another folder"
            ) from error
        finally:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)
