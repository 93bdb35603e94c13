"""Render CG Depth: what Render Frames splits the field at."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import bpy

from ..cg_depth import cg_depth_folder, render_depth
from ..errors import AddonError
from ..jobs import Emit
from .render import frame_range
from .task_operator import TaskOperator, Work

CG_ENGINES = {"CYCLES", "BLENDER_EEVEE", "BLENDER_EEVEE_NEXT", "BLENDER_WORKBENCH"}


class NEURALRENDER_OT_render_cg_depth(TaskOperator, bpy.types.Operator):
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
        self.folder, self.was_stopped = cg_depth_folder(scene), False
        return self._render(scene, context.view_layer, frames)

    def _render(
        self, scene: bpy.types.Scene, view_layer: bpy.types.ViewLayer, frames: range
    ) -> Iterator[float]:
        for count, _ in enumerate(render_depth(scene, view_layer, frames, self.folder), start=1):
            if self.was_stopped:
                raise AddonError(f"Render CG Depth was stopped; {count} of {len(frames)} frames are written")
            yield count / len(frames)

    def modal(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        self.was_stopped = self.was_stopped or event.type == "ESC"
        return super().modal(context, event)

    def prepare(self, context: bpy.types.Context) -> Work:
        def work(emit: Emit, stopped: Callable[[], bool]) -> None:
            """All is done in the steps: only Blender's own thread may render."""

        return work

    def finish(self, context: bpy.types.Context, result: Any) -> None:
        self.report({"INFO"}, f"The CG depth is in {self.folder}")


CLASSES = (NEURALRENDER_OT_render_cg_depth,)
