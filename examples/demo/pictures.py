"""Pictures and film of the demo: stills through Blender's render, a contact sheet, an H.264 film."""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np

GAP = 4  # pixels between the sheet's pictures
CHECKER = (0.32, 0.42)  # encoded greys behind pictures with alpha
IS_5 = bpy.app.version >= (5, 0, 0)


def set_output(scene: bpy.types.Scene, file_format: str) -> None:
    settings = scene.render.image_settings
    if IS_5:
        settings.media_type = "VIDEO" if file_format == "FFMPEG" else "IMAGE"
    settings.file_format = file_format
    if file_format == "PNG":
        settings.color_mode = "RGBA"


def render_frame(scene: bpy.types.Scene, frame: int, path: Path) -> Path:
    """Render one frame to a PNG, as the scene is set."""
    set_output(scene, "PNG")
    scene.frame_set(frame)
    scene.render.filepath = str(path)
    bpy.ops.render.render(write_still=True)
    return path


def read_png(path: Path) -> np.ndarray:
    """A PNG's encoded values (H, W, 4) in [0, 1], rows from the top."""
    image = bpy.data.images.load(str(path))
    image.colorspace_settings.name = "Non-Color"
    width, height = image.size
    pixels = np.empty(width * height * 4, np.float32)
    image.pixels.foreach_get(pixels)
    bpy.data.images.remove(image)
    return pixels.reshape(height, width, 4)[::-1]


def write_png(path: Path, pixels: np.ndarray) -> None:
    """Encoded values (H, W, 4) in [0, 1], rows from the top, to an 8-bit PNG."""
    height, width = pixels.shape[:2]
    image = bpy.data.images.new(path.stem, width, height, alpha=True)
    image.pixels.foreach_set(np.ascontiguousarray(pixels[::-1], np.float32).ravel())
    image.file_format = "PNG"
    image.filepath_raw = str(path)
    image.save()
    bpy.data.images.remove(image)


def over_checker(pixels: np.ndarray) -> np.ndarray:
    """Show transparency the usual way."""
    y, x = np.indices(pixels.shape[:2]) // 8
    checker = np.where((x + y) % 2, *CHECKER)[..., None]
    alpha = pixels[..., 3:]
    color = pixels[..., :3] * alpha + checker * (1.0 - alpha)  # PNG holds straight alpha
    return np.concatenate([color, np.ones_like(alpha)], axis=-1)


def contact_sheet(rows: list[list[Path]], path: Path) -> None:
    """A grid of pictures of one size, one row a list."""
    pictures = [[over_checker(read_png(picture)) for picture in row] for row in rows]
    height, width = pictures[0][0].shape[:2]
    sheet = np.ones(
        (len(rows) * (height + GAP) + GAP, len(rows[0]) * (width + GAP) + GAP, 4), dtype=np.float32
    )
    sheet[..., :3] = 0.08
    for i, row in enumerate(pictures):
        for j, picture in enumerate(row):
            top, left = GAP + i * (height + GAP), GAP + j * (width + GAP)
            sheet[top : top + height, left : left + width] = picture
    write_png(path, sheet)


def write_film(frames: list[Path], fps: int, size: tuple[int, int], path: Path) -> None:
    """The PNG frames as an H.264 film, through a sequencer of its own scene."""
    scene = bpy.data.scenes.new("Film")
    render = scene.render
    render.resolution_x, render.resolution_y = size
    render.resolution_percentage = 100
    render.fps = fps
    scene.frame_start, scene.frame_end = 1, len(frames)
    scene.view_settings.view_transform = "Standard"
    strip = scene.sequence_editor_create().strips.new_image("Composite", str(frames[0]), 1, 1)
    for frame in frames[1:]:
        strip.elements.append(frame.name)
    set_output(scene, "FFMPEG")
    render.ffmpeg.format, render.ffmpeg.codec = "MPEG4", "H264"
    render.ffmpeg.constant_rate_factor, render.ffmpeg.gopsize = "HIGH", 12
    render.use_file_extension = False
    render.filepath = str(path)
    bpy.ops.render.render(animation=True, scene=scene.name)
