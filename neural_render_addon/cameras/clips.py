"""A camera's clip behind the scene in its view, at every scene frame the picture of that moment."""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np

from ..service.messages import Clip

# The moment of the capture at the scene's frame, as the field follows the timeline. Blender evaluates such a
# simple expression itself, without Python: it needs no permission to run scripts.
SECONDS = "offset + speed * (frame - start) * fps_base / fps"
FIELD_VARIABLES = {"offset": "time_offset", "speed": "speed", "start": "frame_start"}
SCENE_VARIABLES = ("fps", "fps_base")


def add_background(camera: bpy.types.Camera, clip: Clip, field: bpy.types.Object) -> list[str]:
    """Show a camera's clip behind the scene when one looks through it; returns sentences of failure."""
    if not Path(clip.path).exists():
        return [f"{clip.path}: not on this machine, so camera {camera.name!r} has no background clip"]
    try:
        image = bpy.data.images.load(clip.path, check_existing=True)
    except RuntimeError as error:
        return [f"{clip.path}: Blender cannot read it as a background ({error})"]
    background = camera.background_images.new()
    background.image = image
    if clip.kind == "sequence":
        image.source = "SEQUENCE"
    if clip.numbers:
        follow_time(camera, len(camera.background_images) - 1, clip, field)
    background.alpha = 1.0
    # What is filmed is never cut: the clip is stretched to the camera's frame, like the pictures
    # that the field was trained on.
    background.frame_method = "STRETCH"
    camera.show_background_images = True
    return []


def follow_time(camera: bpy.types.Camera, index: int, clip: Clip, field: bpy.types.Object) -> None:
    """Drive which frame of background ``index`` is shown: the one taken nearest to the field's moment.

    A driver gives the seconds of the capture, and its curve steps from frame to frame half-way between their
    times: whatever a camera's rate and start, whether frames are missing, and whatever the scene's rate is.
    """
    user = camera.background_images[index].image_user
    # With one frame Blender counts 1 at all times, and adds the offset.
    user.frame_start, user.frame_duration = 1, 1
    first = 0 if clip.kind == "video" else 1  # what Blender counts as 1
    curve = camera.driver_add(f"background_images[{index}].image_user.frame_offset")
    for modifier in list(curve.modifiers):
        curve.modifiers.remove(modifier)
    times = np.array(clip.times)
    steps = np.concatenate([times[:1], (times[1:] + times[:-1]) / 2.0])
    keys = np.stack([steps, np.array(clip.numbers) - first], axis=1)
    curve.keyframe_points.clear()
    curve.keyframe_points.add(len(keys))
    curve.keyframe_points.foreach_set("co", keys.astype(np.float32).ravel())
    constant = bpy.types.Keyframe.bl_rna.properties["interpolation"].enum_items["CONSTANT"].value
    curve.keyframe_points.foreach_set("interpolation", [constant] * len(keys))
    curve.extrapolation = "CONSTANT"
    curve.update()
    driver = curve.driver
    driver.type = "SCRIPTED"
    for name, path in FIELD_VARIABLES.items():
        target = driver_variable(driver, name, "SINGLE_PROP")
        target.id, target.data_path = field, f"neural_render.{path}"
    for name in SCENE_VARIABLES:
        target = driver_variable(driver, name, "CONTEXT_PROP")
        target.context_property, target.data_path = "ACTIVE_SCENE", f"render.{name}"
    driver.expression = SECONDS


def driver_variable(driver: bpy.types.Driver, name: str, kind: str) -> bpy.types.DriverTarget:
    """A new variable of a driver; its target is still to be set."""
    variable = driver.variables.new()
    variable.name, variable.type = name, kind
    return variable.targets[0]
