"""The Field Time panel in the 3D Viewport's sidebar."""

from __future__ import annotations

import bpy

from ..fields import chosen_field, field_seconds
from ..timing import TimeMapping
from .work import NeuralRenderPanel


class NEURALRENDER_PT_time(NeuralRenderPanel, bpy.types.Panel):
    """The moment of the capture that a field shows, frame by frame"""

    bl_label = "Field Time"
    bl_parent_id = "NEURALRENDER_PT_render"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return chosen_field(context, required=False) is not None

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.split_layout()
        layout.use_property_decorate = True  # the dots that set keyframes
        field = chosen_field(context)
        properties = field.neural_render
        layout.prop(properties, "time_mapping")
        column = layout.column(align=True)
        if properties.time_mapping == TimeMapping.FIELD_TIME:
            column.prop(properties, "field_time")
        else:
            column.prop(properties, "frame_start")
            column.prop(properties, "time_offset", text="Offset")
            column.prop(properties, "speed")
        layout.label(text=f"Shows {field_seconds(field, context.scene):.3f} s of {properties.duration:.2f} s")
        layout.operator("neural_render.freeze_time", icon="FREEZE")


CLASSES = (NEURALRENDER_PT_time,)
