"""Render Frames along the scene camera's animation."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bpy

from ..cameras.rigs import RigSampling
from ..composite.cg_depth import SplitDepths
from ..errors import AddonError
from ..field_edit import crop_objects
from ..fields import chosen_field, field_named, file_stem, output_folder, trained_scene
from ..service.jobs import Emit, FrameDone, JobStarted, Message, follow_job
from ..service.messages import CacheUse
from ..settings.preferences import preferences, server_settings
from .task_operator import Stopped, TaskOperator, Work, connect_and_tell
from .train import JobControl


class NEURALRENDER_OT_render_frames(TaskOperator, bpy.types.Operator):
    """Render the field along the scene camera's animation to OpenEXR frames with alpha and depth"""

    bl_idname = "neural_render.render_frames"
    bl_label = "Render Frames"
    bl_options = {"UNDO"}
    task_name = "render"

    def steps(self, context: bpy.types.Context) -> Iterator[float]:
        field = chosen_field(context)
        trained_scene(field)
        self.field_name = field.name
        self.prefix = f"{file_stem(field.name)}_"
        self.frames = frame_range(context)
        self.done: list[int] = []
        self.rig = RigSampling(self.frames, (), field, self.prefix, with_look=True)
        if context.scene.neural_render.render.use_depth_layers:
            self.rig.more = SplitDepths(context.scene, self.frames, field).entry
        return self.rig.steps(context)

    def prepare(self, context: bpy.types.Context) -> Work:
        settings = context.scene.neural_render.render
        field = field_named(self.field_name)
        self.folder = output_folder(settings.folder, "frames", file_stem(field.name))
        params: dict[str, Any] = {
            "scene": trained_scene(field),
            "cameras": self.rig.camera_file(context.scene),
            "out": str(self.folder),
            "format": "exr",
            "passes": wanted_passes(context.scene, field),
            "background": settings.background,
            "overwrite": not settings.keep_frames,
            "samples": settings.samples,
            "cache_gigabytes": preferences(context).cache_gigabytes,
        }
        server = server_settings(context)

        def work(emit: Emit, stopped: Stopped) -> dict[str, Any]:
            client = connect_and_tell(server, emit).client
            job = client.submit("render", params)
            emit(JobStarted(job.id))
            return dict(follow_job(client, job.id, emit, stopped).result or {})

        return work

    def receive(self, _context: bpy.types.Context, message: Message) -> None:
        if isinstance(message, FrameDone):
            self.done.append(int(Path(message.path).stem.removeprefix(self.prefix)))

    def finish(self, context: bpy.types.Context, result: dict[str, Any]) -> None:
        self.done = list(self.frames)
        self._remember()
        self.report({"INFO"}, f"{counted(result)}, in {self.folder}")

    def finish_early(self, _context: bpy.types.Context) -> None:
        self._remember()

    def _remember(self) -> None:
        """Tell the field object, and through it the compositor, which frames there are."""
        field = bpy.data.objects.get(getattr(self, "field_name", ""))
        if field is None or not getattr(self, "done", None):
            return
        properties = field.neural_render
        properties.render_folder = str(self.folder)
        properties.render_prefix = self.prefix
        properties.render_start, properties.render_end = min(self.done), max(self.done)


def counted(result: dict[str, Any]) -> str:
    """A render job's frames in words: ``12 frames rendered, 36 from the cache``."""
    words = [f"{result['rendered']} frames rendered"]
    if result["cached"]:
        words.append(f"{result['cached']} from the cache")
    if result["kept"]:
        words.append(f"{result['kept']} kept")
    return ", ".join(words)


class NEURALRENDER_OT_clear_cache(TaskOperator, bpy.types.Operator):
    """Remove the finished frames that the server keeps to take them again; those in your folders stay"""

    bl_idname = "neural_render.clear_cache"
    bl_label = "Clear Cache"
    task_name = "cache"

    def prepare(self, context: bpy.types.Context) -> Work:
        server = server_settings(context)
        return lambda emit, stopped: connect_and_tell(server, emit).client.clear_cache()

    def finish(self, _context: bpy.types.Context, cleared: CacheUse) -> None:
        self.report(
            {"INFO"}, f"{cleared.frames} frames removed from the cache ({cleared.bytes / 1e6:.1f} MB)"
        )


class NEURALRENDER_OT_render_cancel(JobControl, bpy.types.Operator):
    """Cancel the rendering; finished frames are kept"""

    bl_idname = "neural_render.render_cancel"
    bl_label = "Cancel Rendering"
    task_name, watched, call = "render_cancel", "render", "cancel"


def wanted_passes(scene: bpy.types.Scene, field: bpy.types.Object) -> list[str]:
    """The passes to render; layers need the depth too, for where shadows fall on them."""
    settings = scene.neural_render.render
    passes = ["combined"]
    if settings.use_mattes and any(item.role != "REMOVE" for item in crop_objects(field, scene)):
        passes.append("mattes")
    if settings.use_depth or settings.use_depth_layers:
        passes.append("depth")
    return [*passes, "front", "behind"] if settings.use_depth_layers else passes


def frame_range(context: bpy.types.Context) -> range:
    """The scene frames to render.

    Raises:
        AddonError: the range is empty or has negative frames, which no file name can carry.
    """
    settings, scene = context.scene.neural_render.render, context.scene
    first, last = settings.frame_start, settings.frame_end
    if settings.use_scene_range:
        first, last = scene.frame_start, scene.frame_end
    if last < first:
        raise AddonError(f"The frame range {first} to {last} is empty; make the end at least the start")
    if first < 0:
        raise AddonError(f"The frame range starts at {first}; image sequences need frames from 0 on")
    return range(first, last + 1, settings.frame_step)


CLASSES = (NEURALRENDER_OT_render_frames, NEURALRENDER_OT_clear_cache, NEURALRENDER_OT_render_cancel)
