"""Renders a capture plan's views one by one, with the artist's settings put back after each."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from ..cameras.camera import evaluated_projection, render_size, to_capture
from ..cameras.projections import FloatArray, Projection
from ..errors import AddonError, CameraError, JobCancelled
from ..timing import scene_fps
from . import object_masks
from .pictures import png_size
from .plan import DEPTH, IMAGES, MASKS, CapturePlan
from .rendered import RenderedLog, look_of
from .temporary_settings import Changes, image_format, only_camera, standard_view, temporarily


@dataclass(frozen=True, eq=False)
class RenderedView:
    """One picture of a capture, whose files exist. ``camera_to_world`` (4, 4) and depths in scene units.

    ``time`` is in seconds from the first frame; ``near_far`` are the depths between which the scene's
    objects lie.
    """

    camera: str
    stem: str
    frame: int
    time: float
    projection: Projection
    camera_to_world: FloatArray
    near_far: tuple[float, float]
    image: Path
    depth: Path | None
    mask: Path | None


def render_views(plan: CapturePlan) -> Iterator[RenderedView]:
    """Render every camera at every frame, frame by frame, yielding each view when its files are written.

    Files are whole or not there. The frame is put back in the end, also if the iteration is given up; all
    other settings after each view, so that Blender can be worked in between.

    Raises:
        AddonError: a camera is gone, or a picture cannot be rendered or written.
        JobCancelled: Blender's own render was cancelled.
    """
    scene = _scene(plan)
    before, subframe = scene.frame_current, scene.frame_subframe
    try:
        log = RenderedLog(plan.folder)
        for frame in plan.frames:
            _scene(plan).frame_set(frame)
            for name, stem in zip(plan.cameras, plan.stems, strict=True):
                yield _render_view(plan, name, stem, frame, log)
    except OSError as error:
        raise AddonError(
            f"{error.filename or plan.folder}: cannot be written ({error.strerror}); "
            "free some space or choose another folder"
        ) from error
    finally:
        left = bpy.data.scenes.get(plan.scene)
        if left is not None:
            left.frame_set(before, subframe=subframe)


def _scene(plan: CapturePlan) -> bpy.types.Scene:
    scene = bpy.data.scenes.get(plan.scene)
    if scene is None or plan.view_layer not in scene.view_layers:
        raise AddonError(f"The scene {plan.scene!r} or its view layer is gone; the capture ends here")
    return scene


def _render_view(plan: CapturePlan, name: str, stem: str, frame: int, log: RenderedLog) -> RenderedView:
    scene = _scene(plan)
    camera = scene.objects.get(name)
    if camera is None:
        raise CameraError(f"Camera {name!r} is gone; the pictures so far are kept in {plan.folder}")
    view_layer = scene.view_layers[plan.view_layer]
    if scene.frame_current != frame:  # the artist moved on the timeline while Blender stayed awake
        scene.frame_set(frame)
    view_layer.update()
    depsgraph = view_layer.depsgraph
    width, height = render_size(scene.render)
    aspect = (scene.render.pixel_aspect_x, scene.render.pixel_aspect_y)
    camera_to_world = to_capture(camera.evaluated_get(depsgraph).matrix_world, np.eye(4), "")
    view = RenderedView(
        camera=name,
        stem=stem,
        frame=frame,
        time=(frame - plan.frames[0]) / scene_fps(scene.render.fps, scene.render.fps_base),
        projection=evaluated_projection(camera, depsgraph, width, height, aspect),
        camera_to_world=camera_to_world,
        near_far=near_far(scene, depsgraph, camera, camera_to_world),
        image=plan.file(IMAGES, stem, frame),
        depth=plan.file(DEPTH, stem, frame) if plan.use_depth else None,
        mask=plan.file(MASKS, stem, frame) if plan.masked is not None else None,
    )
    look = look_of(plan, scene, depsgraph, view)

    def is_kept(file: Path) -> bool:
        is_whole = png_size(file) == (width, height)
        return plan.keep_frames and is_whole and not log.is_outdated(file, look)

    with only_camera(scene, camera):
        if not is_kept(view.image) or not (view.depth is None or view.depth.is_file()):
            _render_picture(plan, scene, view_layer, view)
            log.note(view.image, look)
        if view.mask is not None and not is_kept(view.mask):
            object_masks.render_mask(
                scene, view_layer, plan.masked or frozenset(), view.mask, plan.is_mask_ignored
            )
            log.note(view.mask, look)
    return view


def _render_picture(
    plan: CapturePlan, scene: bpy.types.Scene, view_layer: bpy.types.ViewLayer, view: RenderedView
) -> None:
    changes: list[tuple[Any, dict[str, Any]]] = [*plain_render(scene), *view_changes(plan, scene)]
    changes.append((scene.render, {"film_transparent": plan.use_alpha}))
    if plan.use_depth:
        changes.append((view_layer, {"use_pass_z": True}))
    with temporarily(changes):
        result = render_result(scene, view_layer)
        with image_format(scene, "PNG", "RGBA" if plan.use_alpha else "RGB"):
            save(result, scene, view.image)
        if view.depth is not None:
            with image_format(scene, "OPEN_EXR_MULTILAYER", "RGBA", "32"):
                save(result, scene, view.depth)


def plain_render(scene: bpy.types.Scene) -> Changes:
    """Changes that leave nothing (compositing, border, stamp) between the engine's picture and the file."""
    off = ("use_compositing", "use_sequencer", "use_border", "use_stamp", "use_multiview")
    return [(scene.render, {**dict.fromkeys(off, False), "dither_intensity": 0.0})]


