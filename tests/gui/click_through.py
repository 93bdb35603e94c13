"""Run inside a Blender with a window and ``--enable-event-simulate``: does the main job with the mouse.

Every step is a generator that yields while Blender draws and handles events. A button is found by
hovering down the sidebar until Blender itself says that the button under the mouse runs the operator.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import bpy

sys.path.insert(0, str(Path(__file__).parent))
import driver
from driver import EXTENSION, OUT, SETTINGS, Steps, pause, toggle_maximised, viewport, wait_for, window

CATEGORY = "Neural Render"
# A button is 20 units high at scale 1; half of that finds each.
HOVER_STEP = 9

last_click = 0


def sidebar() -> bpy.types.Region:
    return driver.region("UI")


def task(name: str) -> bpy.types.PropertyGroup | None:
    return bpy.context.window_manager.neural_render.tasks.get(name)


def screenshot(name: str) -> None:
    """The whole screen, and the sidebar alone."""
    driver.screenshot(name)
    driver.screenshot(f"{name}_panels", sidebar())


def operator_under_mouse() -> str:
    """The Python call of the button that Blender has highlighted in the sidebar, or nothing."""
    manager = bpy.context.window_manager
    manager.clipboard = ""
    with bpy.context.temp_override(window=window(), area=viewport(), region=sidebar()):
        if bpy.ops.ui.copy_python_command_button.poll():
            bpy.ops.ui.copy_python_command_button()
    return manager.clipboard


def hover(x: int, y: int) -> None:
    window().event_simulate(type="MOUSEMOVE", value="NOTHING", x=x, y=y)


def click(operator: str) -> Steps:
    """Find the button of ``operator`` in the sidebar by hovering, and click it."""
    global last_click
    region = sidebar()
    step = int(HOVER_STEP * bpy.context.preferences.system.ui_scale)
    rows = list(range(region.y + region.height - step, region.y, -step))
    # From the last click on down, as the work goes, then from the top.
    rows.sort(key=lambda y: y > last_click + 3 * step)
    # The left half first: most buttons are as wide as the panel, others come in pairs.
    for column in (0.25, 0.75):
        x = region.x + int(region.width * column)
        for y in rows:
            hover(x, y)
            yield
            if operator_under_mouse().startswith(f"bpy.ops.neural_render.{operator}("):
                hover(x + 1, y)
                yield
                window().event_simulate(type="LEFTMOUSE", value="PRESS", x=x + 1, y=y)
                yield
                window().event_simulate(type="LEFTMOUSE", value="RELEASE", x=x + 1, y=y)
                yield
                hover(region.x - 200, y)
                yield from pause()
                last_click = y
                print(f"clicked {operator} at {x}, {y}", flush=True)
                return
    screenshot(f"missing_{operator}")
    raise AssertionError(f"no button in the sidebar runs {operator}")


def choose_in_file_browser(path: str) -> Steps:
    """Type a folder into the file browser that has opened, and accept it."""

    def browser() -> tuple[bpy.types.Window, bpy.types.Area] | None:
        for each in bpy.context.window_manager.windows:
            for area in each.screen.areas:
                if area.type == "FILE_BROWSER" and area.spaces.active.params is not None:
                    return each, area
        return None

    yield from wait_for(browser, "the file browser")
    yield from pause(10)
    owner, area = browser()
    area.spaces.active.params.directory = f"{path}/".encode()
    area.spaces.active.params.filename = ""
    yield from pause(10)
    region = next(region for region in area.regions if region.type == "WINDOW")
    with bpy.context.temp_override(window=owner, area=area, region=region):
        bpy.ops.file.execute()
    yield from wait_for(lambda: browser() is None, "the file browser to close")
    yield from pause()


def finished(name: str) -> Steps:
    """Wait until the work called ``name`` has begun and ended, and ended well."""
    yield from wait_for(lambda: task(name) is not None and not task(name).is_running, f"{name} to end")
    assert not task(name).error, task(name).error


def set_up() -> Steps:
    bpy.context.preferences.view.filebrowser_display_type = "SCREEN"
    driver.enable_addon()
    bpy.ops.wm.save_as_mainfile(filepath=str(OUT / "project.blend"))
    yield from pause()
    yield from toggle_maximised()
    viewport().spaces.active.show_region_ui = True
    yield from pause(10)
    sidebar().active_panel_category = CATEGORY
    viewport().tag_redraw()
    yield from pause(10)


def connect() -> Steps:
    yield from click("server_start")
    yield from finished("server")
    assert bpy.context.window_manager.neural_render.server_state == "RUNNING"
    yield from pause()
    screenshot("1_server")


def solve_cameras() -> Steps:
    """Six photos of the tests' room; what comes of them makes way for the film then."""
    yield from click("solve_cameras")
    yield from choose_in_file_browser(SETTINGS["footage"])
    yield from finished("solve")
    field = bpy.context.scene.neural_render.field
    assert field.neural_render.capture_path == f"{SETTINGS['footage']}.capture"
    assert len([child for child in field.children if child.type == "CAMERA"]) == 6
    yield from pause(10)
    screenshot("2_solve")
    for obj in list(bpy.data.objects):
        bpy.data.objects.remove(obj)
    yield from pause()


