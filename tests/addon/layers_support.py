"""Frames as the server writes them, a render read back, and the merge in numpy: shared by the layer tests."""

from pathlib import Path

import bpy
import numpy as np
import OpenEXR

from neural_render_addon import versions

BACKGROUND = 1e10


def write_frame(path: Path, rgba: np.ndarray, depth: np.ndarray, **layers: np.ndarray) -> None:
    """One frame of the contract: single part, float, multilayer names. rgba and further ``layers``, by their
    names, are (H, W, 4), depth (H, W)."""
    channels = {
        f"ViewLayer.Combined.{name}": np.ascontiguousarray(rgba[..., index], dtype=np.float32)
        for index, name in enumerate("RGBA")
    }
    for layer, pixels in layers.items():
        for index, name in enumerate("RGBA"):
            plane = np.ascontiguousarray(pixels[..., index], dtype=np.float32)
            channels[f"ViewLayer.{layer}.{name}"] = plane
    channels["ViewLayer.Depth.Z"] = np.ascontiguousarray(depth, dtype=np.float32)
    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    OpenEXR.File(header, channels).write(str(path))


def give_frames(field, folder: Path, numbers, width: int = 16, height: int = 12) -> None:
    """What Render Frames leaves behind: files, and their range on the field object."""
    for number in numbers:
        rgba = np.full((height, width, 4), (number / 100.0, 0.5, 0.25, 1.0), np.float32)
        write_frame(folder / f"Stage_{number:04d}.exr", rgba, np.full((height, width), 3.0, np.float32))
    settings = field.neural_render
    settings.render_folder, settings.render_prefix = str(folder), "Stage_"
    settings.render_start, settings.render_end = min(numbers), max(numbers)


def read_channels(path: Path) -> dict[str, np.ndarray]:
    """Every channel by its full name, whether the file has one part (4.5) or one a pass (5.x)."""
    channels = {}
    with OpenEXR.File(str(path), separate_channels=True) as file:
        for part in file.parts:
            channels.update({name: channel.pixels.copy() for name, channel in part.channels.items()})
    return channels


def read_rgba(path: Path, prefix: str = "") -> np.ndarray:
    channels = read_channels(path)
    return np.stack([channels[prefix + name] for name in "RGBA"], axis=-1)


def render_scene(scene, path: Path, file_format: str = "OPEN_EXR") -> Path:
    """Render the current frame as 32-bit RGBA EXR (or a multilayer one with every pass)."""
    settings = scene.render.image_settings
    versions.set_image_format(settings, file_format)
    if file_format.startswith("OPEN_EXR"):
        settings.color_depth = "32"
    if file_format != "OPEN_EXR_MULTILAYER":
        settings.color_mode = "RGBA"
    scene.render.filepath = str(path)
    bpy.ops.render.render(write_still=True, scene=scene.name)
    return path


def small_scene(width: int, height: int):
    """An empty scene that renders with one Cycles thread and the CPU compositor, with a camera at 5 m."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.render.engine = "CYCLES"
    scene.cycles.device = "CPU"
    scene.cycles.samples = 16
    scene.cycles.use_denoising = False
    scene.render.resolution_x, scene.render.resolution_y = width, height
    scene.render.resolution_percentage = 100
    scene.render.compositor_device = "CPU"
    scene.render.threads_mode, scene.render.threads = "FIXED", 1
    scene.view_settings.view_transform = "Standard"
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    camera.location = (0.0, 0.0, 5.0)
    scene.collection.objects.link(camera)
    scene.camera = camera
    return scene


def field_object(scene, scale: float = 1.0):
    field = bpy.data.objects.new("Stage", None)
    field.scale = (scale, scale, scale)
    scene.collection.objects.link(field)
    bpy.context.view_layer.update()
    return field


def chosen_field(scene):
    """A field object that the panels work on, in a scene with a camera."""
    scene.camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    scene.collection.objects.link(scene.camera)
    field = field_object(scene)
    field.neural_render.is_field = True
    scene.neural_render.field = field
    return field


def nearest_neighbour(depth: np.ndarray) -> np.ndarray:
    """The least depth of the three by three pixels around each."""
    padded = np.pad(depth, 1, mode="edge")
    height, width = depth.shape
    return np.min([padded[i : i + height, j : j + width] for i in range(3) for j in range(3)], axis=0)


def smoothstep(t: np.ndarray) -> np.ndarray:
    t = np.clip(t, 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


def merge(
    field, field_depth, cg, cg_depth, softness=0.05, catcher=None, shadow=1.0, reach=0.5, scale=1.0
) -> np.ndarray:
    """The depth merge as compositor_nodes.py states it, in float64; layers premultiplied, (H, W, 4)."""
    field, cg = field.astype(np.float64), cg.astype(np.float64)
    covered, cg_alpha = field[..., 3] > 0, cg[..., 3]
    z_field = np.where(covered, field_depth.astype(np.float64) * scale, BACKGROUND)
    edge = np.where(cg_alpha < 1, nearest_neighbour(cg_depth), cg_depth)
    z_cg = np.where(cg_alpha > 0, edge, BACKGROUND).astype(np.float64)
    if catcher is not None:
        amount = shadow * (1.0 - smoothstep((cg_depth.astype(np.float64) - z_field) / reach))[..., None]
        field = field.copy()
        field[..., :3] *= 1.0 - amount + amount * catcher
    w = smoothstep((z_cg - z_field) / softness + 0.5)[..., None]
    field_first = field + (1.0 - field[..., 3:]) * cg
    cg_first = cg + (1.0 - cg[..., 3:]) * field
    return w * field_first + (1.0 - w) * cg_first
