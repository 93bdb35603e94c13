"""Scale, ground and alignment of a capture: set by points that the artist picks, and kept in the capture."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from bpy.props import FloatProperty
from mathutils import Matrix, Vector

from ..captures import describe_capture, move_contents
from ..errors import AddonError
from ..fields import chosen_field, field_named
from ..service.jobs import Emit
from ..settings.preferences import server_settings
from .field_operator import FieldOperator
from .task_operator import Stopped, TaskOperator, Work, connect_and_tell


class NEURALRENDER_OT_set_distance(FieldOperator, bpy.types.Operator):
    """Scale the field so that two picked points are a known distance apart. Pick two vertices of its points
    in Edit Mode, or select two objects that stand at the places"""

    bl_idname = "neural_render.set_distance"
    bl_label = "Set Distance"
    bl_options = {"REGISTER", "UNDO"}

    distance: FloatProperty(
        name="Distance",
        description="How far apart the two points are",
        default=1.0,
        min=1e-6,
        soft_max=100.0,
        unit="LENGTH",
    )

    def work(self, context: bpy.types.Context) -> Iterable[str]:
        field = chosen_field(context)
        points = picked_points(context, field)
        if len(points) != 2:
            raise AddonError(
                f"{len(points)} points are picked; pick two vertices in Edit Mode, or select two objects"
            )
        apart = (points[0] - points[1]).length
        if apart < 1e-9:
            raise AddonError("The two points lie in one place; pick two that are apart")
        about = Matrix.Translation(points[0])
        field.matrix_world = (
            about @ Matrix.Scale(self.distance / apart, 4) @ about.inverted() @ field.matrix_world
        )
        return ()


class NEURALRENDER_OT_set_ground(FieldOperator, bpy.types.Operator):
    """Turn and move the field so that three picked points, or more, lie on the ground at z = 0. Pick vertices
    of its points in Edit Mode, or select objects that stand at the places"""

    bl_idname = "neural_render.set_ground"
    bl_label = "Set Ground"
    bl_options = {"REGISTER", "UNDO"}

    def work(self, context: bpy.types.Context) -> Iterable[str]:
        field = chosen_field(context)
        points = picked_points(context, field)
        if len(points) < 3:
            raise AddonError(
                f"{len(points)} points are picked; pick three vertices or more in Edit Mode, or three objects"
            )
        normal, middle = ground_plane(points)
        cameras = [child.matrix_world.translation for child in field.children if child.type == "CAMERA"]
        # The cameras stand above the ground; without any, the side that is up already stays up.
        above = sum((camera - middle).dot(normal) for camera in cameras) if cameras else normal.z
        if above < 0.0:
            normal = -normal
        turn = normal.rotation_difference(Vector((0.0, 0.0, 1.0))).to_matrix().to_4x4()
        about = Matrix.Translation(middle)
        lower = Matrix.Translation((0.0, 0.0, -middle.z))
        field.matrix_world = lower @ about @ turn @ about.inverted() @ field.matrix_world
        return ()


class NEURALRENDER_OT_apply_alignment(TaskOperator, bpy.types.Operator):
    """Keep the field object's place, turn and scale in the capture itself, so that training uses them; the
    object then stands at the origin. Undo does not take it back"""

    bl_idname = "neural_render.apply_alignment"
    bl_label = "Apply Alignment"
    task_name = "align"

    def prepare(self, context: bpy.types.Context) -> Work:
        field = chosen_field(context)
        path = field.neural_render.capture_path
        if not path:
            raise AddonError(f"{field.name!r} has no capture; set its path in the Capture panel")
        if field.neural_render.scene_path:
            raise AddonError(
                f"{field.name!r} is trained already, in the present coordinates; leave the alignment in the "
                "object, or import the capture anew, align it and train again"
            )
        # A name, not the object: undo replaces objects while the server works.
        self.field_name = field.name
        self.matrix = field.matrix_world.copy()
        matrix = [list(row) for row in self.matrix]
        capture = str(Path(bpy.path.abspath(path)))
        settings = server_settings(context)

        def work(emit: Emit, stopped: Stopped) -> Any:
            client = connect_and_tell(settings, emit).client
            client.align_capture(capture, matrix)
            return client.inspect_capture(capture)

        return work

    def finish(self, context: bpy.types.Context, result: Any) -> None:
        field = field_named(self.field_name)
        move_contents(field, self.matrix)
        describe_capture(field, result, int(field.neural_render.frame_start))
        self.report({"INFO"}, f"{self.field_name}: its alignment is kept in {result.path}")


def picked_points(context: bpy.types.Context, field: bpy.types.Object) -> list[Vector]:
    """World positions of the selected vertices in Edit Mode, else of the selected objects but the field."""
    if context.mode == "EDIT_MESH":
        points: list[Vector] = []
        for obj in context.objects_in_mode_unique_data:
            obj.update_from_editmode()
            points += [obj.matrix_world @ vertex.co for vertex in obj.data.vertices if vertex.select]
        return points
    return [obj.matrix_world.translation.copy() for obj in context.selected_objects if obj != field]


def ground_plane(points: list[Vector]) -> tuple[Vector, Vector]:
    """Unit normal and middle of the plane nearest to ``points``.

    Raises:
        AddonError: the points lie on one line.
    """
    places = np.array(points)
    middle = places.mean(axis=0)
    _, spread, directions = np.linalg.svd(places - middle, full_matrices=False)
    if spread[1] < 1e-4 * spread[0] or spread[0] < 1e-9:
        raise AddonError("The points lie on one line; pick points that span the ground")
    return Vector(directions[2]), Vector(middle)


CLASSES = (NEURALRENDER_OT_set_distance, NEURALRENDER_OT_set_ground, NEURALRENDER_OT_apply_alignment)
