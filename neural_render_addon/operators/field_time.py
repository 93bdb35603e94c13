"""Freeze the chosen field at the moment it shows."""

from __future__ import annotations

from collections.abc import Iterable

import bpy

from ..fields import chosen_field, field_seconds
from ..timing import TimeMapping
from .field_operator import FieldOperator


class NEURALRENDER_OT_freeze_time(FieldOperator, bpy.types.Operator):
    """Hold the field at the moment it shows at this frame; keyframes on Field Time then make it move"""

    bl_idname = "neural_render.freeze_time"
    bl_label = "Freeze"
    bl_options = {"REGISTER", "UNDO"}

    def work(self, context: bpy.types.Context) -> Iterable[str]:
        field = chosen_field(context)
        seconds = field_seconds(field, context.scene)
        field.neural_render.field_time = seconds
        field.neural_render.time_mapping = TimeMapping.FIELD_TIME
        self.report({"INFO"}, f"{field.name!r} stands still at {seconds:.3f} s")
        return ()


CLASSES = (NEURALRENDER_OT_freeze_time,)
