"""The depth of the CG frame by frame: rendered to EXR files, and found again for the server to split at."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import bpy

from ..cameras.camera import uniform_scale
from ..capturing.temporary_settings import image_format, temporarily
from ..errors import AddonError
from ..fields import file_stem, output_folder

# The frame number that a renderer puts before the ending: ``0001.exr``, ``cg_0001.exr``.
_FRAME_NUMBER = re.compile(r"(\d+)$")

PREFIX = "cg_"


def find_depth_files(folder: Path, frames: Sequence[int]) -> dict[int, Path]:
    """The EXR of each frame in ``folder``, by the number its name ends with.

    Raises:
        AddonError: the folder or a frame's file is missing, or two files have a frame's number.
    """
    if not folder.is_dir():
        raise AddonError(f"{folder}: there is no such folder of CG depth; press Render CG Depth")
    wanted = set(frames)
    found: dict[int, Path] = {}
    for path in sorted(folder.glob("*.exr")):
        match = _FRAME_NUMBER.search(path.stem)
        if match is None or int(match[1]) not in wanted:
            continue
        number = int(match[1])
        if number in found:
            raise AddonError(
                f"{path.name} and {found[number].name} in {folder} are both of frame {number}; remove one"
            )
        found[number] = path
    missing = sorted(wanted - set(found))
    if missing:
        raise AddonError(
            f"{folder} has no CG depth of frame {missing[0]} ({len(missing)} frames are missing); "
            "press Render CG Depth"
        )
    return found


def cg_depth_folder(scene: bpy.types.Scene) -> Path:
    """Where the scene's CG depth is.

    Raises:
        AddonError: the folder is relative to a .blend that was never saved.
    """
    return output_folder(scene.neural_render.render.cg_depth_folder, "cg_depth", file_stem(scene.name))


class SplitDepths:
    """The depth that the server splits each frame's field at, as an entry of the camera file."""

    def __init__(self, scene: bpy.types.Scene, frames: range, field: bpy.types.Object) -> None:
        self.files = find_depth_files(cg_depth_folder(scene), frames)
        self.field = field

    def entry(self, context: bpy.types.Context, frame: int) -> dict[str, Any]:
        """For the frame that the scene is at; its field may be scaled by an animation."""
        depsgraph = context.evaluated_depsgraph_get()
        scale = uniform_scale(self.field.evaluated_get(depsgraph).matrix_world, self.field.name)
        return {"split_depth": {"path": str(self.files[frame]), "scale": 1.0 / scale}}


@contextlib.contextmanager
def depth_settings(scene: bpy.types.Scene, view_layer: bpy.types.ViewLayer) -> Iterator[None]:
    """While it lasts, a render writes this view layer's depth, quickly, to a multilayer EXR.

    One sample is enough: Cycles writes the depth of a pixel's first sample. A threshold of 0 gives CG fainter
    than the artist's threshold a depth, too.
    """
    render = scene.render
    changes: list[tuple[Any, dict[str, Any]]] = [
        (render, {"film_transparent": True, "use_compositing": False, "use_sequencer": False}),
        (render, {"use_file_extension": True, "use_border": False, "filepath": render.filepath}),
        (view_layer, {"use_pass_z": True, "pass_alpha_threshold": 0.0}),
        (scene.eevee, {"taa_render_samples": 1}),
    ]
    cycles = getattr(scene, "cycles", None)  # absent while the Cycles add-on is off
    if cycles is not None:
        changes.append((cycles, {"samples": 1, "use_denoising": False, "use_adaptive_sampling": False}))
    with image_format(scene, "OPEN_EXR_MULTILAYER", "RGBA", "32"), temporarily(changes):
        yield


def render_depth(
    scene: bpy.types.Scene, view_layer: bpy.types.ViewLayer, frames: Sequence[int], folder: Path
) -> Iterator[int]:
    """Render the CG depth of ``frames`` into ``folder``, yielding each frame when its file is written.

    The timeline and all settings are put back at the end, also if the iteration is given up.

    Raises:
        AddonError: a frame cannot be rendered or written.
    """
    before, subframe = scene.frame_current, scene.frame_subframe
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise AddonError(f"{folder}: cannot be made ({error.strerror}); choose another folder") from error
    with depth_settings(scene, view_layer):
        try:
            for frame in frames:
                scene.frame_set(frame)
                path = folder / f"{PREFIX}{frame:04d}.exr"
                part = folder / f"part_{frame}.tmp.exr"
                scene.render.filepath = str(part)
                bpy.ops.render.render(write_still=True, layer=view_layer.name, scene=scene.name)
                part.replace(path)
                yield frame
        except (OSError, RuntimeError) as error:
            raise AddonError(
                f"The CG depth of frame {scene.frame_current} was not rendered: {error}"
            ) from error
        finally:
            scene.frame_set(before, subframe=subframe)
