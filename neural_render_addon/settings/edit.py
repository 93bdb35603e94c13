"""What the add-on keeps of a field's edits: its crop objects, exposure and white balance."""

from __future__ import annotations

import bpy
from bpy.props import CollectionProperty, EnumProperty, FloatProperty, IntProperty, PointerProperty

# Limits of the server's white balance (its ``grade.py``), kelvin and units of tint.
TEMPERATURES = (1667.0, 25000.0)
MOST_TINT = 500.0
MOST_STOPS = 32.0

SHAPES = (
    ("BOX", "Box", "The object's bounding box, turned and scaled with it"),
    ("SPHERE", "Sphere", "The ball in the object's bounding box, an ellipsoid where its sides differ"),
)
ROLES = (
    ("KEEP", "Keep", "Only what lies in this or in another kept object is rendered"),
    ("REMOVE", "Remove", "What lies in this object is not rendered"),
    ("MATTE", "Matte Only", "Cuts nothing; its matte tells what of the picture lies in it"),
)


def tag_owner(group: bpy.types.PropertyGroup, _context: bpy.types.Context) -> None:
    """Let Blender know that the object has changed: it does not watch an add-on's properties."""
    group.id_data.update_tag()


def tag_passes(group: bpy.types.PropertyGroup, context: bpy.types.Context) -> None:
    """As ``tag_owner``; and let the engine name its passes anew: the compositor has a socket for each."""
    group.id_data.update_tag()
    for layer in context.scene.view_layers:
        layer.update_render_passes()


def has_volume(_owner: object, candidate: bpy.types.Object) -> bool:
    return candidate.type in {"MESH", "EMPTY"} and not candidate.neural_render.is_field


def show_shape(item: CropItem, context: bpy.types.Context) -> None:
    """An Empty is drawn as what it cuts."""
    if item.object is not None and item.object.type == "EMPTY":
        item.object.empty_display_type = {"BOX": "CUBE", "SPHERE": "SPHERE"}[item.shape]
    tag_owner(item, context)


class CropItem(bpy.types.PropertyGroup):
    """An object that cuts a field."""

    object: PointerProperty(
        name="Object",
        description="What the field is cut by: an Empty or a mesh, moved, turned, scaled and animated",
        type=bpy.types.Object,
        poll=has_volume,
        update=tag_passes,
    )
    shape: EnumProperty(name="Shape", description="What of the object cuts", items=SHAPES, update=show_shape)
    role: EnumProperty(
        name="Role", description="What becomes of what lies in it", items=ROLES, update=tag_passes
    )


class EditProperties(bpy.types.PropertyGroup):
    """``Object.neural_render.edit`` of a field object."""

    crops: CollectionProperty(
        type=CropItem, name="Crop Objects", description="What of the field is rendered, by objects"
    )
    active_crop: IntProperty(name="Active Crop Object", description="The crop object chosen in the list")
    exposure: FloatProperty(
        name="Exposure",
        description="Stops that the field is made brighter by, in scene-linear light",
        min=-MOST_STOPS,
        max=MOST_STOPS,
        soft_min=-5.0,
        soft_max=5.0,
        precision=3,
        update=tag_owner,
    )
    temperature: FloatProperty(
        name="Temperature",
        description="Colour temperature in kelvin of the light that is to look white; higher is warmer",
        default=6500.0,
        min=TEMPERATURES[0],
        max=TEMPERATURES[1],
        soft_min=2500.0,
        soft_max=12000.0,
        step=5000,
        precision=0,
        update=tag_owner,
    )
    tint: FloatProperty(
        name="Tint",
        description="White balance across the temperature, as in Blender's own: higher is more magenta",
        min=-MOST_TINT,
        max=MOST_TINT,
        soft_min=-150.0,
        soft_max=150.0,
        precision=1,
        update=tag_owner,
    )


CLASSES = (CropItem, EditProperties)
