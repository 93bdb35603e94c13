"""Run inside a Blender with a window: a rig of cameras, and Render Capture while Blender stays awake.

The operator renders one picture, lets Blender draw, renders the next; Cancel in between keeps what is
rendered, and the artist's settings are in between as they were.
"""

from __future__ import annotations

import sys
from pathlib import Path

import bpy

sys.path.insert(0, str(Path(__file__).parent))
import driver
from driver import OUT, Steps, pause, screenshot, viewport, wait_for

FOLDER = OUT / "film"


def task():
    return bpy.context.window_manager.neural_render.tasks.get("render_capture")


def invoke(operator, **arguments) -> set[str]:
    region = driver.region("WINDOW")
    with bpy.context.temp_override(window=driver.window(), area=viewport(), region=region):
        return operator("INVOKE_DEFAULT", **arguments)


def open_panels() -> Steps:
    """The sidebar's tab, with the captures' panels open and the other ones closed."""
    viewport().spaces.active.show_region_ui = True
    yield from pause()
    for name in ("NEURALRENDER_PT_render_capture", "NEURALRENDER_PT_capture_clip"):
        panel = getattr(bpy.types, name)
        bpy.utils.unregister_class(panel)
        panel.bl_options = set()  # closed panels can otherwise be opened by mouse alone
        bpy.utils.register_class(panel)
    driver.region("UI").active_panel_category = "Neural Render"
    yield from pause(10)


def render_and_cancel() -> Steps:
    scene = bpy.context.scene
    settings = scene.neural_render.capture
    settings.folder = str(FOLDER)
    scene.render.engine, scene.cycles.samples = "CYCLES", 1
    scene.render.resolution_x, scene.render.resolution_y = 32, 24
    scene.frame_start, scene.frame_end = 1, 4
    camera = scene.camera
    assert invoke(bpy.ops.neural_render.render_capture) == {"RUNNING_MODAL"}
    yield from wait_for(lambda: len(list((FOLDER / "images").glob("*.png"))) >= 2, "two pictures")
    assert task().is_running
    assert scene.camera == camera
    assert scene.view_settings.view_transform == "AgX"
    screenshot("capture_running")
    assert bpy.ops.neural_render.render_capture_cancel() == {"FINISHED"}
    yield from wait_for(lambda: not task().is_running, "the cancel")
    kept = len(list((FOLDER / "images").glob("*.png")))
    assert 2 <= kept < 20, kept
    assert f"{kept} of 20 pictures are kept" in task().error
    assert (FOLDER / "transforms.json").is_file()
    settings.keep_frames = True
    assert invoke(bpy.ops.neural_render.render_capture) == {"RUNNING_MODAL"}
    yield from wait_for(lambda: not task().is_running, "the rest")
    assert task().error == ""
    assert len(list((FOLDER / "images").glob("*.png"))) == 20


def steps() -> Steps:
    driver.enable_addon()
    yield from pause()
    bpy.ops.mesh.primitive_monkey_add()
    assert invoke(bpy.ops.neural_render.add_rig, shape="ARC", count=5) == {"FINISHED"}
    rig = bpy.context.scene.neural_render.capture.rig
    assert len(rig.objects) == 5
    bpy.context.scene.camera = rig.objects[0]
    yield from open_panels()
    screenshot("capture_panels")
    yield from render_and_cancel()
    yield from pause(10)
    screenshot("capture_done")


driver.run(steps())
