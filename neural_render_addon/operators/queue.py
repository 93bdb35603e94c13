"""The server's queue: watch it, and change the place and the state of its jobs, whoever asked for them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import bpy
from bpy.props import BoolProperty, StringProperty

from ..errors import AddonError
from ..service.jobs import Emit, JobsListed, Message
from ..service.messages import Job
from ..settings.preferences import server_settings
from .task_operator import Stopped, TaskOperator, Work, connect_and_tell, redraw_panels, running_task

if TYPE_CHECKING:
    from ..service.client import Client

# Seconds between two looks at the queue.
INTERVAL = 1.0

# What the server takes (its API, ``priority``).
LOWEST, HIGHEST = -100, 100

# How many finished jobs are listed, the newest.
FINISHED_SHOWN = 10


class NEURALRENDER_OT_queue_watch(TaskOperator, bpy.types.Operator):
    """List the server's jobs, also those of other programs, and follow them until pressed again"""

    bl_idname = "neural_render.queue_watch"
    bl_label = "Watch Queue"
    task_name = "queue"

    once: BoolProperty(
        name="Once",
        description="Read the queue once, as scripts do; the button follows it",
        default=True,
        options={"SKIP_SAVE"},
    )

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        self.once = bpy.app.background or context.window is None
        return super().invoke(context, event)

    def prepare(self, context: bpy.types.Context) -> Work:
        settings = server_settings(context)
        once = self.once

        def work(emit: Emit, stopped: Stopped) -> None:
            client = connect_and_tell(settings, emit).client
            while True:
                emit(JobsListed(client.jobs()))
                if once or stopped():
                    return
                time.sleep(INTERVAL)

        return work

    def receive(self, context: bpy.types.Context, message: Message) -> None:
        if isinstance(message, JobsListed):
            show_jobs(context, message.jobs)


class NEURALRENDER_OT_queue_unwatch(bpy.types.Operator):
    """Follow the queue no longer; its jobs go on"""

    bl_idname = "neural_render.queue_unwatch"
    bl_label = "Stop Watching"

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        return running_task("queue") is not None

    def execute(self, _context: bpy.types.Context) -> set[str]:
        operator = running_task("queue")
        return {"FINISHED"} if operator is not None and operator.stop() else {"CANCELLED"}


class JobChange(TaskOperator):
    """Mixin: one call about a job of the list, and the list anew."""

    task_name = "job"
    job_id: StringProperty(
        name="Job",
        description="The job's id in the server; empty is the list's active job",
        options={"SKIP_SAVE"},
    )

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        return running_task("job") is None

    def change(self, client: Client, job_id: str) -> None:
        raise NotImplementedError

    def prepare(self, context: bpy.types.Context) -> Work:
        settings = server_settings(context)
        job_id = self.job_id or active_job_id(context)

        def work(emit: Emit, stopped: Stopped) -> list[Job]:
            client = connect_and_tell(settings, emit).client
            self.change(client, job_id)
            return client.jobs()

        return work

    def finish(self, context: bpy.types.Context, result: Any) -> None:
        show_jobs(context, result)


class NEURALRENDER_OT_job_sooner(JobChange, bpy.types.Operator):
    """Raise the job's priority by one: of the queued jobs of a kind the one of the highest comes next"""

    bl_idname = "neural_render.job_sooner"
    bl_label = "Raise Priority"

    def change(self, client: Client, job_id: str) -> None:
        client.prioritise(job_id, min(client.job(job_id).priority + 1, HIGHEST))


class NEURALRENDER_OT_job_later(JobChange, bpy.types.Operator):
    """Lower the job's priority by one: of the queued jobs of a kind the one of the highest comes next"""

    bl_idname = "neural_render.job_later"
    bl_label = "Lower Priority"

    def change(self, client: Client, job_id: str) -> None:
        client.prioritise(job_id, max(client.job(job_id).priority - 1, LOWEST))


class NEURALRENDER_OT_job_pause(JobChange, bpy.types.Operator):
    """Hold the job; a running one keeps its place and its memory, and frees the processor"""

    bl_idname = "neural_render.job_pause"
    bl_label = "Pause Job"

    def change(self, client: Client, job_id: str) -> None:
        client.pause(job_id)


class NEURALRENDER_OT_job_resume(JobChange, bpy.types.Operator):
    """Let a paused job go on, or queue a failed or cancelled one again, from what it had finished"""

    bl_idname = "neural_render.job_resume"
    bl_label = "Resume Job"

    def change(self, client: Client, job_id: str) -> None:
        client.resume(job_id)


class NEURALRENDER_OT_job_cancel(JobChange, bpy.types.Operator):
    """End the job; what it has finished is kept, and Resume goes on from there"""

    bl_idname = "neural_render.job_cancel"
    bl_label = "Cancel Job"

    def change(self, client: Client, job_id: str) -> None:
        client.cancel(job_id)


class NEURALRENDER_OT_job_forget(JobChange, bpy.types.Operator):
    """Take a finished job off the list; its files stay"""

    bl_idname = "neural_render.job_forget"
    bl_label = "Forget Job"

    def change(self, client: Client, job_id: str) -> None:
        client.forget(job_id)


def active_job_id(context: bpy.types.Context) -> str:
    """
    Raises:
        AddonError: the list is empty.
    """
    manager = context.window_manager.neural_render
    if not 0 <= manager.active_job < len(manager.jobs):
        raise AddonError("No job is chosen; press Watch Queue and choose one of the list")
    return str(manager.jobs[manager.active_job].name)


def show_jobs(context: bpy.types.Context, jobs: list[Job]) -> None:
    """Write the server's jobs into the panel's list; the active one stays active."""
    manager = context.window_manager.neural_render
    active = manager.jobs[manager.active_job].name if manager.active_job < len(manager.jobs) else ""
    manager.jobs.clear()
    for job in in_order(jobs):
        shown = manager.jobs.add()
        shown.name, shown.kind, shown.state = job.id, job.kind, job.state.upper()
        shown.target = str(job.params.get("out") or job.params.get("scene") or "")
        shown.progress, shown.priority = job.progress, job.priority
        shown.time_left = -1.0 if job.time_left is None else job.time_left
        shown.message = job.error or job.message
    manager.active_job = max(0, manager.jobs.find(active))
    redraw_panels(context)


def in_order(jobs: list[Job]) -> list[Job]:
    """What runs, then what waits in the order of its turn, then what is held, then the newest that ended."""
    ended = [job for job in reversed(jobs) if job.is_final]
    order = ("running", "queued", "paused")
    alive = [job for job in jobs if not job.is_final]
    alive.sort(key=lambda job: (order.index(job.state), -job.priority, job.created))
    return alive + ended[:FINISHED_SHOWN]


CLASSES = (
    NEURALRENDER_OT_queue_watch,
    NEURALRENDER_OT_queue_unwatch,
    NEURALRENDER_OT_job_sooner,
    NEURALRENDER_OT_job_later,
    NEURALRENDER_OT_job_pause,
    NEURALRENDER_OT_job_resume,
    NEURALRENDER_OT_job_cancel,
    NEURALRENDER_OT_job_forget,
)
