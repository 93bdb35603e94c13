"""What all long-running operators share: blocking ``execute`` for scripts, modal ``invoke`` for people.

Both run the same steps and drain the same queue. The modal one never holds Blender longer than a
frame of the screen.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, ClassVar

import bpy

from ..errors import AddonError, JobCancelled
from ..preview import show_preview
from ..service.jobs import (
    Connected,
    Emit,
    Failed,
    Finished,
    FrameDone,
    JobStarted,
    Message,
    MethodsListed,
    Metrics,
    Note,
    PreviewReady,
    Progress,
    StateChanged,
    Task,
)
from ..service.server_process import Connection, ServerSettings, connect
from ..settings import method_choices
from ..settings.properties import TaskState, WindowManagerProperties

Stopped = Callable[[], bool]
Work = Callable[[Emit, Stopped], Any]

# Seconds between two looks at the queue, and the longest one look may take.
TICK = 0.1
BUDGET = 0.008

# How long unregistering waits for a worker; it is a daemon thread, so Blender's exit never waits.
STOP_TIMEOUT = 5.0

_running: dict[str, TaskOperator] = {}


class TaskOperator:
    """Mixin for operators whose work is done by a worker thread."""

    task_name: ClassVar[str]
    _task: Task | None = None
    _timer: bpy.types.Timer | None = None

    if TYPE_CHECKING:  # of bpy.types.Operator
        bl_idname: str
        bl_label: str
        options: Any

        def report(self, kinds: set[str], message: str) -> None: ...

    # -- what an operator says ----------------------------------------------------------------------

    def steps(self, context: bpy.types.Context) -> Iterator[float]:
        """Work that needs ``bpy``, in small steps before the worker starts; yields the part done."""
        return iter(())

    def prepare(self, context: bpy.types.Context) -> Work:
        """Check everything and return the worker's function, which must not touch ``bpy``.

        Raises:
            AddonError: it cannot be done; the message goes to the user.
        """
        raise NotImplementedError

    def receive(self, context: bpy.types.Context, message: Message) -> None:
        """Look at a message as it comes, in Blender's own thread."""

    def finish(self, context: bpy.types.Context, result: Any) -> None:
        """Take up the worker's result, in Blender's own thread. May raise AddonError."""

    def finish_early(self, context: bpy.types.Context) -> None:
        """Take up what there is after a failure or a cancel."""

    # -- blocking -----------------------------------------------------------------------------------

    def execute(self, context: bpy.types.Context) -> set[str]:
        try:
            self._claim(context)
        except AddonError as error:
            return self._refuse(error)
        try:
            for _ in self.steps(context):
                pass
            self._task = Task(self.task_name, self.prepare(context))
            self._task.start()
            for message in self._task.wait_for_messages():
                outcome = self._take(context, message)
                if outcome is not None:
                    return outcome
        except AddonError as error:
            return self._end(context, _failed(error))
        finally:
            self._release(context)
        return {"CANCELLED"}

    # -- modal --------------------------------------------------------------------------------------

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        if bpy.app.background or context.window is None:
            return self.execute(context)
        try:
            self._claim(context)
        except AddonError as error:
            return self._refuse(error)
        try:
            self._steps = self.steps(context)
        except AddonError as error:
            outcome = self._end(context, _failed(error))
            self._release(context)
            return outcome
        self._timer = context.window_manager.event_timer_add(TICK, window=context.window)
        context.window_manager.modal_handler_add(self)
        return {"RUNNING_MODAL"}

    def modal(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        if event.type != "TIMER":
            return {"PASS_THROUGH"}
        try:
            outcome = self._tick(context)
        except AddonError as error:
            outcome = self._end(context, _failed(error))
        if outcome is None:
            return {"PASS_THROUGH"}
        self._release(context)
        return outcome

    def cancel(self, context: bpy.types.Context) -> None:
        """Blender ends a modal operator when another file is opened; the job goes on in the server."""
        self.abandon(context)

    def stop(self) -> bool:
        """Ask the worker to end; False where none runs. The operator then ends as cancelled."""
        if self._task is None:
            return False
        self._task.stop()
        return True

    def abandon(self, context: bpy.types.Context) -> None:
        self.stop()
        self._release(context)

    def _tick(self, context: bpy.types.Context) -> set[str] | None:
        if self._task is None:
            end = time.perf_counter() + BUDGET
            for part in self._steps:
                state(context, self.task_name).progress = part
                if time.perf_counter() > end:
                    redraw_panels(context)
                    return None
            self._task = Task(self.task_name, self.prepare(context))
            self._task.start()
            return None
        for message in self._task.messages(BUDGET):
            outcome = self._take(context, message)
            if outcome is not None:
                return outcome
        return None

    # -- both ---------------------------------------------------------------------------------------

    def _claim(self, context: bpy.types.Context) -> None:
        if self.task_name in _running:
            raise AddonError(f"{self.bl_label} is running already; wait for it, or cancel it first")
        _running[self.task_name] = self
        shown = state(context, self.task_name)
        for name in ("progress", "time_left", "text", "error", "psnr", "step", "job_id", "frames_done"):
            shown.property_unset(name)
        shown.is_running, shown.is_paused = True, False

    def _release(self, context: bpy.types.Context) -> None:
        if _running.get(self.task_name) is not self:
            return  # never started: the file browser was closed
        del _running[self.task_name]
        if self._timer is not None:
            context.window_manager.event_timer_remove(self._timer)
            self._timer = None
        shown = state(context, self.task_name)
        shown.is_running = shown.is_paused = False
        redraw_panels(context)

    def _refuse(self, error: AddonError) -> set[str]:
        self.report({"ERROR"}, str(error))
        return {"CANCELLED"}

    def _take(self, context: bpy.types.Context, message: Message) -> set[str] | None:
        show(context, self.task_name, message)
        self.receive(context, message)
        if isinstance(message, Note) and message.is_warning:
            self.report({"WARNING"}, message.text)
        if isinstance(message, Finished):
            self.finish(context, message.result)
            return {"FINISHED"}
        if isinstance(message, Failed):
            return self._end(context, message)
        return None

    def _end(self, context: bpy.types.Context, failure: Failed) -> set[str]:
        shown = state(context, self.task_name)
        shown.error = failure.text
        self.finish_early(context)
        self.report({"WARNING" if failure.was_cancelled else "ERROR"}, failure.text)
        return {"CANCELLED"}


def _failed(error: AddonError) -> Failed:
    return Failed(str(error), was_cancelled=isinstance(error, JobCancelled))


def connect_and_tell(settings: ServerSettings, emit: Emit) -> Connection:
    """Reach the server from a worker thread, and let the panel know."""
    connection = connect(settings)
    emit(Connected(connection.client.address, connection.health))
    return connection


def state(context: bpy.types.Context, name: str) -> TaskState:
    manager: WindowManagerProperties = context.window_manager.neural_render
    return manager.task(name)


def show(context: bpy.types.Context, name: str, message: Message) -> None:
    """Write a message into what the panel shows."""
    shown = state(context, name)
    manager: WindowManagerProperties = context.window_manager.neural_render
    if isinstance(message, Progress):
        shown.progress = message.fraction
        shown.time_left = -1.0 if message.time_left is None else message.time_left
        shown.text = message.text
    elif isinstance(message, Metrics):
        shown.psnr = float(message.values.get("psnr") or shown.psnr)
        shown.step = int(message.values.get("step") or shown.step)
    elif isinstance(message, Note):
        shown.text = message.text
    elif isinstance(message, FrameDone):
        shown.frames_done += 1
    elif isinstance(message, PreviewReady):
        show_preview(message.path)
    elif isinstance(message, JobStarted):
        shown.job_id = message.job_id
    elif isinstance(message, StateChanged):
        shown.is_paused = message.state == "paused"
    elif isinstance(message, Connected):
        manager.server_state = "RUNNING"
        manager.server_address = message.address
        manager.server_version = message.health.version
        manager.server_device = message.health.device_name
        manager.server_memory = message.health.memory_server / 1e9
    elif isinstance(message, MethodsListed):
        method_choices.set_methods(message.methods)
    elif isinstance(message, Finished):
        shown.progress, shown.time_left = 1.0, -1.0
    redraw_panels(context)


def redraw_panels(context: bpy.types.Context) -> None:
    for window in context.window_manager.windows:
        for area in window.screen.areas:
            if area.type in {"VIEW_3D", "IMAGE_EDITOR"}:
                area.tag_redraw()


def running_task(name: str) -> TaskOperator | None:
    return _running.get(name)


def stop_all(context: bpy.types.Context) -> None:
    """End all watching, for unregistering: workers, timers and modal operators."""
    for operator in list(_running.values()):
        task = operator._task
        operator.abandon(context)
        if task is not None:
            task.join(STOP_TIMEOUT)
