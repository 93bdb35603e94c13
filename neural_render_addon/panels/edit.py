"""The Edit Field panel in the 3D Viewport's sidebar: crop objects, exposure and white balance."""

from __future__ import annotations

import bpy

from ..fields import chosen_field
from .work import NeuralRenderPanel


class NEURALRENDER_UL_crops(bpy.types.UIList):
    """A field's crop objects"""

    bl_idname = "NEURALRENDER_UL_crops"

    def draw_item(
        self,
        _context: bpy.types.Context,
        layout: bpy.types.UILayout,
        _data: bpy.types.PropertyGroup,
        item: bpy.types.PropertyGroup,
        _icon: int,
        _active_data: bpy.types.PropertyGroup,
        _active_property: str,
    ) -> None:
        icon = "CUBE" if item.shape == "BOX" else "SPHERE"
        if item.object is None:
            layout.label(text="(deleted)", icon="ERROR")
            return
        layout.prop(item.object, "name", text="", emboss=False, icon=icon)
        layout.prop(item, "role", text="", emboss=False)


class NEURALRENDER_PT_edit(NeuralRenderPanel, bpy.types.Panel):
    """What of the field is rendered, and how bright"""

    bl_label = "Edit Field"
    bl_parent_id = "NEURALRENDER_PT_render"
    bl_options = {"DEFAULT_CLOSED"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return chosen_field(context, required=False) is not None

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.split_layout()
        edit = chosen_field(context).neural_render.edit
        draw_crops(layout, edit)
        layout.operator("neural_render.copy_region", icon="DUPLICATE")
        layout.prop(context.scene.neural_render.render, "use_mattes")
        column = layout.column(align=True)
        column.use_property_decorate = True  # the dots that set keyframes
        column.prop(edit, "exposure")
        column.prop(edit, "temperature")
        column.prop(edit, "tint")


def draw_crops(layout: bpy.types.UILayout, edit: bpy.types.PropertyGroup) -> None:
    row = layout.row()
    row.template_list("NEURALRENDER_UL_crops", "", edit, "crops", edit, "active_crop", rows=3)
    buttons = row.column(align=True)
    for shape, icon in (("BOX", "CUBE"), ("SPHERE", "SPHERE")):
        buttons.operator("neural_render.crop_add", text="", icon=icon).shape = shape
    buttons.operator("neural_render.crop_use_selected", text="", icon="RESTRICT_SELECT_OFF")
    buttons.operator("neural_render.crop_remove", text="", icon="REMOVE")
    if 0 <= edit.active_crop < len(edit.crops):
        item = edit.crops[edit.active_crop]
        column = layout.column()
        column.prop(item, "object")
        column.prop(item, "shape")
        column.prop(item, "role")


CLASSES = (NEURALRENDER_UL_crops, NEURALRENDER_PT_edit)
