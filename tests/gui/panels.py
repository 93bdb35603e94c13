"""Run inside a Blender with a window: pictures of every panel of the sidebar, all of them open.

A panel that closes by itself is registered anew without that, so that nothing is left out.
"""

from __future__ import annotations

import sys
from pathlib import Path

import bpy

sys.path.insert(0, str(Path(__file__).parent))
import driver
from driver import SETTINGS, Steps, pause, viewport, wait_for

CATEGORY = "Neural Render"


def our_panels() -> list[type[bpy.types.Panel]]:
    """In the order of registration: parents before their parts."""
    found = [getattr(bpy.types, name) for name in dir(bpy.types) if name.startswith("NEURALRENDER_PT_")]
    return sorted(found, key=lambda panel: bool(getattr(panel, "bl_parent_id", "")))


def open_all() -> None:
    panels = our_panels()
    for panel in reversed(panels):
        bpy.utils.unregister_class(panel)
    for panel in panels:
        panel.bl_options = set(getattr(panel, "bl_options", ())) - {"DEFAULT_CLOSED"}
        bpy.utils.register_class(panel)


def everything() -> Steps:
    driver.enable_addon()
    open_all()
    bpy.ops.wm.save_as_mainfile(filepath=str(driver.OUT / "panels.blend"))
    bpy.ops.neural_render.server_start()
    assert bpy.ops.neural_render.import_capture(filepath=SETTINGS["capture"], set_scene=True) == {"FINISHED"}
    field = bpy.context.scene.neural_render.field
    # As in an artist's project: the pictures are for the documentation.
    field.neural_render.capture_path = "//films/stage24"
    field.neural_render.scene_path = "//neural_render/stage24.scene"
    yield from driver.toggle_maximised()
    space = viewport().spaces.active
    space.show_region_ui = True
    yield from pause(10)
    driver.region("UI").active_panel_category = CATEGORY
    viewport().tag_redraw()
    yield from wait_for(lambda: driver.region("UI").height > 0, "the sidebar")
    yield from pause(20)
    picture = driver.screenshot("panels", driver.region("UI"))
    assert picture.stat().st_size > 50_000


driver.run(everything())
