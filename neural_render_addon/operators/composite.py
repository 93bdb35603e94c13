"""Set Up Compositing, Remove Compositing, Add Strip, Remove Strip: a field's rendered frames as layers."""

from __future__ import annotations

from collections.abc import Iterable

import bpy

from .. import versions
from ..composite import compositing, strips
from ..composite.layers import FrameSequence, LayerError, find_frames
from ..fields import chosen_field
from .field_operator import FieldOperator


def rendered_frames(field: bpy.types.Object) -> FrameSequence:
    """The frames that Render Frames wrote for ``field``.

    Raises:
        LayerError: nothing is rendered, or the files are gone.
    """
    settings = field.neural_render
    folder = bpy.path.abspath(settings.render_folder)
    return find_frames(folder, settings.render_prefix, settings.render_start, settings.render_end)


class NEURALRENDER_OT_setup_compositing(FieldOperator, bpy.types.Operator):
    """A node of our own that merges the frames with the CG render by depth; see compositing.py."""

    bl_idname = "neural_render.setup_compositing"
    bl_label = "Set Up Compositing"
    bl_description = (
        "Merge the field's rendered frames with the CG render by depth, in a node of their own. "
        "Your nodes stay; run it again after rendering more frames"
    )
    bl_options = {"REGISTER", "UNDO"}

    def work(self, context: bpy.types.Context) -> Iterable[str]:
        field = chosen_field(context)
        frames = rendered_frames(field)
        warnings = compositing.set_up(context.scene, context.view_layer, field, frames)
        self.report({"INFO"}, f"Compositing shows frames {frames.start} to {frames.end} of {field.name}")
        return warnings


class NEURALRENDER_OT_remove_compositing(FieldOperator, bpy.types.Operator):
    """Undoes Set Up Compositing."""

    bl_idname = "neural_render.remove_compositing"
    bl_label = "Remove Compositing"
    bl_description = "Take the field's node out of the compositor and restore what was there before"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        # Without a field, because its object is deleted, everything of ours is taken out.
        return compositing.is_set_up(context.scene) or super().poll(context)

    def work(self, context: bpy.types.Context) -> Iterable[str]:
        field = chosen_field(context, required=False)
        if not compositing.remove(context.scene, field):
            shown = repr(field.name) if field is not None else "The field"
            raise LayerError(f"{shown} is not in this scene's compositor; press Set Up Compositing first")
        return ()


class NEURALRENDER_OT_add_strip(FieldOperator, bpy.types.Operator):
    """An image strip of the frames; see strips.py."""

    bl_idname = "neural_render.add_strip"
    bl_label = "Add Strip"
    bl_description = "Put the field's rendered frames into the sequencer; a strip added before is replaced"
    bl_options = {"REGISTER", "UNDO"}

    def work(self, context: bpy.types.Context) -> Iterable[str]:
        field = chosen_field(context)
        return strips.add_strip(versions.sequencer_scene(context), field, rendered_frames(field))


class NEURALRENDER_OT_remove_strip(FieldOperator, bpy.types.Operator):
    """Undoes Add Strip."""

    bl_idname = "neural_render.remove_strip"
    bl_label = "Remove Strip"
    bl_description = "Take the field's strip out of the sequencer; the frames on disk stay"
    bl_options = {"REGISTER", "UNDO"}

    def work(self, context: bpy.types.Context) -> Iterable[str]:
        field = chosen_field(context)
        if not strips.remove_strips(versions.sequencer_scene(context), field):
            raise LayerError(f"{field.name!r} has no strip in the sequencer; press Add Strip first")
        return ()


CLASSES = (
    NEURALRENDER_OT_setup_compositing,
    NEURALRENDER_OT_remove_compositing,
    NEURALRENDER_OT_add_strip,
    NEURALRENDER_OT_remove_strip,
)
