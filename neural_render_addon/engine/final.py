"""Final frames (F12 and animation): Blender waits, the server renders, cancel and progress go through."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import bpy
import numpy as np
import numpy.typing as npt

from ..cameras.camera import evaluated_projection, render_border
from ..cameras.exposure import lens_entry, shutter_times
from ..cameras.projections import Projection
from ..errors import AddonError, CameraError
from ..service import server_process
from ..service.jobs import Failed, Finished, Progress, Task
from ..service.server_process import ServerSettings
from ..settings.preferences import server_settings
from . import passes
from .blur import Blur, shutter_views
from .passes import FloatArray, Layer, Merged, Picture
from .pictures import PictureSource
from .views import FieldView, PlacedField, View, look, sample_fields, sample_same_fields

# Seconds between two looks at the worker and at Escape.
TICK = 0.02

_sources: dict[ServerSettings, PictureSource] = {}


def render_final(engine: bpy.types.RenderEngine, depsgraph: bpy.types.Depsgraph) -> None:
    """Render a view layer of one frame into the engine's result.

    Raises:
        AddonError: it cannot be rendered; the message is for the user.
    """
    fields = sample_fields(depsgraph)
    view = camera_view(engine, depsgraph, fields)
    layer = depsgraph.view_layer
    motion = sample_motion(engine, depsgraph, fields) if layer.use_pass_vector else None
    settings = server_settings(bpy.context)
    with_mattes = depsgraph.scene.original.neural_render.render.use_mattes
    blur = sample_blur(engine, depsgraph, fields)
    extras = {"with_mattes": with_mattes, "with_motion": motion is not None}
    task = Task("final", lambda emit, stopped: _work(settings, view, extras, blur, emit, stopped))
    task.start()
    pictures = wait(engine, task)
    if pictures is None:
        return
    merged = passes.merge(pictures)
    fill: dict[str, Callable[[], Picture]] = {
        "Combined": lambda: merged.combined,
        "Depth": lambda: merged.depth[..., None],
        "Mist": lambda: mist_pass(depsgraph.scene.world, merged, view),
        "Normal": lambda: passes.normals(merged.depth, view.projection, np.array(view.camera_to_world)),
        "Vector": lambda: motion_pass(pictures, merged, view, motion),
    }
    for name, matte in merged.mattes.items():
        fill[matte_pass(name)] = partial(np.expand_dims, matte, -1)
        engine.add_pass(matte_pass(name), 1, "X", layer=layer.name)
    write_result(engine, layer.name, view.projection, fill)


def camera_view(
    engine: bpy.types.RenderEngine, depsgraph: bpy.types.Depsgraph, fields: tuple[PlacedField, ...]
) -> View:
    """What the scene's camera sees of ``fields`` at the depsgraph's frame, cut to the render border."""
    scene = depsgraph.scene
    camera = engine.camera_override or scene.camera
    if camera is None:
        raise CameraError("The scene has no camera; add one, or make one the active camera")
    aspect = scene.render.pixel_aspect_x, scene.render.pixel_aspect_y
    width, height = engine.resolution_x, engine.resolution_y
    projection = evaluated_projection(camera, depsgraph, width, height, aspect)
    border = render_border(scene.render, width, height)
    if border is not None:
        projection = projection.cut(*border)
    return look(fields, projection, camera.evaluated_get(depsgraph).matrix_world)


def sample_motion(
    engine: bpy.types.RenderEngine, depsgraph: bpy.types.Depsgraph, fields: tuple[PlacedField, ...]
) -> tuple[View, View]:
    """The frame before and the one after, for the motion between; the frame is set back."""
    frame, subframe = depsgraph.scene.frame_current, depsgraph.scene.frame_subframe
    try:
        views = []
        for step in (-1, 1):
            engine.frame_set(frame + step, subframe)
            views.append(camera_view(engine, depsgraph, sample_same_fields(depsgraph, fields)))
        return views[0], views[1]
    finally:
        engine.frame_set(frame, subframe)


def sample_blur(
    engine: bpy.types.RenderEngine, depsgraph: bpy.types.Depsgraph, fields: tuple[PlacedField, ...]
) -> Blur:
    """The camera's lens and what is seen while the shutter is open; the frame is set back.

    Raises:
        CameraError: the camera is focused at itself.
    """
    scene = depsgraph.scene
    lens = lens_entry(engine.camera_override or scene.camera, depsgraph)
    shutter: tuple[View, ...] = ()
    if scene.render.use_motion_blur and scene.render.motion_blur_shutter > 0.0:
        frame, subframe = scene.frame_current, scene.frame_subframe

        def see(time: float) -> View:
            engine.frame_set(math.floor(time), time - math.floor(time))
            return camera_view(engine, depsgraph, sample_same_fields(depsgraph, fields))

        try:
            shutter = shutter_views(shutter_times(scene.render, frame + subframe), see)
        finally:
            engine.frame_set(frame, subframe)
    return Blur(lens, shutter, scene.original.neural_render.render.samples)


def _work(
    settings: ServerSettings,
    view: View,
    extras: dict[str, bool],
    blur: Blur,
    emit: Callable[[Any], None],
    stopped: Callable[[], bool],
) -> list[Layer]:
    client = server_process.connect(settings).client
    source = _sources.get(settings)
    if source is None or source.client.address != client.address:
        _sources.clear()  # other preferences: what was learned of the old server is of no use
        source = _sources[settings] = PictureSource(client)
    source.client = client
    return source.render(
        view,
        "float32",
        stopped,
        lambda fraction: emit(Progress(fraction, None, "Rendering")),
        blur=blur,
        **extras,
    )


def matte_pass(name: str) -> str:
    """The pass of a crop object's matte; Blender takes a full stop as the end of a layer's name."""
    return f"Matte {name}".replace(".", "_")


def wait(engine: bpy.types.RenderEngine, task: Task) -> list[Layer] | None:
    """The worker's layers; None if the user cancelled. Blender stays awake and shows the progress.

    Raises:
        AddonError: the worker failed.
    """
    while True:
        for message in task.messages(TICK):
            if isinstance(message, Progress):
                engine.update_progress(message.fraction)
                engine.update_stats("", f"Neural Render: {message.fraction:.0%}")
            elif isinstance(message, Failed):
                raise AddonError(message.text)
            elif isinstance(message, Finished):
                return list(message.result)
        if engine.test_break():
            task.stop()
            return None
        time.sleep(TICK)


def mist_pass(world: bpy.types.World | None, merged: Merged, view: View) -> Picture:
    if world is None:  # Blender's own defaults
        return passes.mist(merged.combined, merged.depth, view.projection, 5.0, 25.0, "QUADRATIC")
    settings = world.mist_settings
    return passes.mist(
        merged.combined, merged.depth, view.projection, settings.start, settings.depth, settings.falloff
    )


def motion_pass(layers: list[Layer], merged: Merged, view: View, motion: tuple[View, View] | None) -> Picture:
    """Motion of the camera, of the field objects and of what moves within the fields, as the server tells."""
    result = np.zeros((*merged.depth.shape, 4), dtype=np.float32)
    if motion is None:
        return result
    for index, layer in enumerate(layers):
        before, after = (_mover(view, other, index, layer.motion) for other in motion)
        own = passes.vectors(layer.depth, view.projection, before, after)
        result = np.where((merged.nearest == index)[..., None], own, result)
    return result


def _mover(
    view: View, other: View, index: int, velocity: Picture | None
) -> Callable[[FloatArray], FloatArray]:
    """Where points (H, W, 3) in this view's camera axes lie in ``other``'s picture: they go with the field,
    and within it with ``velocity`` (H, W, 3), capture units a second.
    """
    here, there = view.fields[index], other.fields[index]
    to_capture = np.array(here.camera_to_capture)
    from_capture = np.linalg.inv(np.array(there.camera_to_capture))
    moved = 0.0 if velocity is None else velocity * elapsed(here, there)

    def move(points: FloatArray) -> FloatArray:
        in_capture = (points / here.scale) @ to_capture[:3, :3].T + to_capture[:3, 3] + moved
        return other.projection.pixels(
            (in_capture @ from_capture[:3, :3].T + from_capture[:3, 3]) * there.scale
        )

    return move


def elapsed(here: FieldView, there: FieldView) -> float:
    """Seconds of the capture from ``here`` to ``there``; over a loop's end things move on, not back."""
    seconds = there.seconds - here.seconds
    return seconds - here.period * round(seconds / here.period) if here.period else seconds


def write_result(
    engine: bpy.types.RenderEngine,
    layer: str,
    projection: Projection,
    fill: dict[str, Callable[[], npt.NDArray[np.float32]]],
) -> None:
    result = engine.begin_result(0, 0, projection.width, projection.height, layer=layer)
    for render_pass in result.layers[0].passes:
        if render_pass.name in fill:
            picture = np.flipud(fill[render_pass.name]())  # Blender's rows go upwards
            render_pass.rect.foreach_set(np.ascontiguousarray(picture, dtype=np.float32).ravel())
    engine.end_result(result)
