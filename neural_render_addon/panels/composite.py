"""The Composite panel in the 3D Viewport's sidebar."""

from __future__ import annotations

import bpy

from .. import versions
from ..composite import compositing, strips
from ..fields import chosen_field


class NEURALRENDER_PT_composite(bpy.types.Panel):
    """The rendered frames as layers: in the compositor against CG, and in the sequencer"""

    bl_idname = "NEURALRENDER_PT_composite"
    bl_label = "Composite"
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "Neural Render"
    bl_order = 50  # after Server, Capture, Train and Render: the order of the work

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        field = chosen_field(context, required=False)
        if field is None:
            layout.label(text="Import a capture first", icon="INFO")
            if compositing.is_set_up(context.scene):
                layout.operator("neural_render.remove_compositing", icon="X")
            return
        settings = field.neural_render
        if not settings.render_folder:
            layout.label(text="Render frames first", icon="INFO")
        else:
            layout.label(text=f"{field.name}: frames {settings.render_start} to {settings.render_end}")

        node = compositing.find_node(context.scene, field)
        row = layout.row(align=True)
        row.operator(
            "neural_render.setup_compositing",
            text="Update Compositing" if node else "Set Up Compositing",
            icon="NODE_COMPOSITING",
        )
        if node is not None:
            row.operator("neural_render.remove_compositing", text="", icon="X")
            column = layout.column(align=True)
            for name in ("Softness", "Shadow", "Shadow Reach"):
                column.prop(node.inputs[name], "default_value", text=name)

        row = layout.row(align=True)
        has_strip = bool(strips.find_strips(versions.sequencer_scene(context), field))
        row.operator(
            "neural_render.add_strip", text="Update Strip" if has_strip else "Add Strip", icon="SEQUENCE"
        )
        if has_strip:
            row.operator("neural_render.remove_strip", text="", icon="X")


CLASSES = (NEURALRENDER_PT_composite,)
