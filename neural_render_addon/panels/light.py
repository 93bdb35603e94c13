"""The Light & Shadow panel in the 3D Viewport's sidebar, and the preview in camera view."""

from __future__ import annotations

import bpy

from ..fields import chosen_field
from ..light import camera_background
from ..light.probe import is_set_up
from ..light.proxy import find_proxy
from .work import NeuralRenderPanel, draw_sentence, draw_task, find_task


class NEURALRENDER_PT_light(NeuralRenderPanel, bpy.types.Panel):
    """The field's surfaces and light for CG"""

    bl_label = "Light & Shadow"
    bl_order = 45  # after Render, before Composite
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        if chosen_field(context, required=False) is None:
            self.layout.label(text="Import a capture first", icon="INFO")


class LightSubpanel(NeuralRenderPanel):
    """Mixin: below Light & Shadow, where a field is chosen."""

    bl_parent_id = "NEURALRENDER_PT_light"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return chosen_field(context, required=False) is not None


class NEURALRENDER_PT_proxy(LightSubpanel, bpy.types.Panel):
    """The field's surfaces as a mesh"""

    bl_label = "Proxy Mesh"

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.split_layout()
        settings = context.scene.neural_render.proxy
        task = find_task(context, "proxy")
        column = layout.column()
        column.prop(settings, "moment")
        if settings.moment != "CURRENT":
            column.prop(settings, "samples")
        column.prop(settings, "role")
        column.prop(settings, "use_collision")
        column.prop(settings, "faces")
        column.prop(settings, "resolution")
        if task is not None and task.is_running:
            column.enabled = False
            layout.operator("neural_render.proxy_cancel", text="Cancel", icon="CANCEL")
        else:
            made = find_proxy(context.scene, chosen_field(context)) is not None
            text = "Update Proxy Mesh" if made else "Make Proxy Mesh"
            layout.operator("neural_render.make_proxy", text=text, icon="MESH_DATA")
        draw_task(layout, context, "proxy")


class NEURALRENDER_PT_probe(LightSubpanel, bpy.types.Panel):
    """The field's light on CG"""

    bl_label = "Light Probe"

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.split_layout()
        settings = context.scene.neural_render.probe
        task = find_task(context, "probe")
        is_running = task is not None and task.is_running
        column = layout.column()
        column.enabled = not is_running
        column.prop(settings, "place")
        column.prop(settings, "target")
        if settings.target == "DOME":
            column.prop(settings, "radius")
        column.prop(settings, "is_animated")
        column.prop(settings, "width")
        column.prop(settings, "background")
        column.prop(settings, "fill")
        column.prop(settings, "use_expansion")
        if settings.use_expansion:
            column.prop(settings, "white")
            column.label(text="A guess: 8-bit footage has no highlights", icon="INFO")
        column.prop(settings, "folder")
        if is_running:
            layout.operator("neural_render.light_probe_cancel", text="Cancel", icon="CANCEL")
        else:
            row = layout.row(align=True)
            row.operator("neural_render.light_probe", icon="LIGHT")
            if is_set_up(context.scene):
                row.operator("neural_render.remove_light_probe", text="", icon="X")
        draw_task(layout, context, "probe")


class NEURALRENDER_PT_background(NeuralRenderPanel, bpy.types.Panel):
    """The field behind the scene in camera view"""

    bl_label = "Preview in Camera View"
    bl_parent_id = "NEURALRENDER_PT_render"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        row = self.layout.row(align=True)
        is_on = camera_background.is_on(context.scene)
        text = "Restart" if is_on else "Show in Camera View"
        row.operator("neural_render.show_background", text=text, icon="IMAGE_BACKGROUND")
        if camera_background.find_image(context.scene) is not None:
            row.operator("neural_render.hide_background", text="", icon="X")
        task = find_task(context, "background")
        if task is not None and task.error:
            draw_sentence(self.layout, task.error, context)


CLASSES = (
    NEURALRENDER_PT_light,
    NEURALRENDER_PT_proxy,
    NEURALRENDER_PT_probe,
    NEURALRENDER_PT_background,
)
