"""Run inside a Blender with a window: the engine in the viewport, against the server's own pictures.

Overlays must lie on the picture, colours must be the ones that the view transform makes of it, pictures must
come while the view moves and end sharp, and nothing may be left when the add-on is switched off.
"""

from __future__ import annotations

import random
import subprocess
import sys
import threading
from pathlib import Path

import bpy
import numpy as np
from bpy_extras.view3d_utils import location_3d_to_region_2d
from mathutils import Matrix, Vector

sys.path.insert(0, str(Path(__file__).parent))
import driver
from driver import EXTENSION, OUT, SETTINGS, Steps, pause, viewport, wait_for

ENGINE = f"{EXTENSION}.neural_render_addon.engine"


def shading() -> bpy.types.View3DShading:
    return viewport().spaces.active.shading


def view() -> bpy.types.RegionView3D:
    return viewport().spaces.active.region_3d


def machine():
    """The state machine behind the viewport, or None before the engine has drawn."""
    viewports = list(sys.modules[f"{ENGINE}.viewport"]._viewports)
    return viewports[0]._refinement if viewports else None


def settled() -> Steps:
    """Until the picture is full and Blender has drawn it."""
    yield from pause(4)
    yield from wait_for(lambda: machine() is not None and not machine().is_busy, "the full picture")
    yield from pause(4)


def set_up() -> Steps:
    driver.enable_addon()
    yield from pause()
    bpy.ops.wm.save_as_mainfile(filepath=str(OUT / "viewport.blend"))
    assert bpy.ops.neural_render.open_scene(filepath=SETTINGS["scene"]) == {"FINISHED"}
    scene = bpy.context.scene
    field = scene.neural_render.field
    field.location, field.rotation_euler = (0.3, -0.2, 0.1), (0.0, 0.0, 0.25)
    scene.render.engine = "NEURAL_RENDER"
    # The render server's pictures are compared with the screen, where Standard is the plain sRGB curve.
    scene.view_settings.view_transform = "Standard"
    scene.render.resolution_x, scene.render.resolution_y = 960, 540
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    scene.collection.objects.link(camera)
    place_like_the_rig(camera, field)
    scene.camera = camera
    space = viewport().spaces.active
    space.show_region_ui = space.show_region_toolbar = False
    yield from driver.toggle_maximised()
    view().view_perspective = "CAMERA"
    shading().type = "RENDERED"
    yield from settled()


def place_like_the_rig(camera: bpy.types.Object, field: bpy.types.Object) -> None:
    """Where the capture's first camera stood."""
    entry = SETTINGS["camera"]
    camera.parent = field
    camera.matrix_basis = Matrix(entry["transform_matrix"])
    camera.data.show_passepartout = False  # it would darken the picture that is compared
    camera.data.sensor_fit = "HORIZONTAL"
    camera.data.lens = camera.data.sensor_width * entry["fl_x"] / entry["w"]
    bpy.context.view_layer.update()


def read_screen(name: str) -> np.ndarray:
    """(H, W, 3) of the viewport on the screen, in [0, 1]."""
    region = driver.region("WINDOW")
    path = driver.screenshot(name, region)
    raw = subprocess.run(["convert", str(path), "-depth", "8", "rgb:-"], check=True, capture_output=True)
    return np.frombuffer(raw.stdout, np.uint8).reshape(region.height, region.width, 3) / 255.0


def from_server() -> np.ndarray:
    """(H, W, 4) what the server renders for the region's camera, as numbers of Blender's Standard view."""
    module = sys.modules[f"{EXTENSION}.neural_render_addon.service.client"]
    views, camera = sys.modules[f"{ENGINE}.views"], sys.modules[f"{ENGINE}.viewport"]
    region = driver.region("WINDOW")
    depsgraph = bpy.context.evaluated_depsgraph_get()
    projection, pose = camera.region_camera(view(), region.width, region.height)
    seen = views.look(views.sample_fields(depsgraph), projection, pose).fields[0]
    client = module.Client(SETTINGS["host"], SETTINGS["port"], SETTINGS["token"])
    entry = {**projection.entry(), "transform_matrix": seen.camera_to_capture}
    picture = client.render(seen.scene_path, entry, seen.seconds, dtype="float32").planes["combined"].copy()
    color = np.maximum(picture[..., :3], 0)
    picture[..., :3] = np.where(color <= 0.0031308, color * 12.92, 1.055 * color ** (1 / 2.4) - 0.055)
    return picture


