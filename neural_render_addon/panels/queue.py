"""The Queue panel below the Server panel: every job of the server, and what can be done with it."""

from __future__ import annotations

from pathlib import PurePath

import bpy

from ..settings.queue import QueuedJob
from .work import NeuralRenderPanel, draw_sentence, draw_task, find_task

ICONS = {
    "RUNNING": "PLAY",
    "QUEUED": "SORTTIME",
    "PAUSED": "PAUSE",
    "DONE": "CHECKMARK",
    "FAILED": "ERROR",
    "CANCELLED": "X",
}
ENDED = ("DONE", "FAILED", "CANCELLED")


class NEURALRENDER_UL_jobs(bpy.types.UIList):
    """The server's jobs"""

    bl_idname = "NEURALRENDER_UL_jobs"

    def draw_item(
        self,
        _context: bpy.types.Context,
        layout: bpy.types.UILayout,
        _data: bpy.types.PropertyGroup,
        item: QueuedJob,
        _icon: int,
        _active_data: bpy.types.PropertyGroup,
        _active_property: str,
    ) -> None:
        row = layout.row(align=True)
        row.label(text=f"{item.kind.capitalize()} {PurePath(item.target).name}", icon=ICONS[item.state])
        side = row.row()
        side.alignment = "RIGHT"
        if item.state in ("RUNNING", "PAUSED"):
            side.progress(factor=item.progress, text=f"{item.progress:.0%}")
        elif item.state == "QUEUED":
            side.label(text=f"{item.priority:+d}" if item.priority else "")


class NEURALRENDER_PT_queue(NeuralRenderPanel, bpy.types.Panel):
    """The server's jobs in the order of their turn, also those of other programs"""

    bl_label = "Queue"
    bl_parent_id = "NEURALRENDER_PT_server"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        manager = context.window_manager.neural_render
        task = find_task(context, "queue")
        if task is not None and task.is_running:
            layout.operator("neural_render.queue_unwatch", icon="PAUSE")
        else:
            layout.operator("neural_render.queue_watch", icon="HIDE_OFF")
        row = layout.row()
        row.template_list("NEURALRENDER_UL_jobs", "", manager, "jobs", manager, "active_job", rows=5)
        if 0 <= manager.active_job < len(manager.jobs):
            job = manager.jobs[manager.active_job]
            draw_buttons(row.column(align=True), job)
            if job.message:
                draw_sentence(layout, job.message, context, "ERROR" if job.state == "FAILED" else "INFO")
        draw_task(layout, context, "job")
        if task is not None and not task.is_running:
            draw_task(layout, context, "queue")


def draw_buttons(column: bpy.types.UILayout, job: QueuedJob) -> None:
    """What can be done with a job, beside the list; what cannot is grey."""
    ended = job.state in ENDED
    holds = job.state in ("PAUSED", "FAILED", "CANCELLED")
    hold = ("job_resume", "PLAY") if holds else ("job_pause", "PAUSE")
    end = ("job_forget", "TRASH") if ended else ("job_cancel", "CANCEL")
    for (name, icon), enabled in (
        (("job_sooner", "TRIA_UP"), not ended),
        (("job_later", "TRIA_DOWN"), not ended),
        (hold, job.state != "DONE"),
        (end, True),
    ):
        row = column.row(align=True)
        row.enabled = enabled
        row.operator(f"neural_render.{name}", text="", icon=icon).job_id = job.name


CLASSES = (NEURALRENDER_UL_jobs, NEURALRENDER_PT_queue)
