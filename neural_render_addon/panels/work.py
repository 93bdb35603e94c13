"""The Neural Render tab of the 3D Viewport's sidebar: Server, Capture, Train, Render, in the work's order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import bpy

from ..preview import IMAGE_NAME
from ..settings.properties import FieldProperties, TaskState

CATEGORY = "Neural Render"


class NeuralRenderPanel:
    """Mixin: where all our panels sit."""

    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = CATEGORY

    if TYPE_CHECKING:  # of bpy.types.Panel
        layout: bpy.types.UILayout

    def split_layout(self) -> bpy.types.UILayout:
        self.layout.use_property_split = True
        self.layout.use_property_decorate = False
        return self.layout


class NEURALRENDER_PT_server(NeuralRenderPanel, bpy.types.Panel):
    """The server: its state and device, Start and Stop"""

    bl_label = "Server"
    bl_order = 10

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        manager = context.window_manager.neural_render
        is_running = manager.server_state == "RUNNING"
        icon = {"RUNNING": "CHECKMARK", "STARTING": "SORTTIME"}.get(manager.server_state, "UNLINKED")
        layout.label(
            text=manager.bl_rna.properties["server_state"].enum_items[manager.server_state].name, icon=icon
        )
        if is_running:
            column = layout.column(align=True)
            column.label(text=f"{manager.server_address}, version {manager.server_version}")
            column.label(text=f"{manager.server_device}, {manager.server_memory:.1f} GB used")
        row = layout.row(align=True)
        row.operator(
            "neural_render.server_start",
            text="Refresh" if is_running else "Start Server",
            icon="FILE_REFRESH" if is_running else "PLAY",
        )
        if is_running:
            row.operator("neural_render.server_stop", icon="CANCEL")
        draw_task(layout, context, "server")
        install = find_task(context, "install")
        if install is not None and install.is_running:
            draw_task(layout, context, "install", cancel="neural_render.server_install_cancel")
        elif not is_running:
            failed = install is not None and bool(install.error)
            text = "Try to Install Again" if failed else "Install Server"
            layout.operator("neural_render.server_install", text=text, icon="IMPORT")
            draw_task(layout, context, "install")


class NEURALRENDER_PT_capture(NeuralRenderPanel, bpy.types.Panel):
    """The filmed capture, and the field object that stands for it"""

    bl_label = "Capture"
    bl_order = 20

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.split_layout()
        column = layout.column(align=True)
        column.operator("neural_render.import_capture", icon="CAMERA_DATA")
        column.operator("neural_render.solve_cameras", icon="TRACKING")
        column.operator("neural_render.open_scene", icon="FILE_FOLDER")
        draw_task(layout, context, "import")
        draw_task(layout, context, "solve", cancel="neural_render.solve_cancel")
        draw_task(layout, context, "open")
        layout.prop(context.scene.neural_render, "field")
        field = context.scene.neural_render.field
        if field is not None:
            draw_field(layout, field)
            row = layout.row(align=True)
            row.operator("neural_render.set_distance")
            row.operator("neural_render.set_ground")
            layout.operator("neural_render.apply_alignment")
            draw_task(layout, context, "align")
            if field.neural_render.is_dynamic:
                layout.operator("neural_render.set_readout")
                draw_task(layout, context, "readout")
        layout.operator("neural_render.export_rig", icon="EXPORT")


class NEURALRENDER_PT_train(NeuralRenderPanel, bpy.types.Panel):
    """Training settings and progress"""

    bl_label = "Train"
    bl_order = 30

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.split_layout()
        settings = context.scene.neural_render.train
        task = find_task(context, "train")
        is_running = task is not None and task.is_running
        column = layout.column()
        column.enabled = not is_running
        column.prop(settings, "method")
        column.prop(settings, "preset")
        column.prop(settings, "budget")
        column.prop(settings, "minutes" if settings.budget == "MINUTES" else "steps")
        column.prop(settings, "downscale")
        column.prop(settings, "test_cameras")
        field = context.scene.neural_render.field
        if field is not None and field.neural_render.training_memory:
            layout.label(text=needs_text(field.neural_render), icon="MEMORY")
        row = layout.row(align=True)
        if is_running:
            row.operator("neural_render.train_cancel", text="Cancel", icon="CANCEL")
            if task is not None and task.is_paused:
                row.operator("neural_render.train_continue", icon="PLAY")
            else:
                row.operator("neural_render.train_pause", icon="PAUSE")
        else:
            row.operator("neural_render.train", icon="PLAY")
            row.operator("neural_render.train_resume", icon="LOOP_FORWARDS")
        draw_task(layout, context, "train")
        if task is not None and task.psnr:
            layout.label(text=f"Step {task.step}: PSNR {task.psnr:.1f} dB")
        draw_preview(layout)


class NEURALRENDER_PT_train_more(NeuralRenderPanel, bpy.types.Panel):
    """Less often needed training settings"""

    bl_label = "More"
    bl_parent_id = "NEURALRENDER_PT_train"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.split_layout()
        settings = context.scene.neural_render.train
        layout.prop(settings, "folder")
        layout.prop(settings, "overwrite")
        layout.prop(settings, "device")
        layout.prop(settings, "seed")
        layout.prop(settings, "every_nth_test")
        layout.prop(settings, "transfer")
        layout.prop(settings, "match_colors")
        row = layout.row()
        row.active = settings.match_colors
        row.prop(settings, "color_reference")
        layout.prop(settings, "use_timesteps")
        column = layout.column(align=True)
        column.active = settings.use_timesteps
        column.prop(settings, "timestep_first", text="First")
        column.prop(settings, "timestep_end", text="End")


class NEURALRENDER_PT_render(NeuralRenderPanel, bpy.types.Panel):
    """Frames of the field along the scene camera's animation"""

    bl_label = "Render"
    bl_order = 40

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.split_layout()
        scene = context.scene
        settings = scene.neural_render.render
        task = find_task(context, "render")
        is_running = task is not None and task.is_running
        column = layout.column()
        column.enabled = not is_running
        column.prop(scene, "camera")
        column.prop(settings, "use_scene_range")
        if not settings.use_scene_range:
            range_column = column.column(align=True)
            range_column.prop(settings, "frame_start")
            range_column.prop(settings, "frame_end")
        column.prop(settings, "frame_step")
        column.prop(settings, "use_depth")
        column.prop(settings, "background")
        column.prop(settings, "samples")
        column.prop(settings, "folder")
        row = column.row(align=True)
        row.prop(settings, "keep_frames")
        row.operator("neural_render.clear_cache", text="", icon="TRASH")
        if is_running:
            layout.operator("neural_render.render_cancel", text="Cancel", icon="CANCEL")
        else:
            layout.operator("neural_render.render_frames", icon="RENDER_ANIMATION")
        draw_task(layout, context, "render")


