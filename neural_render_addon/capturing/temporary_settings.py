"""Settings that hold for one render and are then the artist's own again, whatever happened."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import bpy

from .. import versions

# Each owner (a scene's settings, a view layer, an object) with the values it takes for a while.
Changes = Sequence[tuple[Any, dict[str, Any]]]

# In the order in which they must be put back: each narrows what the next may be.
IMAGE_SETTINGS = ("file_format", "color_mode", "color_depth", "exr_codec", "compression", "color_management")


@contextlib.contextmanager
def temporarily(changes: Changes) -> Iterator[None]:
    """Set all values, and put the old ones back in the end, in the same order: a look belongs to a view."""
    before = [(owner, {name: getattr(owner, name) for name in values}) for owner, values in changes]
    try:
        for owner, values in changes:
            for name, value in values.items():
                setattr(owner, name, value)
        yield
    finally:
        for owner, values in before:
            for name, value in values.items():
                setattr(owner, name, value)


@contextlib.contextmanager
def image_format(
    scene: bpy.types.Scene, file_format: str, color_mode: str = "RGB", color_depth: str = "8"
) -> Iterator[None]:
    """While it lasts, the scene's renders are saved in this format, with the scene's own view."""
    image = scene.render.image_settings
    names = ("media_type", *IMAGE_SETTINGS) if versions.IS_5 else IMAGE_SETTINGS
    before = {name: getattr(image, name) for name in names}
    try:
        versions.set_image_format(image, file_format)
        image.color_mode, image.color_depth = color_mode, color_depth
        if file_format.startswith("OPEN_EXR"):
            image.exr_codec = "ZIP"
        image.color_management = "FOLLOW_SCENE"
        yield
    finally:
        for name, value in before.items():
            # the depth of a video's codec may not be among those of the file format
            with contextlib.suppress(TypeError):
                setattr(image, name, value)


def standard_view(scene: bpy.types.Scene) -> Changes:
    """Changes that show scene-linear light as sRGB, clipped at white: Blender's Standard view."""
    view = {"view_transform": "Standard", "look": "None", "exposure": 0.0, "gamma": 1.0}
    view["use_curve_mapping"] = False
    return [(scene.display_settings, {"display_device": "sRGB"}), (scene.view_settings, view)]


@contextlib.contextmanager
def only_camera(scene: bpy.types.Scene, camera: bpy.types.Object) -> Iterator[None]:
    """While it lasts, the scene's renders are through ``camera``: markers switch to no other."""
    bound: list[tuple[Any, dict[str, Any]]] = [
        (marker, {"camera": None}) for marker in scene.timeline_markers if marker.camera is not None
    ]
    with temporarily([*bound, (scene, {"camera": camera})]):
        yield
