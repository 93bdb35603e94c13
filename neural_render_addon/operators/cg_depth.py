"""Render CG Depth: what Render Frames splits the field at."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import bpy

from ..composite.cg_depth import cg_depth_folder, render_depth
from ..errors import AddonError
from .blender_work import BlenderWorkOperator
from .render import frame_range

CG_ENGINES = {"CYCLES", "BLENDER_EEVEE", "BLENDER_EEVEE_NEXT", "BLENDER_WORKBENCH"}


class NEURALRENDER_OT_render_cg_depth(BlenderWorkOperator, bpy.types.Operator):
    """Render the depth of the scene's CG, with the scene's own engine, for the frames of Render Frames"""

    bl_idname = "neural_render.render_cg_depth"
    bl_label = "Render CG Depth"
    bl_options = {"UNDO"}
    task_name = "cg_depth"

    def steps(self, context: bpy.types.Context) -> Iterator[float]:
        scene = context.scene
        if scene.render.engine not in CG_ENGINES:
            raise AddonError("Render CG Depth needs Cycles or EEVEE; choose one as the scene's render engine")
        if scene.camera is None:
            raise AddonError("The scene has no camera; add one, or make one the active camera")
        frames = frame_range(context)
        self.folder = cg_depth_folder(scene)
        return self._render(scene, context.view_layer, frames)

    def _render(
        self, scene: bpy.types.Scene, view_layer: bpy.types.ViewLayer, frames: range
    ) -> Iterator[float]:
        for count, _ in enumerate(render_depth(scene, view_layer, frames, self.folder), start=1):
            self.check_stopped(f"Render CG Depth was stopped; {count} of {len(frames)} frames are written")
            yield count / len(frames)

    def finish(self, context: bpy.types.Context, result: Any) -> None:
        self.report({"INFO"}, f"The CG depth is in {self.folder}")


CLASSES = (NEURALRENDER_OT_render_cg_depth,)
