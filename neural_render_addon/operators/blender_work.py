"""What operators share whose work only Blender's own thread can do, such as rendering."""

from __future__ import annotations

from collections.abc import Callable

import bpy

from ..errors import JobCancelled
from ..service.jobs import Emit
from .task_operator import TaskOperator, Work, running_task


class BlenderWorkOperator(TaskOperator):
    """Mixin: all is done in ``steps``; Esc or ``CancelOperator`` ends it after the step that runs."""

    was_stopped = False

    def check_stopped(self, sentence: str) -> None:
        """Raise JobCancelled with ``sentence`` when the user has asked to stop."""
        if self.was_stopped:
            raise JobCancelled(sentence)

    def modal(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        self.was_stopped = self.was_stopped or event.type == "ESC"
        return super().modal(context, event)

    def prepare(self, context: bpy.types.Context) -> Work:
        def work(emit: Emit, stopped: Callable[[], bool]) -> None:
            """Nothing is left to do in another thread."""

        return work


class CancelOperator:
    """Mixin: ends the running ``BlenderWorkOperator`` whose task is ``watched``."""

    watched: str

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        return isinstance(running_task(cls.watched), BlenderWorkOperator)

    def execute(self, _context: bpy.types.Context) -> set[str]:
        operator = running_task(self.watched)
        if not isinstance(operator, BlenderWorkOperator):
            return {"CANCELLED"}
        operator.was_stopped = True
        return {"FINISHED"}
