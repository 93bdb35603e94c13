"""Render Light Probe: the field's light at an object's place becomes the scene's world, or a dome."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bpy

from ..errors import AddonError
from ..fields import chosen_field, field_named, file_stem, output_folder, trained_scene
from ..light import probe
from ..service.jobs import Emit, JobStarted, follow_job
from ..settings.preferences import server_settings
from .field_operator import FieldOperator
from .render import frame_range
from .task_operator import Stopped, TaskOperator, Work, connect_and_tell
from .train import JobControl


class NEURALRENDER_OT_light_probe(TaskOperator, bpy.types.Operator):
    """Light CG by the field: render all that is around the probe's place, and set it as world or dome"""

    bl_idname = "neural_render.light_probe"
    bl_label = "Light CG by Field"
    bl_options = {"UNDO"}
    task_name = "probe"

    def steps(self, context: bpy.types.Context) -> Iterator[float]:
        scene = context.scene
        settings, field = scene.neural_render.probe, chosen_field(context)
        trained_scene(field)
        place = settings.place or context.view_layer.objects.active or field
        # An object deleted by the artist stays alive while the setting holds it.
        if place.name not in scene.objects:
            raise AddonError(
                f"{place.name!r} is not in this scene any more; choose another place for the probe"
            )
        self.field_name, self.place_name = field.name, place.name
        frames = frame_range(context) if settings.is_animated else [scene.frame_current]
        # every frame: a sequence has no gaps, whatever Render Frames skips
        self.frames = range(frames[0], frames[-1] + 1)
        self.entries: list[dict[str, Any]] = []
        return self._sample(context, place, field)

    def _sample(
        self, context: bpy.types.Context, place: bpy.types.Object, field: bpy.types.Object
    ) -> Iterator[float]:
        scene, width = context.scene, context.scene.neural_render.probe.width
        before, subframe = scene.frame_current, scene.frame_subframe
        prefix = f"{file_stem(field.name)}_{file_stem(place.name)}_"
        try:
            for frame in self.frames:
                if len(self.frames) > 1:
                    scene.frame_set(frame)
                entry = probe.probe_entry(context, place, field, width)
                self.entries.append({**entry, "name": f"{prefix}{frame:04d}"})
                yield len(self.entries) / len(self.frames)
        finally:
            if len(self.frames) > 1:
                scene.frame_set(before, subframe=subframe)

    def prepare(self, context: bpy.types.Context) -> Work:
        settings = context.scene.neural_render.probe
        field = field_named(self.field_name)
        params: dict[str, Any] = {
            "scene": trained_scene(field),
            "cameras": {"frames": self.entries},
            "out": str(output_folder(settings.folder, "light", file_stem(field.name))),
            "passes": ["combined"],
            "background": settings.background,
            "environment": environment_params(settings),
        }
        server = server_settings(context)

        def work(emit: Emit, stopped: Stopped) -> Any:
            client = connect_and_tell(server, emit).client
            job = client.submit("render", params)
            emit(JobStarted(job.id))
            return (follow_job(client, job.id, emit, stopped).result or {})["frames"]

        return work

    def finish(self, context: bpy.types.Context, result: Any) -> None:
        scene, settings = context.scene, context.scene.neural_render.probe
        place = bpy.data.objects.get(self.place_name)
        if place is None:
            raise AddonError(f"The object {self.place_name!r} is gone; choose another place for the probe")
        files = [Path(path) for path in result]
        image = probe.load_pictures(files, self.frames[0])
        if settings.target == "WORLD":
            probe.set_world(scene, image, len(files))
        else:
            probe.set_dome(scene, image, len(files), place, settings.radius)
        self.report(
            {"INFO"}, f"{len(files)} pictures of the light at {place.name!r} are in {files[0].parent}"
        )


class NEURALRENDER_OT_light_probe_cancel(JobControl, bpy.types.Operator):
    """Cancel the light probe"""

    bl_idname = "neural_render.light_probe_cancel"
    bl_label = "Cancel Light Probe"
    task_name, watched, call = "light_probe_cancel", "probe", "cancel"


class NEURALRENDER_OT_remove_light_probe(FieldOperator, bpy.types.Operator):
    """Take the field's light away; the scene gets its own world back, the pictures on disk stay"""

    bl_idname = "neural_render.remove_light_probe"
    bl_label = "Remove Field Light"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return probe.is_set_up(context.scene)

    def work(self, context: bpy.types.Context) -> tuple[str, ...]:
        probe.remove_world(context.scene)
        probe.remove_dome(context.scene)
        return ()


def environment_params(settings: bpy.types.PropertyGroup) -> dict[str, Any]:
    """The render job's ``environment``."""
    return {"fill": settings.fill.lower(), "white": settings.white if settings.use_expansion else None}


CLASSES = (
    NEURALRENDER_OT_light_probe,
    NEURALRENDER_OT_light_probe_cancel,
    NEURALRENDER_OT_remove_light_probe,
)
