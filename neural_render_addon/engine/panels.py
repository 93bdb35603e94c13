"""The engine's own panels in the Properties editor."""

from __future__ import annotations

from typing import TYPE_CHECKING

import bpy

from ..fields import chosen_field
from .engine import IDNAME


class EnginePanel:
    """Mixin: shown while the scene's engine is ours."""

    bl_space_type = "PROPERTIES"
    bl_region_type = "WINDOW"
    COMPAT_ENGINES = {IDNAME}

    if TYPE_CHECKING:  # of bpy.types.Panel
        layout: bpy.types.UILayout

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return context.engine in cls.COMPAT_ENGINES

    def split_layout(self) -> bpy.types.UILayout:
        self.layout.use_property_split = True
        self.layout.use_property_decorate = False
        return self.layout


class NEURALRENDER_PT_engine(EnginePanel, bpy.types.Panel):
    """What the engine renders of the fields"""

    bl_label = "Neural Render"
    bl_context = "render"

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.split_layout()
        settings = context.scene.neural_render.render
        layout.prop(settings, "background")
        layout.prop(settings, "use_mattes")
        render = context.scene.render
        column = layout.column(heading="Motion Blur")
        column.prop(render, "use_motion_blur", text="")
        shutter = column.column()
        shutter.active = render.use_motion_blur
        shutter.prop(render, "motion_blur_position", text="Position")
        shutter.prop(render, "motion_blur_shutter", text="Shutter")
        layout.prop(settings, "samples")


class NEURALRENDER_PT_passes(EnginePanel, bpy.types.Panel):
    """The passes of the view layer"""

    bl_label = "Passes"
    bl_context = "view_layer"

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.split_layout()
        layer = context.view_layer
        column = layout.column(heading="Include")
        column.prop(layer, "use_pass_combined")
        column.prop(layer, "use_pass_z")
        column.prop(layer, "use_pass_mist")
        column.prop(layer, "use_pass_normal")
        column.prop(layer, "use_pass_vector")


class NEURALRENDER_PT_field(EnginePanel, bpy.types.Panel):
    """The field that the object carries"""

    bl_label = "Neural Render Field"
    bl_context = "object"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return context.object is not None and context.object.neural_render.is_field

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.split_layout()
        properties = context.object.neural_render
        layout.prop(properties, "capture_path")
        layout.prop(properties, "scene_path")
        if context.object != chosen_field(context, required=False):
            layout.label(text="Another field is chosen in the Neural Render tab", icon="INFO")


CLASSES = (NEURALRENDER_PT_engine, NEURALRENDER_PT_passes, NEURALRENDER_PT_field)
