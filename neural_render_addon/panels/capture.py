"""Below Capture in the sidebar: a camera rig, Render Capture, and the capture of a tracked clip."""

from __future__ import annotations

import bpy
import numpy as np

from ..cameras.camera import evaluated_projection, render_size
from ..capturing.plan import chosen_cameras
from ..capturing.rig_spacing import RigSpacing, measure_spacing
from ..errors import AddonError
from .work import CATEGORY, NeuralRenderPanel, draw_sentence, draw_task, find_task

# Beyond this many cameras the spacing is not measured while the panel is drawn.
MEASURED_CAMERAS = 300


class NEURALRENDER_PT_render_capture(NeuralRenderPanel, bpy.types.Panel):
    """A capture rendered from this scene: its cameras, their spacing and what is written"""

    bl_label = "From This Scene"
    bl_parent_id = "NEURALRENDER_PT_capture"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.split_layout()
        settings = context.scene.neural_render.capture
        task = find_task(context, "render_capture")
        is_running = task is not None and task.is_running
        layout.operator_menu_enum(
            "neural_render.add_rig", "shape", text="Add Camera Rig", icon="OUTLINER_OB_CAMERA"
        )
        column = layout.column()
        column.enabled = not is_running
        column.prop(settings, "cameras")
        if settings.cameras == "RIG":
            column.prop(settings, "rig")
        draw_spacing(column, context)
        draw_frames(column, settings)
        draw_format(column, settings)
        if is_running:
            layout.operator("neural_render.render_capture_cancel", text="Cancel", icon="CANCEL")
        else:
            layout.operator("neural_render.render_capture", icon="RENDER_ANIMATION")
        draw_task(layout, context, "render_capture")


def draw_spacing(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """How far neighbours are apart, and how much of their pictures they share."""
    try:
        cameras = chosen_cameras(context)
    except AddonError as error:
        draw_sentence(layout, str(error), context)
        return
    column = layout.column(align=True)
    column.label(text=f"{len(cameras)} camera{'s' * (len(cameras) != 1)}", icon="CAMERA_DATA")
    if len(cameras) > MEASURED_CAMERAS:
        return
    spacing = rig_spacing(context, cameras)
    if spacing is None:
        return
    _, mean, largest = spacing.angle
    column.label(text=f"Neighbours: {mean:.1f}\N{DEGREE SIGN} (up to {largest:.1f}\N{DEGREE SIGN})")
    unit = bpy.utils.units.to_string(
        context.scene.unit_settings.system, "LENGTH", spacing.distance[1], precision=3
    )
    column.label(text=f"Distance: {unit}", icon="BLANK1")
    if spacing.overlap is None:
        column.label(text="Overlap: they look at no common point", icon="BLANK1")
    else:
        column.label(
            text=f"Overlap: {spacing.overlap[1]:.0%} (least {spacing.overlap[0]:.0%})", icon="BLANK1"
        )


def rig_spacing(context: bpy.types.Context, cameras: list[bpy.types.Object]) -> RigSpacing | None:
    """The spacing of perspective cameras as they stand now."""
    render, depsgraph = context.scene.render, context.evaluated_depsgraph_get()
    width, height = render_size(render)
    aspect = (render.pixel_aspect_x, render.pixel_aspect_y)
    cameras = [camera for camera in cameras if camera.data.type == "PERSP"]
    poses = [np.array(camera.matrix_world.normalized()) for camera in cameras]
    projections = [evaluated_projection(camera, depsgraph, width, height, aspect) for camera in cameras]
    return measure_spacing(np.array(poses), projections) if poses else None


def draw_frames(layout: bpy.types.UILayout, settings: bpy.types.PropertyGroup) -> None:
    layout.prop(settings, "use_scene_range")
    if not settings.use_scene_range:
        column = layout.column(align=True)
        column.prop(settings, "frame_start")
        column.prop(settings, "frame_end")
    layout.prop(settings, "frame_step")


def draw_format(layout: bpy.types.UILayout, settings: bpy.types.PropertyGroup) -> None:
    layout.prop(settings, "format")
    layout.prop(settings, "view")
    if settings.format == "IMAGES":
        layout.prop(settings, "use_alpha")
        layout.prop(settings, "mask_objects")
        if settings.mask_objects is not None:
            layout.prop(settings, "mask_use")
    layout.prop(settings, "use_depth")
    layout.prop(settings, "split")
    if settings.split == "CAMERA":
        layout.prop(settings, "test_camera")
    elif settings.split == "EVERY_NTH":
        layout.prop(settings, "every_nth_test")
    layout.prop(settings, "keep_frames")
    layout.prop(settings, "folder")


class NEURALRENDER_PT_capture_clip(NeuralRenderPanel, bpy.types.Panel):
    """A capture of a movie clip whose camera Blender has solved"""

    bl_label = "From a Tracked Clip"
    bl_parent_id = "NEURALRENDER_PT_capture"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        draw_clip(self.split_layout(), context)


class NEURALRENDER_PT_clip_editor(bpy.types.Panel):
    """The same beside the tracking, in the Movie Clip editor's sidebar"""

    bl_space_type = "CLIP_EDITOR"
    bl_region_type = "UI"
    bl_category = CATEGORY
    bl_label = "Capture Tracked Clip"

    def draw(self, context: bpy.types.Context) -> None:
        self.layout.use_property_split, self.layout.use_property_decorate = True, False
        draw_clip(self.layout, context)


def draw_clip(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    settings = context.scene.neural_render.capture.clip
    task = find_task(context, "clip_capture")
    is_running = task is not None and task.is_running
    column = layout.column()
    column.enabled = not is_running
    names: tuple[str, ...] = ("is_still", "frame_step", "every_nth_test", "folder")
    if context.space_data.type != "CLIP_EDITOR":  # which has a clip and a mask of its own
        names = ("clip", "mask", *names)
    for name in names:
        column.prop(settings, name)
    column.prop(settings, "mask_use")
    if is_running:
        layout.operator("neural_render.capture_clip_cancel", text="Cancel", icon="CANCEL")
    else:
        layout.operator("neural_render.capture_clip", icon="TRACKER")
    draw_task(layout, context, "clip_capture")


CLASSES = (NEURALRENDER_PT_render_capture, NEURALRENDER_PT_capture_clip, NEURALRENDER_PT_clip_editor)
