"""Freeze the chosen field at the moment it shows."""

from __future__ import annotations

import bpy

from ..fields import chosen_field, field_seconds
from ..timing import TimeMapping


class NEURALRENDER_OT_freeze_time(bpy.types.Operator):
    """Hold the field at the moment it shows at this frame; keyframes on Field Time then make it move"""

    bl_idname = "neural_render.freeze_time"
    bl_label = "Freeze"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if chosen_field(context, required=False) is None:
            cls.poll_message_set("Import a capture, or choose a field object in the Capture panel")
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[str]:
        field = chosen_field(context)
        seconds = field_seconds(field, context.scene)
        field.neural_render.field_time = seconds
        field.neural_render.time_mapping = TimeMapping.FIELD_TIME
        self.report({"INFO"}, f"{field.name!r} stands still at {seconds:.3f} s")
        return {"FINISHED"}


CLASSES = (NEURALRENDER_OT_freeze_time,)
