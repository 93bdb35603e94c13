"""Train Scene, and cancel, pause and resume it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy

from ..errors import AddonError
from ..fields import chosen_field, describe_scene, file_stem, output_folder
from ..preview import IMAGE_NAME, preview_path
from ..service.jobs import Emit, JobStarted, continue_training, follow_job
from ..settings.preferences import server_settings
from .task_operator import Stopped, TaskOperator, Work, connect_and_tell, state


class TrainingOperator(TaskOperator):
    """Mixin: submit a training of the chosen field and follow it to its end."""

    task_name = "train"
    resume = False

    def prepare(self, context: bpy.types.Context) -> Work:
        field = chosen_field(context)
        # A name, not the object: undo replaces objects while a training runs.
        self.field_name = field.name
        params = train_params(context, field, self.resume)
        self.scene_path = params["scene"]
        settings = server_settings(context)
        preview = preview_path()
        resume = self.resume

        def work(emit: Emit, stopped: Stopped) -> dict[str, Any]:
            client = connect_and_tell(settings, emit).client
            # After a crash or a restart the server goes on by itself: watch that, do not train it twice.
            job = continue_training(client, params["scene"]) if resume else None
            job = job or client.submit("train", params)
            emit(JobStarted(job.id))
            result = dict(follow_job(client, job.id, emit, stopped, preview).result or {})
            return {**result, "info": client.inspect_scene(result["scene"])}

        return work

    def finish(self, context: bpy.types.Context, result: dict[str, Any]) -> None:
        field = bpy.data.objects.get(self.field_name)
        if field is None:
            raise AddonError(
                f"The field object {self.field_name!r} is gone; Open Trained Scene finds {result['scene']}"
            )
        describe_scene(field, result["info"])
        psnr = (result.get("metrics") or {}).get("psnr")
        measured = f", {psnr:.1f} dB" if isinstance(psnr, float) else ""
        self.report({"INFO"}, f"{self.field_name} is trained{measured}: {result['scene']}")

    def finish_early(self, _context: bpy.types.Context) -> None:
        field = bpy.data.objects.get(getattr(self, "field_name", ""))
        scene_path = Path(getattr(self, "scene_path", ""))
        if field is not None and (scene_path / "scene.json").is_file():
            field.neural_render.scene_path = str(scene_path)  # the checkpoint renders, and resumes


class NEURALRENDER_OT_train(TrainingOperator, bpy.types.Operator):
    """Train a radiance field of the chosen capture on the server"""

    bl_idname = "neural_render.train"
    bl_label = "Train Scene"
    bl_options = {"UNDO"}


class NEURALRENDER_OT_train_resume(TrainingOperator, bpy.types.Operator):
    """Go on with a paused training, or with one that was cancelled or cut off, from its last checkpoint"""

    bl_idname = "neural_render.train_resume"
    bl_label = "Resume"
    bl_options = {"UNDO"}
    resume = True

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        if state(context, "train").is_paused:
            return set(bpy.ops.neural_render.train_continue("INVOKE_DEFAULT"))
        return super().invoke(context, event)


class JobControl(TaskOperator):
    """Mixin: one call about the job that another operator follows."""

    watched: str
    call: str

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        task = context.window_manager.neural_render.tasks.get(cls.watched)
        return task is not None and task.is_running and bool(task.job_id)

    def prepare(self, context: bpy.types.Context) -> Work:
        settings = server_settings(context)
        job_id = state(context, self.watched).job_id

        def work(emit: Emit, stopped: Stopped) -> None:
            getattr(connect_and_tell(settings, emit).client, self.call)(job_id)

        return work


class NEURALRENDER_OT_train_cancel(JobControl, bpy.types.Operator):
    """Cancel the training; a checkpoint is kept, from which Resume goes on"""

    bl_idname = "neural_render.train_cancel"
    bl_label = "Cancel Training"
    task_name, watched, call = "train_cancel", "train", "cancel"


class NEURALRENDER_OT_train_pause(JobControl, bpy.types.Operator):
    """Pause the training, which frees the processor; Resume goes on"""

    bl_idname = "neural_render.train_pause"
    bl_label = "Pause"
    task_name, watched, call = "train_pause", "train", "pause"


class NEURALRENDER_OT_train_continue(JobControl, bpy.types.Operator):
    """Go on with the paused training"""

    bl_idname = "neural_render.train_continue"
    bl_label = "Resume"
    task_name, watched, call = "train_continue", "train", "resume"


class NEURALRENDER_OT_show_preview(bpy.types.Operator):
    """Show the live preview in an Image editor; without one, the largest editor is split for it"""

    bl_idname = "neural_render.show_preview"
    bl_label = "Show Preview"

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        return bpy.data.images.get(IMAGE_NAME) is not None

    def execute(self, context: bpy.types.Context) -> set[str]:
        image = bpy.data.images.get(IMAGE_NAME)
        if image is None or context.window is None:
            self.report({"ERROR"}, "There is no preview to show yet; start Train Scene and try again")
            return {"CANCELLED"}
        screen = context.window.screen
        editor = next((area for area in screen.areas if area.type == "IMAGE_EDITOR"), None)
        if editor is None:
            editor = self._split(context)
        editor.spaces.active.image = image
        return {"FINISHED"}

    @staticmethod
    def _split(context: bpy.types.Context) -> bpy.types.Area:
        screen = context.window.screen
        before = set(screen.areas)
        largest = max(screen.areas, key=lambda area: area.width * area.height)
        with context.temp_override(area=largest):
            if bpy.ops.screen.area_split.poll():
                bpy.ops.screen.area_split(direction="VERTICAL", factor=0.35)
                area = next(iter(set(screen.areas) - before))
            else:  # a maximised editor cannot be split
                bpy.ops.wm.window_new()
                area = context.window_manager.windows[-1].screen.areas[0]
        area.type = "IMAGE_EDITOR"
        return area


def scene_folder(context: bpy.types.Context, field: bpy.types.Object, resume: bool) -> Path:
    """Where the training of a field is written, or was written when it is resumed."""
    if resume and field.neural_render.scene_path:
        return Path(bpy.path.abspath(field.neural_render.scene_path))
    return output_folder(context.scene.neural_render.train.folder, f"{file_stem(field.name)}.scene")


def train_params(context: bpy.types.Context, field: bpy.types.Object, resume: bool) -> dict[str, Any]:
    """The parameters of a ``train`` job from the scene's settings.

    Raises:
        AddonError: the field has no capture, or the output folder is unknown.
    """
    settings = context.scene.neural_render.train
    if not field.neural_render.capture_path:
        raise AddonError(f"{field.name!r} has no capture; set its path in the Capture panel")
    params: dict[str, Any] = {
        "capture": bpy.path.abspath(field.neural_render.capture_path),
        "scene": str(scene_folder(context, field, resume)),
        "method": settings.method,
        "preset": settings.preset,
        "seed": settings.seed,
        "downscale": settings.downscale,
        "device": settings.device,
        "resume": resume,
        "overwrite": settings.overwrite and not resume,
    }
    if settings.budget == "MINUTES":
        params["minutes"] = settings.minutes
    else:
        params["steps"] = settings.steps
    names = [name.strip() for name in settings.test_cameras.split(",") if name.strip()]
    if names:
        params["test_cameras"] = names
    if settings.every_nth_test:
        params["every_nth_test"] = settings.every_nth_test
    if settings.transfer != "AUTO":
        params["transfer"] = settings.transfer.lower()
    params["match_colors"] = settings.match_colors
    if settings.match_colors and settings.color_reference.strip():
        params["color_reference"] = settings.color_reference.strip()
    if settings.use_timesteps:
        if settings.timestep_end <= settings.timestep_first:
            raise AddonError("Limit Timesteps is empty; make the end timestep larger than the first")
        params["timesteps"] = [settings.timestep_first, settings.timestep_end]
    return params


CLASSES = (
    NEURALRENDER_OT_train,
    NEURALRENDER_OT_train_resume,
    NEURALRENDER_OT_train_cancel,
    NEURALRENDER_OT_train_pause,
    NEURALRENDER_OT_train_continue,
    NEURALRENDER_OT_show_preview,
)