def find_task(context: bpy.types.Context, name: str) -> TaskState | None:
    task: TaskState | None = context.window_manager.neural_render.tasks.get(name)
    return task


def draw_task(layout: bpy.types.UILayout, context: bpy.types.Context, name: str, cancel: str = "") -> None:
    """Progress and time left of running work, or why the last run ended early."""
    task = find_task(context, name)
    if task is None:
        return
    if task.is_running:
        row = layout.row(align=True)
        row.progress(factor=task.progress, text=progress_text(task))
        if cancel:
            row.operator(cancel, text="", icon="CANCEL")
        if task.text:
            layout.label(text=task.text)
    elif task.error:
        draw_sentence(layout, task.error, context)


def needs_text(field: FieldProperties) -> str:
    """What training at full size will take, told before it starts; as wide as the sidebar usually is."""
    disk = f", {field.training_disk:.1f} GB disk" if field.training_disk else ""
    return f"About {field.training_memory:.1f} GB memory{disk}"


def progress_text(task: TaskState) -> str:
    percent = f"{task.progress:.0%}"
    if task.is_paused:
        return f"{percent}, paused"
    if task.time_left < 0:
        return percent
    minutes, seconds = divmod(round(task.time_left), 60)
    return f"{percent}, {minutes}:{seconds:02d} left"


def draw_sentence(
    layout: bpy.types.UILayout, sentence: str, context: bpy.types.Context, icon: str = "ERROR"
) -> None:
    """A sentence over as many lines as the sidebar's width asks for; Blender's labels do not wrap."""
    # A character of the interface's font is about seven pixels wide at scale 1.
    width = max(20, int(context.region.width / (7 * context.preferences.system.ui_scale)) - 4)
    column = layout.column(align=True)
    line = ""
    for word in [*sentence.split(), ""]:
        if line and (not word or len(line) + len(word) >= width):
            column.label(text=line, icon=icon)
            line, icon = "", "BLANK1"
        line = f"{line} {word}".strip()


def draw_field(layout: bpy.types.UILayout, field: bpy.types.Object) -> None:
    properties = field.neural_render
    layout.prop(properties, "capture_path")
    layout.prop(properties, "scene_path")
    if properties.is_dynamic:
        layout.label(text=f"{properties.duration:.2f} s at {properties.fps:g} frames a second")
    if properties.readout:
        layout.label(text=f"Rolling shutter of {1e3 * properties.readout:.3g} ms")


def draw_preview(layout: bpy.types.UILayout) -> None:
    image = bpy.data.images.get(IMAGE_NAME)
    if image is None:
        return
    layout.template_icon(icon_value=layout.icon(image), scale=6.0)
    layout.operator("neural_render.show_preview", icon="IMAGE_DATA")


CLASSES = (
    NEURALRENDER_PT_server,
    NEURALRENDER_PT_capture,
    NEURALRENDER_PT_train,
    NEURALRENDER_PT_train_more,
    NEURALRENDER_PT_render,
)
