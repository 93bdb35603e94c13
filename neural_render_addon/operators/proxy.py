"""Make Proxy Mesh: the field's surfaces as an object, for shadows, holdouts and collisions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from ..field_edit import sample_edit
from ..fields import chosen_field, field_named, field_seconds, file_stem, trained_scene
from ..light.proxy import make_proxy, read_triangles, set_collision, set_role
from ..service.jobs import Emit, JobStarted, follow_job
from ..settings.preferences import server_settings
from .render import frame_range
from .task_operator import Stopped, TaskOperator, Work, connect_and_tell
from .train import JobControl


class NEURALRENDER_OT_make_proxy(TaskOperator, bpy.types.Operator):
    """Make a mesh of the field's surfaces that moves with it: a shadow catcher, a holdout, a collider"""

    bl_idname = "neural_render.make_proxy"
    bl_label = "Make Proxy Mesh"
    bl_options = {"UNDO"}
    task_name = "proxy"

    def steps(self, context: bpy.types.Context) -> Iterator[float]:
        field = chosen_field(context)
        self.scene_path = trained_scene(field)
        self.field_name = field.name
        self.times: list[float] = []
        return self._sample(context, field)

    def _sample(self, context: bpy.types.Context, field: bpy.types.Object) -> Iterator[float]:
        """The moments that the field shows at the frames to look at."""
        scene, settings = context.scene, context.scene.neural_render.proxy
        if settings.moment == "CURRENT":
            self.times = [field_seconds(field, scene)]
            return
        frames = frame_range(context)
        before, subframe = scene.frame_current, scene.frame_subframe
        chosen = sorted({round(f) for f in np.linspace(frames[0], frames[-1], settings.samples)})
        try:
            for count, frame in enumerate(chosen, start=1):
                scene.frame_set(frame)
                self.times.append(field_seconds(field, scene))
                yield count / len(chosen)
        finally:
            scene.frame_set(before, subframe=subframe)

    def prepare(self, context: bpy.types.Context) -> Work:
        field = field_named(self.field_name)
        settings, depsgraph = context.scene.neural_render.proxy, context.evaluated_depsgraph_get()
        edit = sample_edit(field.evaluated_get(depsgraph), context.scene, depsgraph)
        self.file = Path(bpy.app.tempdir) / f"{file_stem(self.field_name)}_proxy.ply"
        params: dict[str, Any] = {
            "scene": self.scene_path,
            "out": str(self.file),
            "times": sorted(set(self.times)),
            "combine": "always" if settings.moment == "ALWAYS" else "any",
            "resolution": settings.resolution,
        }
        if edit.crop:
            params["crop"] = edit.entry()["crop"]
        server = server_settings(context)

        def work(emit: Emit, stopped: Stopped) -> Any:
            client = connect_and_tell(server, emit).client
            job = client.submit("mesh", params)
            emit(JobStarted(job.id))
            result = follow_job(client, job.id, emit, stopped).result or {}
            return read_triangles(Path(result["mesh"]))

        return work

    def finish(self, context: bpy.types.Context, result: Any) -> None:
        field = field_named(self.field_name)
        settings = context.scene.neural_render.proxy
        vertices, faces = result
        obj = make_proxy(context, field, vertices, faces, settings.faces)
        set_role(obj, settings.role)
        set_collision(context, obj, settings.use_collision)
        self.file.unlink(missing_ok=True)
        self.report({"INFO"}, f"{obj.name} has {len(obj.data.polygons)} faces")


class NEURALRENDER_OT_proxy_cancel(JobControl, bpy.types.Operator):
    """Cancel the proxy mesh"""

    bl_idname = "neural_render.proxy_cancel"
    bl_label = "Cancel Proxy Mesh"
    task_name, watched, call = "proxy_cancel", "proxy", "cancel"


CLASSES = (NEURALRENDER_OT_make_proxy, NEURALRENDER_OT_proxy_cancel)
