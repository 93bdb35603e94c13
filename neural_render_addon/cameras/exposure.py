"""The lens and the shutter of a frame, from the camera's depth of field and the scene's motion blur.

As Cycles reads them (blender/camera.cpp): the aperture's radius is half the focal length over the f-stop,
with millimetres as thousandths of a scene unit; the focus distance is planar depth; the shutter is open for
a part of a frame that starts at, ends at or surrounds the frame.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import bpy
from mathutils import Vector

from ..errors import CameraError
from .camera import uniform_scale

# Moments from open to close: what moves goes straight between them. Cycles' default for objects is as many.
SHUTTER_MOMENTS = 3

Entry = dict[str, Any]


def lens_entry(
    camera: bpy.types.Object, depsgraph: bpy.types.Depsgraph, field: bpy.types.Object | None = None
) -> Entry | None:
    """The camera entry's ``lens``, or None where the camera has no depth of field.

    In capture units of ``field``; in scene units without one.

    Raises:
        CameraError: the focus lies in the camera, or the field's scale is not uniform.
    """
    evaluated = camera.evaluated_get(depsgraph)
    data = evaluated.data
    if not data.dof.use_dof or data.type != "PERSP":
        return None
    distance = focus_distance(evaluated, depsgraph)
    if not distance > 0.0:
        raise CameraError(f"Camera {camera.name!r} is focused at distance 0; move its focus object away")
    scale = 1.0
    if field is not None:
        scale = uniform_scale(field.evaluated_get(depsgraph).matrix_world, field.name)
    radius = data.lens * 1e-3 / (2.0 * max(data.dof.aperture_fstop, 1e-5))
    return {
        "aperture_radius": radius / scale,
        "focus_distance": distance / scale,
        "blades": data.dof.aperture_blades if data.dof.aperture_blades >= 3 else 0,
        "rotation": data.dof.aperture_rotation,
        "ratio": data.dof.aperture_ratio,
    }


def focus_distance(camera: bpy.types.Object, depsgraph: bpy.types.Depsgraph) -> float:
    """The planar depth, in scene units, that an evaluated camera is focused at."""
    dof = camera.data.dof
    if dof.focus_object is None:
        return float(dof.focus_distance)
    target = dof.focus_object.evaluated_get(depsgraph)
    place = target.matrix_world.translation
    bone = target.pose.bones.get(dof.focus_subtarget) if target.pose else None
    if bone is not None:
        place = target.matrix_world @ bone.matrix.translation
    forward = camera.matrix_world.to_3x3() @ Vector((0.0, 0.0, -1.0))
    return float(abs((place - camera.matrix_world.translation).dot(forward.normalized())))


def shutter_times(render: bpy.types.RenderSettings, frame: float) -> list[float]:
    """The scene frames at which the shutter's moments lie, from open to close."""
    share = {"START": 0.0, "CENTER": -0.5, "END": -1.0}[render.motion_blur_position]
    opens = frame + share * render.motion_blur_shutter
    steps = SHUTTER_MOMENTS - 1
    return [opens + render.motion_blur_shutter * step / steps for step in range(SHUTTER_MOMENTS)]


def shutter_entry(scene: bpy.types.Scene, frame: int, sample: Callable[[], Entry]) -> Entry | None:
    """The camera entry's ``shutter``, or None where the scene has no motion blur or nothing moves.

    ``sample`` tells the camera and the time that the scene is at. The scene is put back to ``frame``.
    """
    if not scene.render.use_motion_blur or scene.render.motion_blur_shutter <= 0.0:
        return None
    moments = []
    try:
        for time in shutter_times(scene.render, frame):
            whole = math.floor(time)
            scene.frame_set(whole, subframe=time - whole)
            moments.append(sample())
    finally:
        scene.frame_set(frame)
    return None if all(moment == moments[0] for moment in moments) else {"cameras": moments}
