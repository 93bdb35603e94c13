"""Below the Server panel: Check Server and its findings; Repair and Uninstall Server."""

from __future__ import annotations

import bpy

from .work import NeuralRenderPanel, draw_sentence, draw_task

ICONS = {"OK": "CHECKMARK", "WARNING": "INFO", "ERROR": "ERROR"}


class NEURALRENDER_PT_installation(NeuralRenderPanel, bpy.types.Panel):
    """The doctor's findings, and what mends the server's installation"""

    bl_label = "Check and Repair"
    bl_parent_id = "NEURALRENDER_PT_server"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        layout.operator("neural_render.server_doctor", icon="VIEWZOOM")
        draw_task(layout, context, "doctor")
        column = layout.column(align=True)
        for finding in context.window_manager.neural_render.findings:
            row = column.row()
            row.alert = finding.status == "ERROR"
            row.label(text=f"{finding.name.capitalize()}: {finding.text}", icon=ICONS[finding.status])
            if finding.remedy:
                draw_sentence(column.box(), finding.remedy, context)
        row = layout.row(align=True)
        row.operator("neural_render.server_repair", icon="TOOL_SETTINGS")
        row.operator("neural_render.server_uninstall_ask", icon="TRASH")


CLASSES = (NEURALRENDER_PT_installation,)
