"""The field object that an operator works on, and where its files go."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, overload

import bpy

from .errors import AddonError
from .timing import TimeMapping, capture_seconds, scene_fps


@overload
def chosen_field(context: bpy.types.Context, required: Literal[True] = True) -> bpy.types.Object: ...


@overload
def chosen_field(context: bpy.types.Context, required: bool) -> bpy.types.Object | None: ...


def chosen_field(context: bpy.types.Context, required: bool = True) -> bpy.types.Object | None:
    """The scene's chosen field object, else the active object if it is one.

    Raises:
        AddonError: there is none, and one is ``required``.
    """
    field = context.scene.neural_render.field
    # An object deleted by the artist stays alive while the pointer holds it.
    if field is not None and field.name in context.scene.objects:
        return field
    active = context.view_layer.objects.active
    if active is not None and active.neural_render.is_field:
        return active
    if required:
        raise AddonError(
            "No field is chosen; import a capture, or choose a field object in the Capture panel"
        )
    return None


def field_named(name: str) -> bpy.types.Object:
    """The field object called ``name``: undo replaces objects while work goes on.

    Raises:
        AddonError: it is gone.
    """
    field = bpy.data.objects.get(name)
    if field is None:
        raise AddonError(f"The field object {name!r} is gone; choose another")
    return field


def trained_scene(field: bpy.types.Object) -> str:
    """The absolute path of the field's trained scene.

    Raises:
        AddonError: it is not trained.
    """
    if not field.neural_render.scene_path:
        raise AddonError(f"{field.name!r} is not trained; press Train Scene, or set its trained scene")
    return str(bpy.path.abspath(field.neural_render.scene_path))


def field_seconds(field: bpy.types.Object, scene: bpy.types.Scene) -> float:
    """Seconds of the capture that ``field`` shows at the scene's current frame, its part included.

    Both as they are in the .blend, or both as a depsgraph has evaluated them.
    """
    properties = field.neural_render
    fps = scene_fps(scene.render.fps, scene.render.fps_base)
    # The "final" frame has the scene's time remapping applied, as all keyframes have.
    return capture_seconds(scene.frame_current_final, fps, properties.timing, properties.duration)


def field_period(field: bpy.types.Object) -> float:
    """Seconds of the capture after which a looped field shows the same again; 0 where nothing loops."""
    properties = field.neural_render
    is_looped = properties.timing.mapping is TimeMapping.LOOP
    return float(properties.duration) if is_looped else 0.0


def describe_scene(field: bpy.types.Object, scene: dict[str, Any]) -> None:
    """Write what ``scene.json`` says of a trained scene into its field object."""
    properties = field.neural_render
    times = scene["times"]
    properties.scene_path = scene["path"]
    # A training on part of the capture's timesteps gives a field whose time starts with the part.
    properties.duration = times[-1] - times[0] if times else 0.0
    properties.is_dynamic = bool(scene["is_dynamic"])
    properties.fps = scene["fps"] or 0.0
    properties.bounds_min, properties.bounds_max = scene["bounds"]["min"], scene["bounds"]["max"]
    if not properties.capture_path:
        properties.capture_path = str(scene["training"].get("capture") or "")


def output_folder(given: str, *default: str) -> Path:
    """An absolute folder for output: ``given``, or ``default`` in ``neural_render`` beside the .blend.

    Raises:
        AddonError: the folder is relative to a .blend that was never saved.
    """
    if (not given or given.startswith("//")) and not bpy.data.filepath:
        raise AddonError("The .blend is not saved, so its folder is unknown; save it, or choose a folder")
    if given:
        return Path(bpy.path.abspath(given))
    return Path(bpy.path.abspath("//neural_render")).joinpath(*default)


def file_stem(name: str) -> str:
    """A datablock's name as part of a file name."""
    return str(bpy.path.clean_name(name))


def volume_corners(obj: bpy.types.Object) -> list[tuple[float, float, float]]:
    """The eight corners of an object's box, in its own space; an Empty's box is its drawn cube."""
    if obj.type != "EMPTY":
        return [tuple(corner) for corner in obj.bound_box]
    size = obj.empty_display_size
    return [(x, y, z) for x in (-size, size) for y in (-size, size) for z in (-size, size)]