def view_changes(plan: CapturePlan, scene: bpy.types.Scene) -> Changes:
    """Changes for the colours that the plan asks for."""
    return standard_view(scene) if plan.use_standard_view else []


def render_result(scene: bpy.types.Scene, view_layer: bpy.types.ViewLayer) -> bpy.types.Image:
    """The picture through the scene's camera at its current frame.

    Raises:
        AddonError: the engine failed.
        JobCancelled: it was cancelled (Esc).
    """
    try:
        outcome = bpy.ops.render.render(layer=view_layer.name, scene=scene.name)
    except RuntimeError as error:
        raise AddonError(f"Frame {scene.frame_current} was not rendered: {error}") from error
    if outcome != {"FINISHED"}:
        raise JobCancelled("The render was cancelled; finished pictures are kept")
    return bpy.data.images["Render Result"]


def save(result: bpy.types.Image, scene: bpy.types.Scene, path: Path) -> None:
    """Save a render with the scene's format and view, whole or not at all. Raises OSError or AddonError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"part.tmp{path.suffix}")
    try:
        result.save_render(str(part), scene=scene)
        part.replace(path)
    except RuntimeError as error:
        raise AddonError(
            f"{path}: cannot be written ({error}); free some space or choose another folder"
        ) from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def near_far(
    scene: bpy.types.Scene,
    depsgraph: bpy.types.Depsgraph,
    camera: bpy.types.Object,
    camera_to_world: FloatArray,
) -> tuple[float, float]:
    """Planar depths between which the rendered objects' boxes lie, within the camera's clip range."""
    corners = [
        np.array(obj.matrix_world) @ np.vstack([np.array(obj.bound_box).T, np.ones(8)])
        for obj in (candidate.evaluated_get(depsgraph) for candidate in scene.objects)
        if obj.type in {"MESH", "CURVE", "SURFACE", "META", "FONT", "VOLUME", "CURVES"}
        and not obj.hide_render
    ]
    start, end = float(camera.data.clip_start), float(camera.data.clip_end)
    if not corners:
        return start, end
    depth = -(np.linalg.inv(camera_to_world) @ np.hstack(corners))[2]
    near = min(max(float(depth.min()), start), end)
    return near, min(max(float(depth.max()), near * 1.001), max(end, near * 1.001))
