"""Add Camera Rig: cameras on an arc, ring, dome or grid around a target, or along a camera's path."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import bpy
import numpy as np
from bpy.props import EnumProperty, FloatProperty, IntProperty, StringProperty
from mathutils import Matrix, Vector

from ..capturing.rig_shapes import FloatArray, arc, dome, even_places, grid, look_at, ring
from ..errors import AddonError, CameraError

SHAPES = (
    ("ARC", "Arc", "Cameras side by side on part of a circle", "SPHERECURVE", 0),
    ("RING", "Ring", "Cameras all around", "MESH_CIRCLE", 1),
    ("DOME", "Dome", "Cameras spread evenly over part of a sphere", "SPHERE", 2),
    ("GRID", "Grid", "Rows and columns on a plane that faces the target", "MESH_GRID", 3),
    ("PATH", "Camera Path", "Cameras along the animated path of an existing camera", "CON_FOLLOWPATH", 4),
)

# Kinds of objects whose box says where their middle is; an Empty's does not.
WITH_BOX = {"MESH", "CURVE", "CURVES", "SURFACE", "META", "FONT", "ARMATURE", "LATTICE", "VOLUME"}

# Drawn size of a rig's cameras, as a part of the rig's radius.
DISPLAY = 0.06


class NEURALRENDER_OT_add_rig(bpy.types.Operator):
    """Add cameras that film a target from several sides, in a collection of their own"""

    bl_idname = "neural_render.add_rig"
    bl_label = "Add Camera Rig"
    bl_options = {"REGISTER", "UNDO"}

    shape: EnumProperty(name="Shape", description="Where the cameras stand", items=SHAPES)
    target: StringProperty(
        name="Target", description="Object that the cameras look at; empty is the 3D cursor"
    )
    count: IntProperty(
        name="Cameras", description="Number of cameras", default=12, min=1, soft_max=100, max=999
    )
    radius: FloatProperty(
        name="Radius",
        description="Distance of the cameras from the target",
        default=5.0,
        min=0.001,
        unit="LENGTH",
    )
    angle: FloatProperty(
        name="Angle",
        description="Part of the circle that the arc covers",
        default=math.radians(60.0),
        min=0.0,
        max=math.radians(360.0),
        subtype="ANGLE",
    )
    heading: FloatProperty(
        name="Heading",
        description="Direction from the target to the rig's middle, or its first camera; 0 is the front, -Y",
        subtype="ANGLE",
    )
    elevation: FloatProperty(
        name="Elevation",
        description="Height of the cameras above the target's level; of a dome, that of its lowest cameras",
        default=math.radians(10.0),
        min=math.radians(-89.0),
        max=math.radians(89.0),
        subtype="ANGLE",
    )
    columns: IntProperty(name="Columns", description="Cameras side by side", default=4, min=1, max=99)
    rows: IntProperty(name="Rows", description="Cameras above each other", default=3, min=1, max=99)
    spacing: FloatProperty(
        name="Spacing", description="Distance of neighbours in the grid", default=0.5, min=0.0, unit="LENGTH"
    )
    path_camera: StringProperty(
        name="Path Of", description="Camera whose animation over the scene's frame range is the path"
    )
    lens: FloatProperty(
        name="Focal Length",
        description="Focal length of the cameras, in millimetres on a film 36 mm wide",
        default=50.0,
        min=1.0,
        unit="CAMERA",
    )

    if TYPE_CHECKING:  # of bpy.types.Operator
        layout: bpy.types.UILayout

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        active = context.view_layer.objects.active
        if not self.target and active is not None and active.type not in {"CAMERA", "LIGHT"}:
            self.target = active.name
        if not self.path_camera:
            chosen = active if active is not None and active.type == "CAMERA" else context.scene.camera
            self.path_camera = "" if chosen is None else chosen.name
        return self.execute(context)

    def draw(self, _context: bpy.types.Context) -> None:
        layout = self.layout
        layout.use_property_split = True
        layout.prop(self, "shape")
        layout.prop_search(self, "target", bpy.data, "objects")
        if self.shape == "PATH":
            layout.prop_search(self, "path_camera", bpy.data, "objects", icon="CAMERA_DATA")
        names = {
            "ARC": ("count", "radius", "angle", "heading", "elevation"),
            "RING": ("count", "radius", "heading", "elevation"),
            "DOME": ("count", "radius", "heading", "elevation"),
            "GRID": ("columns", "rows", "spacing", "radius", "heading", "elevation"),
            "PATH": ("count",),
        }[self.shape]
        for name in names:
            layout.prop(self, name)
        if self.shape != "PATH":
            layout.prop(self, "lens")

    def execute(self, context: bpy.types.Context) -> set[str]:
        try:
            poses = self._poses(context)
        except AddonError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        add_cameras(context, poses, self._camera_data())
        return {"FINISHED"}

    def _poses(self, context: bpy.types.Context) -> list[FloatArray]:
        if self.shape != "PATH":
            target = self._target(context)
            return [look_at(target + offset, target) for offset in self._offsets()]
        poses = poses_along_path(context, self._path_source(), self.count)
        if not self.target:
            return poses
        target = self._target(context)
        return [look_at(pose[:3, 3], target) for pose in poses]

    def _camera_data(self) -> bpy.types.Camera:
        if self.shape == "PATH":
            data = self._path_source().data.copy()
            data.name = "Rig"
            data.animation_data_clear()  # a rig's lens stands still, as its cameras do
            return data
        data = bpy.data.cameras.new("Rig")
        data.lens = self.lens
        data.display_size = DISPLAY * self.radius
        return data

    def _target(self, context: bpy.types.Context) -> FloatArray:
        """(3,) what the cameras look at: the middle of the target's box, where it has one."""
        if not self.target:
            return np.array(context.scene.cursor.location, dtype=np.float64)
        target = bpy.data.objects.get(self.target)
        if target is None:
            raise AddonError(f"There is no object {self.target!r} to look at; choose another target")
        context.view_layer.update()
        if target.type not in WITH_BOX:
            return np.array(target.matrix_world.translation, dtype=np.float64)
        corners = np.array([target.matrix_world @ Vector(corner) for corner in target.bound_box])
        return np.asarray(corners.mean(axis=0), dtype=np.float64)

    def _offsets(self) -> FloatArray:
        if self.shape == "ARC":
            return arc(self.count, self.radius, self.angle, self.heading, self.elevation)
        if self.shape == "RING":
            return ring(self.count, self.radius, self.heading, self.elevation)
        if self.shape == "DOME":
            return dome(self.count, self.radius, self.heading, self.elevation)
        return grid(self.columns, self.rows, self.radius, self.spacing, self.heading, self.elevation)

    def _path_source(self) -> bpy.types.Object:
        source = bpy.data.objects.get(self.path_camera)
        if source is None or source.type != "CAMERA":
            raise CameraError(
                f"{self.path_camera!r} is no camera to take the path of; choose an animated camera"
            )
        return source


