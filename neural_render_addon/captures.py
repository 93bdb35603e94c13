"""A capture becomes cameras with their clips, points and the field object in the scene."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import bpy
import numpy as np
import numpy.typing as npt
from mathutils import Matrix

from .cameras.camera import settings_from_pinhole
from .cameras.clips import add_background
from .service.messages import CaptureCamera, CaptureInfo
from .timing import duration_in_frames, frame_rate

# Difference of the focal lengths along x and y, relative, that Blender's square pixels may hide unsaid.
ASPECT_TOLERANCE = 1e-3

# Size of a camera's drawing and of the field's axes, as parts of the rig's extent.
CAMERA_DISPLAY, FIELD_DISPLAY = 0.08, 0.15


@dataclass(frozen=True)
class ImportOptions:
    """What Import Capture makes beside the cameras and the field object."""

    use_clips: bool = True
    use_points: bool = True
    set_scene: bool = False


def import_capture(
    context: bpy.types.Context,
    info: CaptureInfo,
    points: tuple[npt.NDArray[np.float32], npt.NDArray[np.uint8]] | None,
    options: ImportOptions,
) -> tuple[bpy.types.Object, list[str]]:
    """Bring a capture into the scene: a collection with its field object, cameras and points.

    Everything is a child of the field object, so that moving, turning or scaling that moves the whole
    rig. ``points`` are positions (N, 3) and sRGB colours (N, 3). Returns the field object and
    sentences for the user.
    """
    warnings = list(info.warnings)
    collection = bpy.data.collections.new(info.name)
    context.scene.collection.children.link(collection)
    extent = rig_extent(info)
    field = new_field(info.name, extent)
    collection.objects.link(field)
    describe_capture(field, info, context.scene.frame_start)
    for camera in info.cameras:
        obj = new_camera(camera, extent)
        obj.parent = field
        collection.objects.link(obj)
        if options.use_clips and camera.clip is not None:
            warnings += add_background(obj.data, camera.clip, field)
    if points is not None and options.use_points and len(points[0]):
        cloud = new_points(f"{info.name} points", *points)
        cloud.parent = field
        collection.objects.link(cloud)
    if options.set_scene:
        apply_to_scene(context.scene, info)
    warnings += _aspect_warnings(info, context.scene if options.set_scene else None)
    distorted = sum(camera.is_distorted for camera in info.cameras)
    if distorted:
        warnings.append(
            f"{distorted} of {len(info.cameras)} cameras have lens distortion: their clips show it, "
            "Blender's cameras and the rendered frames do not"
        )
    context.scene.neural_render.field = field
    return field, warnings


def new_field(name: str, extent: float) -> bpy.types.Object:
    """An Empty to carry a field; link it to a collection yourself."""
    field = bpy.data.objects.new(name, None)
    field.empty_display_type = "ARROWS"
    field.empty_display_size = FIELD_DISPLAY * extent
    field.neural_render.is_field = True
    return field


def describe_capture(field: bpy.types.Object, info: CaptureInfo, frame_start: int) -> None:
    """Write what is known of a capture into its field object."""
    properties = field.neural_render
    properties.capture_path = info.path
    properties.duration = info.duration
    properties.fps = info.fps or 0.0
    properties.training_memory = info.training_memory / 1e9
    properties.training_disk = info.training_disk / 1e9
    properties.readout = max(info.readouts.values(), default=0.0)
    properties.is_dynamic = info.is_dynamic
    properties.frame_start = frame_start
    if info.bounds is not None:
        properties.bounds_min, properties.bounds_max = info.bounds


def new_camera(camera: CaptureCamera, extent: float) -> bpy.types.Object:
    """A Blender camera that shows what ``camera`` shows; its transform is in capture coordinates."""
    data = bpy.data.cameras.new(camera.name)
    settings_from_pinhole(camera.pinhole).apply(data)
    data.display_size = CAMERA_DISPLAY * extent
    obj = bpy.data.objects.new(camera.name, data)
    matrix = camera.camera_to_world.copy()
    matrix[:3, :3] /= np.linalg.norm(matrix[:3, :3], axis=0)
    obj.matrix_basis = Matrix(matrix.tolist())
    obj.neural_render.camera_name = camera.name
    return obj


def new_points(
    name: str, positions: npt.NDArray[np.float32], colors: npt.NDArray[np.uint8]
) -> bpy.types.Object:
    """A mesh of loose vertices with a byte colour attribute ``Color`` (sRGB)."""
    mesh = bpy.data.meshes.new(name)
    mesh.vertices.add(len(positions))
    mesh.vertices.foreach_set("co", np.ascontiguousarray(positions, dtype=np.float32).ravel())
    attribute = mesh.color_attributes.new("Color", "BYTE_COLOR", "POINT")
    rgba = np.ones((len(colors), 4), dtype=np.float32)
    rgba[:, :3] = colors / 255.0
    attribute.data.foreach_set("color_srgb", rgba.ravel())
    mesh.update()
    return bpy.data.objects.new(name, mesh)


def apply_to_scene(scene: bpy.types.Scene, info: CaptureInfo) -> None:
    """Give the scene the capture's size, rate and frame range, and its first camera."""
    pinhole = info.cameras[0].pinhole
    scene.render.resolution_x, scene.render.resolution_y = pinhole.width, pinhole.height
    scene.render.resolution_percentage = 100
    aspect = settings_from_pinhole(pinhole).pixel_aspect
    if max(aspect) > 1.0 + ASPECT_TOLERANCE:
        scene.render.pixel_aspect_x, scene.render.pixel_aspect_y = aspect
    if info.is_dynamic and info.fps:
        scene.render.fps, scene.render.fps_base = frame_rate(info.fps)
        scene.frame_end = scene.frame_start + duration_in_frames(info.duration, info.fps) - 1


def rig_extent(info: CaptureInfo) -> float:
    """The largest side of the box around the cameras, in capture units; 1 for a single one."""
    positions = np.array([camera.camera_to_world[:3, 3] for camera in info.cameras])
    extent = float(np.ptp(positions, axis=0).max()) if len(positions) else 0.0
    return extent or 1.0


def move_contents(field: bpy.types.Object, matrix: Matrix) -> None:
    """Set the field object to the origin, and move what was imported with it by ``matrix``, a similarity."""
    rotation, scale = matrix.to_quaternion().to_matrix().to_4x4(), matrix.median_scale
    for child in field.children:
        if child.type == "MESH":
            child.data.transform(matrix)
        else:
            place = Matrix.Translation(matrix @ child.matrix_basis.translation)
            child.matrix_basis = place @ rotation @ child.matrix_basis.to_quaternion().to_matrix().to_4x4()
        if child.type == "CAMERA":
            child.data.display_size *= scale
    field.empty_display_size *= scale
    field.matrix_world = Matrix()


def field_cameras(field: bpy.types.Object) -> Iterator[bpy.types.Object]:
    """The cameras that were imported with a field."""
    return (child for child in field.children if child.type == "CAMERA")


def _aspect_warnings(info: CaptureInfo, scene: bpy.types.Scene | None) -> list[str]:
    aspect = 1.0
    if scene is not None:
        aspect = scene.render.pixel_aspect_y / scene.render.pixel_aspect_x
    ratios = [camera.pinhole.fl_x / camera.pinhole.fl_y for camera in info.cameras]
    worst = max(abs(ratio / aspect - 1.0) for ratio in ratios)
    if worst <= ASPECT_TOLERANCE:
        return []
    return [
        f"Some cameras' focal lengths differ along x and y by up to {worst:.1%}, which Blender can only show "
        "through the scene's pixel aspect: their vertical field of view is approximate"
    ]
