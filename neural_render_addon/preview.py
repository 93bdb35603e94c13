"""The live preview of a training: one image datablock, read again whenever there is a new picture."""

from __future__ import annotations

from pathlib import Path

import bpy

IMAGE_NAME = "Neural Render Preview"


def preview_path() -> Path:
    """Where the newest preview picture of this session is kept."""
    return Path(bpy.app.tempdir) / "neural_render_preview.png"


def show_preview(path: str) -> bpy.types.Image:
    """Make the image, or read it again, from a picture on disk."""
    image = bpy.data.images.get(IMAGE_NAME)
    if image is None:
        image = bpy.data.images.load(path)
        image.name = IMAGE_NAME
    else:
        image.filepath = path
        image.reload()
    image.update_tag()
    return image
