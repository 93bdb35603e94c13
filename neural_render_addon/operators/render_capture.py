"""Render Capture: the scene filmed by several of its cameras, written as a capture to train on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import bpy

from ..capturing.files import write_n3dv, write_transforms
from ..capturing.plan import CapturePlan, plan_capture
from ..capturing.rendering import RenderedView, render_views
from ..errors import AddonError
from ..timing import scene_fps
from .blender_work import BlenderWorkOperator, CancelOperator
from .task_operator import state

TASK = "render_capture"

# Encoding the videos, as a part of all work: rendering takes far longer.
ENCODING_PART = 0.05


class NEURALRENDER_OT_render_capture(BlenderWorkOperator, bpy.types.Operator):
    """Render the scene through several cameras and write a multi-view capture to train on"""

    bl_idname = "neural_render.render_capture"
    bl_label = "Render Capture"
    task_name = TASK

    def steps(self, context: bpy.types.Context) -> Iterator[float]:
        self.plan, self.views = plan_capture(context), list[RenderedView]()
        render = context.scene.render
        self.fps = render.fps, render.fps_base
        return self._work(context, self.plan)

    def _work(self, context: bpy.types.Context, plan: CapturePlan) -> Iterator[float]:
        rendering = 1.0 - ENCODING_PART if plan.is_n3dv else 1.0
        shown = state(context, TASK)
        for view in render_views(plan):
            self.views.append(view)
            shown.text = f"{view.camera}, frame {view.frame}: {len(self.views)} of {plan.count} pictures"
            if len(self.views) < plan.count:
                self.check_stopped(
                    f"Render Capture was cancelled; {len(self.views)} of {plan.count} pictures are kept, and "
                    "Keep Rendered goes on from there"
                )
            yield rendering * len(self.views) / plan.count
        if plan.is_n3dv:
            for part in write_n3dv(plan, self.views, self.fps):
                self.check_stopped(
                    "Render Capture was cancelled; its pictures are kept, but not all videos made"
                )
                yield rendering + ENCODING_PART * part
        else:
            write_transforms(plan, self.views, scene_fps(*self.fps))

    def finish(self, context: bpy.types.Context, result: Any) -> None:
        plan = self.plan
        state(context, TASK).text = ""
        self.report(
            {"INFO"},
            f"{len(plan.cameras)} cameras at {len(plan.frames)} frames are in {plan.folder}; Import Capture "
            "reads it",
        )

    def finish_early(self, _context: bpy.types.Context) -> None:
        """What is rendered is a capture already, as images."""
        views = getattr(self, "views", None)
        if not views or self.plan.is_n3dv:
            return
        try:
            write_transforms(self.plan, views, scene_fps(*self.fps))
        except AddonError as error:
            self.report({"WARNING"}, str(error))


class NEURALRENDER_OT_render_capture_cancel(CancelOperator, bpy.types.Operator):
    """Cancel Render Capture after the picture that is being rendered; finished pictures are kept"""

    bl_idname = "neural_render.render_capture_cancel"
    bl_label = "Cancel Render Capture"
    watched = TASK


CLASSES = (NEURALRENDER_OT_render_capture, NEURALRENDER_OT_render_capture_cancel)