def poses_along_path(context: bpy.types.Context, camera: bpy.types.Object, count: int) -> list[FloatArray]:
    """``count`` camera-to-world matrices (4, 4), equally far apart on a camera's path in the range."""
    scene = context.scene
    before, subframe = scene.frame_current, scene.frame_subframe

    def pose(frame: float) -> FloatArray:
        scene.frame_set(math.floor(frame), subframe=frame - math.floor(frame))
        evaluated = camera.evaluated_get(context.evaluated_depsgraph_get())
        return np.array(evaluated.matrix_world.normalized(), dtype=np.float64)

    try:
        path = [pose(frame) for frame in range(scene.frame_start, scene.frame_end + 1)]
        places = even_places([matrix[:3, 3] for matrix in path], count)
        return [pose(scene.frame_start + float(place)) for place in places]
    finally:
        scene.frame_set(before, subframe=subframe)


def add_cameras(context: bpy.types.Context, poses: list[FloatArray], data: bpy.types.Camera) -> None:
    """Cameras cam00, cam01, ... that share ``data``, selected, in a new collection for Render Capture."""
    collection = bpy.data.collections.new("Rig")
    context.scene.collection.children.link(collection)
    for selected in context.selected_objects:
        selected.select_set(False)
    cameras = []
    for index, pose in enumerate(poses):
        camera = bpy.data.objects.new(f"cam{index:02d}", data)
        camera.matrix_basis = Matrix(pose.tolist())
        collection.objects.link(camera)
        camera.select_set(True)
        cameras.append(camera)
    context.view_layer.objects.active = cameras[0]
    context.scene.neural_render.capture.rig = collection


class NEURALRENDER_MT_add(bpy.types.Menu):
    """Camera rigs, and trained fields"""

    bl_idname = "NEURALRENDER_MT_add"
    bl_label = "Neural Render"

    def draw(self, _context: bpy.types.Context) -> None:
        for identifier, name, _description, icon, _number in SHAPES:
            operator = self.layout.operator("neural_render.add_rig", text=f"{name} Rig", icon=icon)
            operator.shape = identifier
        self.layout.separator()
        self.layout.operator("neural_render.open_scene", icon="FILE_FOLDER")


CLASSES = (NEURALRENDER_OT_add_rig, NEURALRENDER_MT_add)