def colours_and_place() -> Steps:
    overlay = viewport().spaces.active.overlay
    for name in ("camera", "perspective", "orthographic"):
        if name != "camera":
            # From the camera's place, so that the field fills the region.
            view().view_perspective = "CAMERA"
            yield from pause(4)
            matrix = view().view_matrix.copy()
            view().view_perspective = "PERSP" if name == "perspective" else "ORTHO"
            view().view_matrix = matrix
        overlay.show_overlays = False
        yield from settled()
        # Without the strip of buttons above and the gizmos at the right.
        part = slice(80, -20), slice(20, -130)
        truth, screen = from_server()[part], read_screen(f"engine_{name}_plain")[part]
        solid = truth[..., 3] > 0.999
        assert solid.mean() > 0.05, f"{name}: only {solid.mean():.0%} of the region shows the field"
        difference = np.abs(screen - np.clip(truth[..., :3], 0, 1))[solid].mean(axis=-1)
        shifted = np.abs(np.roll(screen, 3, axis=1) - np.clip(truth[..., :3], 0, 1))[solid].mean(axis=-1)
        print(
            f"{name}: screen and server differ by {255 * np.median(difference):.2f}/255 (median), "
            f"{255 * np.percentile(difference, 95):.2f} (95%); three pixels aside {255 * shifted.mean():.2f}",
            flush=True,
        )
        assert np.percentile(difference, 90) < 2 / 255
        assert difference.mean() < 0.5 * shifted.mean()
        overlay.show_overlays = True
        yield from pause(6)
        driver.screenshot(f"engine_{name}", driver.region("WINDOW"))


def overlays_line_up() -> Steps:
    """Our camera of the region and Blender's own way from a point to a pixel of the region agree."""
    camera = sys.modules[f"{ENGINE}.viewport"]
    region = driver.region("WINDOW")
    generator = random.Random(1)
    worst = 0.0
    for name in ("PERSP", "ORTHO", "CAMERA", "CAMERA zoomed"):
        view().view_perspective = name.split()[0]
        if name == "CAMERA zoomed":
            view().view_camera_zoom = 12.5
            view().view_camera_offset = (0.11, -0.07)
        yield from pause(6)
        projection, pose = camera.region_camera(view(), region.width, region.height)
        for _ in range(200):
            point = Vector([generator.uniform(-1.5, 1.5) for _ in range(3)])
            expected = location_3d_to_region_2d(region, view(), point)
            if expected is None:
                continue
            local = np.linalg.inv(pose) @ [*point, 1.0]
            x, y = projection.pixels(local[:3])
            worst = max(worst, abs(x - expected.x), abs(region.height - y - expected.y))
    print(f"overlays and picture differ by {worst:.5f} pixels at most", flush=True)
    assert worst < 0.02
    view().view_camera_zoom, view().view_camera_offset = 0.0, (0.0, 0.0)


def pictures_while_moving() -> Steps:
    """Pictures keep coming while the view never stands still, and the last one is the full one."""
    view().view_perspective = "PERSP"
    yield from settled()
    seen, wanted = [], set()

    def turn() -> bool:
        view().view_rotation = view().view_rotation @ Vector((1, 0.02, 0)).rotation_difference((1, 0, 0))
        wanted.add(machine()._wanted)
        if machine()._shown not in seen:
            seen.append(machine()._shown)
        return len(seen) > 4

    yield from wait_for(turn, "pictures while the view turns")
    print(f"{len(seen) - 1} pictures while the view had {len(wanted)} places", flush=True)
    assert all(order.is_coarse for order in seen[1:])
    yield from settled()
    assert machine()._shown.divisor == 1


def time_scrubs() -> Steps:
    scene = bpy.context.scene
    scene.frame_set(1)
    yield from settled()
    first = machine()._shown.view
    scene.frame_set(12)
    yield from settled()
    assert machine()._shown.view.fields[0].seconds > first.fields[0].seconds
    scene.frame_set(1)
    yield from settled()
    assert machine()._shown.view == first


def mistakes_are_told() -> Steps:
    field = bpy.context.scene.neural_render.field
    field.scale = (1, 1, 2)
    yield from pause(20)
    viewports = list(sys.modules[f"{ENGINE}.viewport"]._viewports)
    assert "one uniform scale" in viewports[0]._message, viewports[0]._message
    driver.screenshot("engine_mistake", driver.region("WINDOW"))
    field.scale = (1, 1, 1)
    yield from settled()
    assert viewports[0]._message == ""


def nothing_is_left() -> Steps:
    tick = sys.modules[f"{ENGINE}.viewport"]._tick
    shading().type = "SOLID"
    yield from pause(20)
    shading().type = "RENDERED"
    yield from settled()
    bpy.ops.preferences.addon_disable(module=EXTENSION)
    yield from pause(20)
    threads = [thread.name for thread in threading.enumerate() if thread.name.startswith("neural-render")]
    assert threads == [], threads
    assert not bpy.app.timers.is_registered(tick)


def everything() -> Steps:
    for step in (
        set_up,
        colours_and_place,
        overlays_line_up,
        pictures_while_moving,
        time_scrubs,
        mistakes_are_told,
        nothing_is_left,
    ):
        print(f"== {step.__name__}", flush=True)
        yield from step()
    print(f"the longest Blender went without a tick was {driver.longest_tick:.2f} s", flush=True)


driver.run(everything())
