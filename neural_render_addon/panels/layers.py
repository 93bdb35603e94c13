"""The part of the Render panel on layers before and behind CG."""

from __future__ import annotations

import bpy

from .work import NeuralRenderPanel, draw_task, find_task


class NEURALRENDER_PT_layers(NeuralRenderPanel, bpy.types.Panel):
    """The field before and behind the CG as two layers, exact for soft edges"""

    bl_label = "Depth Layers Against CG"
    bl_parent_id = "NEURALRENDER_PT_render"
    bl_options = {"DEFAULT_CLOSED"}

    def draw_header(self, context: bpy.types.Context) -> None:
        self.layout.prop(context.scene.neural_render.render, "use_depth_layers", text="")

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.split_layout()
        settings = context.scene.neural_render.render
        layout.active = settings.use_depth_layers
        layout.prop(settings, "cg_depth_folder")
        task = find_task(context, "cg_depth")
        row = layout.row()
        row.enabled = task is None or not task.is_running
        row.operator("neural_render.render_cg_depth", icon="RENDER_ANIMATION")
        draw_task(layout, context, "cg_depth")


CLASSES = (NEURALRENDER_PT_layers,)
