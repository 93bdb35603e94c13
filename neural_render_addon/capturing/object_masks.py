"""Pictures of where chosen objects are seen, hidden by what stands before them."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from .. import versions
from ..errors import AddonError
from .pictures import stored_pixels, write_gray
from .temporary_settings import image_format, standard_view, temporarily

# A pixel is inside a mask when half of it is; this many samples a pixel tell.
SAMPLES = 16


def render_mask(
    scene: bpy.types.Scene,
    view_layer: bpy.types.ViewLayer,
    masked: frozenset[str],
    path: Path,
    is_ignored: bool,
) -> None:
    """Write a grey PNG, 255 where the objects named ``masked`` are seen (or where not, if ``is_ignored``).

    Always by Cycles, whatever the scene's engine: their surfaces glow and all else holds out. It is the
    objects' geometry: what a material makes transparent counts as seen.

    Raises:
        AddonError: it cannot be rendered.
        OSError: it cannot be written.
    """
    with tempfile.TemporaryDirectory() as folder, _glowing_material() as material:
        part = Path(folder) / "mask.png"
        changes: list[tuple[Any, dict[str, Any]]] = [
            *standard_view(scene),
            (scene.render, _render_settings(part)),
            (scene.cycles, {"samples": SAMPLES, "use_denoising": False, "use_adaptive_sampling": False}),
            (scene.cycles, {"film_exposure": 1.0}),
            (scene.camera.data.dof, {"use_dof": False}),
            (view_layer, {"material_override": material}),
            *((obj, {"is_holdout": obj.name not in masked}) for obj in scene.objects),
        ]
        with temporarily(changes), image_format(scene, "PNG", "BW"):
            try:
                bpy.ops.render.render(write_still=True, layer=view_layer.name, scene=scene.name)
            except RuntimeError as error:
                raise AddonError(f"The mask {path} was not rendered: {error}") from error
        inside = stored_pixels(part)[..., 0] > 0.5
    write_gray(path, np.where(inside != is_ignored, np.uint8(255), np.uint8(0)))


def _render_settings(path: Path) -> dict[str, Any]:
    off = ("use_compositing", "use_sequencer", "use_border", "use_stamp", "use_multiview", "use_motion_blur")
    return {
        **dict.fromkeys(off, False),
        "engine": "CYCLES",
        "film_transparent": True,
        "dither_intensity": 0.0,
        "use_file_extension": True,
        "filepath": str(path),
    }


@contextlib.contextmanager
def _glowing_material() -> Iterator[bpy.types.Material]:
    material = versions.node_material("Neural Render Mask")
    try:
        tree = material.node_tree
        tree.nodes.clear()
        emission, output = tree.nodes.new("ShaderNodeEmission"), tree.nodes.new("ShaderNodeOutputMaterial")
        tree.links.new(emission.outputs["Emission"], output.inputs["Surface"])
        emission.inputs["Color"].default_value = (1.0, 1.0, 1.0, 1.0)
        yield material
    finally:
        bpy.data.materials.remove(material)
