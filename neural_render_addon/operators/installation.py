"""Install, repair, check and uninstall the server."""

from __future__ import annotations

from typing import Any

import bpy

from ..errors import ServerUnreachable, WrongToken
from ..service.doctor import examine
from ..service.install import install, repair, uninstall
from ..service.jobs import Emit
from ..service.server_process import ServerSettings, connect, stop
from ..settings.preferences import install_settings, server_settings
from .task_operator import Stopped, TaskOperator, Work, running_task


class NEURALRENDER_OT_server_install(TaskOperator, bpy.types.Operator):
    """Install the server into an environment of its own, below this extension's user folder (two
    gigabytes, with CUDA up to six), from the internet or from a folder of wheels"""

    bl_idname = "neural_render.server_install"
    bl_label = "Install Server"
    task_name = "install"

    def prepare(self, context: bpy.types.Context) -> Work:
        settings = install_settings(context)
        return lambda emit, stopped: install(settings, emit, stopped)

    def finish(self, _context: bpy.types.Context, result: Any) -> None:
        self.report({"INFO"}, f"The server is installed: {result}; now press Start Server")


class NEURALRENDER_OT_server_repair(TaskOperator, bpy.types.Operator):
    """Stop the server and install it anew; where that fails, the present installation stays"""

    bl_idname = "neural_render.server_repair"
    bl_label = "Repair Server"
    task_name = "install"

    def prepare(self, context: bpy.types.Context) -> Work:
        settings, server = install_settings(context), server_settings(context)

        def work(emit: Emit, stopped: Stopped) -> Any:
            _stop_running(server)
            return repair(settings, emit, stopped)

        return work

    def finish(self, context: bpy.types.Context, result: Any) -> None:
        context.window_manager.neural_render.server_state = "STOPPED"
        self.report({"INFO"}, f"The server is installed anew: {result}; now press Start Server")


class NEURALRENDER_OT_server_uninstall(TaskOperator, bpy.types.Operator):
    """Stop the server and remove the environment that Install Server made. Captures, trained scenes,
    frames and the list of jobs stay"""

    bl_idname = "neural_render.server_uninstall"
    bl_label = "Uninstall Server"
    task_name = "install"

    def prepare(self, context: bpy.types.Context) -> Work:
        settings, server = install_settings(context), server_settings(context)

        def work(emit: Emit, stopped: Stopped) -> Any:
            _stop_running(server)
            return uninstall(settings)

        return work

    def finish(self, context: bpy.types.Context, result: Any) -> None:
        context.window_manager.neural_render.server_state = "STOPPED"
        self.report({"INFO"}, f"The server is uninstalled; {result / 1e9:.1f} GB are free again")


class NEURALRENDER_OT_server_uninstall_ask(bpy.types.Operator):
    """Ask, then stop the server and remove the environment that Install Server made. Captures, trained
    scenes, frames and the list of jobs stay"""

    bl_idname = "neural_render.server_uninstall_ask"
    bl_label = "Uninstall Server"

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> Any:
        return context.window_manager.invoke_confirm(self, event)

    def execute(self, _context: bpy.types.Context) -> Any:
        return bpy.ops.neural_render.server_uninstall("INVOKE_DEFAULT")


class NEURALRENDER_OT_server_install_cancel(bpy.types.Operator):
    """End the installation; what was half installed is removed"""

    bl_idname = "neural_render.server_install_cancel"
    bl_label = "Cancel"

    def execute(self, _context: bpy.types.Context) -> set[str]:
        operator = running_task("install")
        if operator is None or not operator.stop():
            self.report({"ERROR"}, "Nothing is being installed; press Install Server to start")
            return {"CANCELLED"}
        return {"FINISHED"}


class NEURALRENDER_OT_server_doctor(TaskOperator, bpy.types.Operator):
    """Check device, driver, memory, disk, codecs, ports, versions and the state folder, and say what to do
    about each; takes some seconds"""

    bl_idname = "neural_render.server_doctor"
    bl_label = "Check Server"
    task_name = "doctor"

    def prepare(self, context: bpy.types.Context) -> Work:
        settings = server_settings(context)
        return lambda emit, stopped: examine(settings)

    def finish(self, context: bpy.types.Context, result: Any) -> None:
        shown = context.window_manager.neural_render.findings
        shown.clear()
        for finding in result:
            entry = shown.add()
            entry.name, entry.status = finding.name, finding.status.upper()
            entry.text, entry.remedy = finding.text, finding.remedy
        bad = [f"{finding.name}: {finding.text}; {finding.remedy}" for finding in result if finding.remedy]
        self.report({"WARNING"} if bad else {"INFO"}, ". ".join(bad) or "All is well")


def _stop_running(settings: ServerSettings) -> None:
    """End a server on this machine that may run from the environment, and wait until it is gone."""
    if not settings.is_local:
        return
    try:
        connection = connect(settings)
    except (ServerUnreachable, WrongToken):
        return
    stop(connection, settings.state_dir)


CLASSES = (
    NEURALRENDER_OT_server_install,
    NEURALRENDER_OT_server_repair,
    NEURALRENDER_OT_server_uninstall,
    NEURALRENDER_OT_server_uninstall_ask,
    NEURALRENDER_OT_server_install_cancel,
    NEURALRENDER_OT_server_doctor,
)
