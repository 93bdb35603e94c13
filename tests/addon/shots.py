"""What the engine's tests share: a shot of a trained field, rendered, and its channels read back."""

import bpy
import numpy as np
import OpenEXR

SIZE = (72, 54)


def shot_of(folder):
    """The scene with the trained field of ``folder``, moved, turned and scaled, before a camera."""
    scene = bpy.context.scene
    assert bpy.ops.neural_render.open_scene(filepath=str(folder)) == {"FINISHED"}
    scene.render.engine = "NEURAL_RENDER"
    scene.render.resolution_x, scene.render.resolution_y = SIZE
    scene.frame_start = scene.frame_end = 1
    field = scene.neural_render.field
    field.location, field.scale, field.rotation_euler.z = (1.0, 2.0, 0.5), (2.0, 2.0, 2.0), 0.4
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    camera.parent = field
    camera.location, camera.rotation_euler = (0.0, -3.4, 1.6), (1.15, 0.0, 0.0)
    camera.data.lens = 30.0
    scene.collection.objects.link(camera)
    scene.camera = camera
    bpy.context.view_layer.update()
    return scene


def rendered(scene, folder, name="frame"):
    """Render the current frame (F12) and read its channels back, rows from the top."""
    path = folder / f"{name}.exr"
    settings = scene.render.image_settings
    if hasattr(settings, "media_type"):
        settings.media_type = "MULTI_LAYER_IMAGE"
    settings.file_format, settings.color_depth, settings.exr_codec = "OPEN_EXR_MULTILAYER", "32", "ZIP"
    scene.render.filepath = str(path)
    assert bpy.ops.render.render(write_still=True) == {"FINISHED"}
    return read_channels(path)


def read_channels(path):
    """A multilayer EXR's channels by name, without the view layer's."""
    with OpenEXR.File(str(path), separate_channels=True) as file:
        return {
            name.removeprefix("ViewLayer."): np.array(channel.pixels)
            for part in file.parts
            for name, channel in part.channels.items()
        }


def rgba(channels):
    return np.stack([channels[f"Combined.{name}"] for name in "RGBA"], axis=-1)
