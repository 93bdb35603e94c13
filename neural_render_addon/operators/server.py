"""Start, stop and find the server."""

from __future__ import annotations

from typing import Any

import bpy

from ..errors import ServerUnreachable
from ..service import server_process
from ..service.jobs import Connected, Emit, MethodsListed, Note
from ..settings.preferences import server_settings
from .task_operator import Stopped, TaskOperator, Work, connect_and_tell


class NEURALRENDER_OT_server_start(TaskOperator, bpy.types.Operator):
    """Find the running server, or start one; it ends with Blender"""

    bl_idname = "neural_render.server_start"
    bl_label = "Start Server"
    task_name = "server"

    def prepare(self, context: bpy.types.Context) -> Work:
        settings = server_settings(context)
        context.window_manager.neural_render.server_state = "STARTING"

        def work(emit: Emit, stopped: Stopped) -> None:
            try:
                connection = server_process.connect(settings)
            except ServerUnreachable:
                if not settings.is_local:
                    raise  # why it cannot be reached says more than that it cannot be started from here
                emit(Note("Starting the server"))
                connection = server_process.start(settings, stopped)
            emit(MethodsListed(connection.client.methods()))
            emit(Connected(connection.client.address, connection.health))

        return work

    def finish(self, context: bpy.types.Context, _result: Any) -> None:
        manager = context.window_manager.neural_render
        self.report({"INFO"}, f"The server answers at {manager.server_address} ({manager.server_device})")

    def finish_early(self, context: bpy.types.Context) -> None:
        context.window_manager.neural_render.server_state = "STOPPED"


class NEURALRENDER_OT_server_stop(TaskOperator, bpy.types.Operator):
    """End the server, for every program that uses it; a running training writes a checkpoint first"""

    bl_idname = "neural_render.server_stop"
    bl_label = "Stop Server"
    task_name = "server"

    def prepare(self, context: bpy.types.Context) -> Work:
        settings = server_settings(context)

        def work(emit: Emit, stopped: Stopped) -> None:
            server_process.stop(connect_and_tell(settings, emit), settings.state_dir)

        return work

    def finish(self, context: bpy.types.Context, _result: Any) -> None:
        context.window_manager.neural_render.server_state = "STOPPED"
        self.report({"INFO"}, "The server has ended")

    def finish_early(self, context: bpy.types.Context) -> None:
        context.window_manager.neural_render.server_state = "STOPPED"


CLASSES = (
    NEURALRENDER_OT_server_start,
    NEURALRENDER_OT_server_stop,
)
