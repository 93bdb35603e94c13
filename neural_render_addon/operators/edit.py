"""Crop objects of the chosen field, and a region of it copied elsewhere."""

from __future__ import annotations

from collections.abc import Iterable

import bpy
import numpy as np
from bpy.props import EnumProperty
from mathutils import Matrix, Vector

from ..errors import AddonError
from ..field_edit import box_matrix, crop_objects
from ..fields import chosen_field
from ..settings.edit import ROLES, SHAPES, has_volume
from .field_operator import FieldOperator

# Share of the field's bounds that a new crop object takes: well inside of them, so that it is seen to cut.
NEW_SHARE = 0.5
# Of a copied region's width: how far beside the original the copy is put.
STEP_ASIDE = 1.1


class NEURALRENDER_OT_crop_add(FieldOperator, bpy.types.Operator):
    """Add an Empty to the middle of the field that cuts it; move, turn, scale and animate it as you like"""

    bl_idname = "neural_render.crop_add"
    bl_label = "Add Crop Object"
    bl_options = {"REGISTER", "UNDO"}

    shape: EnumProperty(name="Shape", description="What of the object cuts", items=SHAPES)
    role: EnumProperty(name="Role", description="What becomes of what lies in it", items=ROLES)

    def work(self, context: bpy.types.Context) -> Iterable[str]:
        field = chosen_field(context)
        select_only(context, add_crop(field, self.shape, self.role))
        return ()


class NEURALRENDER_OT_crop_use_selected(FieldOperator, bpy.types.Operator):
    """Cut the field by the selected meshes and Empties as well"""

    bl_idname = "neural_render.crop_use_selected"
    bl_label = "Add Selected"
    bl_options = {"REGISTER", "UNDO"}

    def work(self, context: bpy.types.Context) -> Iterable[str]:
        field = chosen_field(context)
        there = {item.object for item in field.neural_render.edit.crops}
        chosen = [obj for obj in context.selected_objects if has_volume(field, obj) and obj not in there]
        if not chosen:
            raise AddonError("No mesh or Empty is selected that does not cut the field yet; select one")
        for obj in chosen:
            is_ball = obj.type == "EMPTY" and obj.empty_display_type == "SPHERE"
            note_crop(field, obj, "SPHERE" if is_ball else "BOX", "KEEP")
        return ()


class NEURALRENDER_OT_crop_remove(FieldOperator, bpy.types.Operator):
    """Take the chosen crop object out of the list; the object itself stays"""

    bl_idname = "neural_render.crop_remove"
    bl_label = "Remove Crop Object"
    bl_options = {"REGISTER", "UNDO"}

    def work(self, context: bpy.types.Context) -> Iterable[str]:
        edit = chosen_field(context).neural_render.edit
        if not 0 <= edit.active_crop < len(edit.crops):
            raise AddonError("No crop object is chosen in the list; choose one")
        edit.crops.remove(edit.active_crop)
        edit.active_crop = max(0, min(edit.active_crop, len(edit.crops) - 1))
        return ()


class NEURALRENDER_OT_copy_region(FieldOperator, bpy.types.Operator):
    """Show what the field's crop objects keep once more, beside it, with a place and a time of its own"""

    bl_idname = "neural_render.copy_region"
    bl_label = "Copy Region"
    bl_options = {"REGISTER", "UNDO"}

    def work(self, context: bpy.types.Context) -> Iterable[str]:
        field = chosen_field(context)
        if not any(item.role == "KEEP" for item in crop_objects(field, context.scene)):
            add_crop(field, "BOX", "KEEP")
            context.view_layer.update()
        aside = region_width(context, field) * STEP_ASIDE
        copy = copy_of(field)
        for item in copy.neural_render.edit.crops:
            if item.object is not None:
                item.object = copy_for(item.object, field, copy)
        step = field.matrix_world.to_3x3() @ Vector((aside, 0.0, 0.0))
        parent = field.parent.matrix_world if field.parent else Matrix()
        copy.location += (parent @ field.matrix_parent_inverse).to_3x3().inverted() @ step
        select_only(context, copy)
        return ()


def add_crop(field: bpy.types.Object, shape: str, role: str) -> bpy.types.Object:
    """A new Empty of ``shape`` that cuts the field, in the middle of its bounds, and goes with it."""
    properties = field.neural_render
    low, high = Vector(properties.bounds_min), Vector(properties.bounds_max)
    half = NEW_SHARE * (high - low) / 2.0
    if min(half) <= 0.0:  # the field is not trained, so that its bounds are not known
        half = Vector((1.0, 1.0, 1.0))
    name = {"KEEP": "Crop", "REMOVE": "Remove", "MATTE": "Matte"}[role]
    empty = bpy.data.objects.new(f"{field.name} {name}", None)
    empty.parent = field
    empty.location = (low + high) / 2.0
    empty.scale = half if shape == "BOX" else [min(half)] * 3
    for collection in field.users_collection:
        collection.objects.link(empty)
    note_crop(field, empty, shape, role)
    return empty


def note_crop(field: bpy.types.Object, obj: bpy.types.Object, shape: str, role: str) -> None:
    edit = field.neural_render.edit
    item = edit.crops.add()
    item.object, item.shape, item.role = obj, shape, role
    edit.active_crop = len(edit.crops) - 1


def copy_of(obj: bpy.types.Object) -> bpy.types.Object:
    """A copy in the same collections, with keyframes of its own."""
    copy = obj.copy()
    for collection in obj.users_collection:
        collection.objects.link(copy)
    own_action(copy)
    return copy


def own_action(obj: bpy.types.Object) -> None:
    """Keyframes that another object shares become the object's own."""
    data = obj.animation_data
    if data is None or data.action is None:
        return
    slot = data.action_slot
    data.action = data.action.copy()
    if slot is not None:
        data.action_slot = data.action.slots[slot.identifier]


def copy_for(obj: bpy.types.Object, field: bpy.types.Object, copy: bpy.types.Object) -> bpy.types.Object:
    """A copy of a crop object that is to ``copy`` what the object is to ``field``."""
    other = copy_of(obj)
    if obj.parent == field:
        other.parent = copy
        other.matrix_parent_inverse = obj.matrix_parent_inverse
        return other
    if obj.parent is not None:  # its own parent stays with the original
        other.matrix_basis = obj.matrix_world
    other.parent = copy
    other.matrix_parent_inverse = field.matrix_world.inverted()
    return other


def region_width(context: bpy.types.Context, field: bpy.types.Object) -> float:
    """Extent along the field's x axis, in capture units, of what its crop objects keep."""
    to_capture = np.linalg.inv(np.array(field.matrix_world))
    corners = np.array([(x, y, z, 1.0) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])
    kept = [item.object for item in crop_objects(field, context.scene) if item.role == "KEEP"]
    places = np.concatenate([corners @ (to_capture @ box_matrix(obj)).T for obj in kept])
    return float(np.ptp(places[:, 0]))


def select_only(context: bpy.types.Context, obj: bpy.types.Object) -> None:
    """Ready to be moved, if the view layer shows it."""
    for other in context.view_layer.objects:
        other.select_set(other == obj)
    if obj.name in context.view_layer.objects:
        context.view_layer.objects.active = obj


CLASSES = (
    NEURALRENDER_OT_crop_add,
    NEURALRENDER_OT_crop_use_selected,
    NEURALRENDER_OT_crop_remove,
    NEURALRENDER_OT_copy_region,
)