def import_capture() -> Steps:
    yield from click("import_capture")
    yield from choose_in_file_browser(SETTINGS["capture"])
    yield from finished("import")
    field = bpy.context.scene.neural_render.field
    assert field is not None
    assert len(field.children) >= 4
    scene = bpy.context.scene
    scene.camera = field.children[0]
    scene.render.resolution_x, scene.render.resolution_y = 320, 240
    scene.frame_start, scene.frame_end = 1, 6
    viewport().spaces.active.region_3d.view_perspective = "CAMERA"
    yield from pause(20)
    screenshot("2_capture")


def train() -> Steps:
    settings = bpy.context.scene.neural_render.train
    # Far more than there is patience for: this training is cancelled.
    settings.budget, settings.steps, settings.downscale = "STEPS", 1_000_000, SETTINGS["downscale"]
    yield from pause()
    yield from click("train")
    yield from wait_for(lambda: task("train").is_running, "the training to begin")
    yield from wait_for(lambda: task("train").psnr > 0 or not task("train").is_running, "the first PSNR")
    assert not task("train").error, task("train").error
    yield from pause(20)
    screenshot("3_train")
    yield from click("train_cancel")
    yield from wait_for(lambda: not task("train").is_running, "the cancel")
    reached = task("train").step
    assert "ancelled" in task("train").error
    screenshot("3_train_cancelled")
    settings.steps = reached + SETTINGS["steps"]
    yield from click("train_resume")
    seen = set()
    while task("train").is_running or not seen:
        seen.add(task("train").progress)
        yield
    assert not task("train").error, task("train").error
    assert len(seen) > 3, f"the progress bar showed only {sorted(seen)}"
    print(f"progress: {len(seen)} values, PSNR {task('train').psnr:.1f} dB", flush=True)
    yield from pause()
    screenshot("3_train_done")
    yield from toggle_maximised()
    yield from click("show_preview")
    yield from pause(10)
    assert any(area.type == "IMAGE_EDITOR" for area in window().screen.areas)
    screenshot("4_preview")
    yield from toggle_maximised()


def render() -> Steps:
    yield from click("render_frames")
    yield from wait_for(lambda: task("render").frames_done >= 1 or task("render").error, "the first frame")
    screenshot("5_render")
    yield from finished("render")
    field = bpy.context.scene.neural_render.field.neural_render
    frames = sorted(path.name for path in Path(field.render_folder).glob("*.exr"))
    assert len(frames) == 6, frames
    yield from pause()
    screenshot("5_render_done")


def press(key: str, **modifiers: bool) -> Steps:
    """A key over the 3D viewport."""
    region = driver.region("WINDOW")
    x, y = region.x + region.width // 3, region.y + region.height // 2
    hover(x, y)
    yield
    for value in ("PRESS", "RELEASE"):
        window().event_simulate(type=key, value=value, x=x, y=y, **modifiers)
        yield
    yield from pause(10)


def has_our_node() -> bool:
    return any(group.name.startswith("Neural Render") for group in bpy.data.node_groups)


def composite_layers() -> Steps:
    yield from click("setup_compositing")
    yield from pause(10)
    assert has_our_node()
    yield from press("Z", ctrl=True)
    assert not has_our_node(), "Ctrl Z did not undo Set Up Compositing"
    yield from press("Z", ctrl=True, shift=True)
    assert has_our_node(), "Ctrl Shift Z did not bring the compositing back"
    yield from click("add_strip")
    yield from pause(10)
    screenshot("6_composite")
    editor = viewport()
    editor.type = "NODE_EDITOR"
    editor.ui_type = "CompositorNodeTree"
    yield from pause(20)
    with bpy.context.temp_override(
        window=window(), area=editor, region=next(r for r in editor.regions if r.type == "WINDOW")
    ):
        bpy.ops.node.view_all()
    yield from pause(20)
    subprocess.run(["import", "-window", "root", str(OUT / "7_nodes.png")], check=True)
    editor.type = "VIEW_3D"
    yield from pause(10)


def disable_while_training() -> Steps:
    """Disabling the add-on in the middle of a training leaves no thread, and the training goes on."""
    settings = bpy.context.scene.neural_render.train
    settings.steps, settings.overwrite = 1_000_000, True
    yield from click("train")
    yield from wait_for(lambda: task("train").job_id, "the training to begin")
    bpy.ops.preferences.addon_disable(module=EXTENSION)
    yield from pause(40)
    assert not hasattr(bpy.types.Scene, "neural_render")
    threads = [thread.name for thread in threading.enumerate() if thread.name.startswith("neural-render")]
    assert threads == [], threads


def everything() -> Steps:
    work = (set_up, connect, solve_cameras, import_capture, train, render, composite_layers)
    for step in (*work, disable_while_training):
        print(f"== {step.__name__}", flush=True)
        yield from step()
    print(f"the longest Blender went without a tick was {driver.longest_tick:.2f} s", flush=True)


driver.run(everything())
