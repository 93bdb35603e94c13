"""Run inside a Blender with a window: the field in camera view, its proxy mesh and its light, as clicked.

What is on the screen must be the server's picture, in its place and colours; it must follow the time while
Blender stays awake, and leave nothing when it is switched off. Proxy and light come while Blender draws.
"""

from __future__ import annotations

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

ADDON = f"{EXTENSION}.neural_render_addon"
SIZE = (480, 270)
# Of the frame, what is compared: without its outline, and without the sphere that stands before the field.
PART = slice(30, -30), slice(20, 300)


def background():
    return sys.modules[f"{ADDON}.light.camera_background"]


def settled() -> Steps:
    """Until the full picture has come and Blender has drawn it."""
    yield from pause(4)
    yield from wait_for(
        lambda: background()._preview is not None and not background()._preview.is_busy, "the full picture"
    )
    yield from pause(10)


def set_up() -> Steps:
    driver.enable_addon()
    yield from pause()
    bpy.ops.wm.save_as_mainfile(filepath=str(OUT / "background.blend"))
    assert bpy.ops.neural_render.open_scene(filepath=SETTINGS["scene"]) == {"FINISHED"}
    scene = bpy.context.scene
    scene.view_settings.view_transform = "Standard"  # the plain sRGB curve, as the numbers compared with
    scene.render.resolution_x, scene.render.resolution_y = SIZE
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    scene.collection.objects.link(camera)
    entry = SETTINGS["camera"]
    camera.matrix_world = Matrix(entry["transform_matrix"])
    camera.data.lens = camera.data.sensor_width * entry["fl_x"] / entry["w"]
    camera.data.show_passepartout = False
    scene.camera = camera
    place = camera.matrix_world @ Vector((1.0, 0.5, -4.0))
    bpy.ops.mesh.primitive_ico_sphere_add(radius=0.2, location=place)
    space = viewport().spaces.active
    space.show_region_ui = space.show_region_toolbar = space.show_gizmo = False
    for name in (
        "show_floor",
        "show_axis_x",
        "show_axis_y",
        "show_cursor",
        "show_extras",
        "show_relationship_lines",
    ):
        setattr(space.overlay, name, False)
    yield from driver.toggle_maximised()
    space = viewport().spaces.active
    space.region_3d.view_perspective = "CAMERA"
    space.shading.type = "SOLID"
    yield from pause(10)


def shown(name: str) -> np.ndarray:
    """(H, W, 3) of the camera's frame on the screen, in [0, 1]."""
    region = driver.region("WINDOW")
    scene, view = bpy.context.scene, viewport().spaces.active.region_3d
    corners = [
        location_3d_to_region_2d(region, view, scene.camera.matrix_world @ corner)
        for corner in scene.camera.data.view_frame(scene=scene)
    ]
    left, right = min(c.x for c in corners), max(c.x for c in corners)
    bottom, top = min(c.y for c in corners), max(c.y for c in corners)
    path = driver.screenshot(name, region)
    raw = subprocess.run(["convert", str(path), "-depth", "8", "rgb:-"], check=True, capture_output=True)
    pixels = np.frombuffer(raw.stdout, np.uint8).reshape(region.height, region.width, 3) / 255.0
    rows = region.height - (bottom + (np.arange(SIZE[1])[::-1] + 0.5) / SIZE[1] * (top - bottom))
    columns = left + (np.arange(SIZE[0]) + 0.5) / SIZE[0] * (right - left)
    return pixels[rows.astype(int)][:, columns.astype(int)]


def from_server() -> np.ndarray:
    """(H, W, 3) what the server renders for the camera, as numbers of Blender's Standard view."""
    view = background().camera_view(bpy.context, bpy.context.scene)
    module = sys.modules[f"{ADDON}.service.client"]
    client = module.Client(SETTINGS["host"], SETTINGS["port"], SETTINGS["token"])
    field = view.fields[0]
    entry = {**view.projection.entry(), "transform_matrix": field.camera_to_capture}
    linear = client.render(SETTINGS["scene"], entry, field.seconds, dtype="float32").planes["combined"][
        ..., :3
    ]
    encoded = np.where(
        linear <= 0.0031308, 12.92 * linear, 1.055 * np.maximum(linear, 1e-9) ** (1 / 2.4) - 0.055
    )
    return np.clip(encoded, 0.0, 1.0)


def check(name: str) -> np.ndarray:
    screen, truth = shown(name)[PART], from_server()[PART]
    difference = np.abs(screen - truth).mean(axis=-1)
    shifted = np.abs(np.roll(screen, 4, axis=1) - truth).mean()
    print(
        f"{name}: screen and server differ by {255 * np.median(difference):.2f}/255 (median), "
        f"{255 * difference.mean():.2f} (mean); four pixels aside {255 * shifted:.2f}",
        flush=True,
    )
    assert np.median(difference) < 4 / 255 and difference.mean() < 0.6 * shifted
    return truth


def it_is_the_servers_picture() -> Steps:
    assert bpy.ops.neural_render.show_background("INVOKE_DEFAULT") == {"FINISHED"}
    yield from settled()
    check("background_first")


def it_follows_time_and_camera() -> Steps:
    scene = bpy.context.scene
    first = from_server()[PART]
    scene.frame_set(12)
    yield from settled()
    assert np.abs(check("background_later") - first).max() > 0.05
    scene.camera.location.x += 0.2
    yield from settled()
    check("background_moved")


def nothing_is_left() -> Steps:
    assert bpy.ops.neural_render.hide_background() == {"FINISHED"}
    yield from pause(10)
    camera = bpy.context.scene.camera.data
    assert len(camera.background_images) == 0 and not camera.show_background_images
    assert not [t.name for t in threading.enumerate() if t.name.startswith("neural-render")]
    assert not bpy.app.timers.is_registered(background()._tick)


def finished(name: str) -> Steps:
    """Until the work called ``name`` has come to its end."""
    task = bpy.context.window_manager.neural_render.task(name)
    assert task.is_running
    yield from wait_for(lambda: not task.is_running, name)
    assert not task.error, task.error
    yield from pause()


def the_proxy_comes_while_an_object_is_edited() -> Steps:
    scene = bpy.context.scene
    scene.neural_render.proxy.faces, scene.neural_render.proxy.resolution = 3000, 48
    sphere = bpy.context.view_layer.objects.active
    with bpy.context.temp_override(window=driver.window(), area=viewport(), region=driver.region("WINDOW")):
        bpy.ops.object.mode_set(mode="EDIT")
        assert bpy.ops.neural_render.make_proxy("INVOKE_DEFAULT") == {"RUNNING_MODAL"}
    yield from finished("proxy")
    proxy = scene.objects["stage Proxy"]
    assert 1000 < len(proxy.data.polygons) <= 3010 and proxy.data.uv_layers and proxy.is_shadow_catcher
    assert bpy.context.view_layer.objects.active == sphere and sphere.mode == "EDIT"
    driver.screenshot("proxy", driver.region("WINDOW"))
    with bpy.context.temp_override(window=driver.window(), area=viewport(), region=driver.region("WINDOW")):
        bpy.ops.object.mode_set(mode="OBJECT")


def the_light_comes_and_goes() -> Steps:
    scene = bpy.context.scene
    before, scene.neural_render.probe.width = scene.world, 64
    with bpy.context.temp_override(window=driver.window(), area=viewport(), region=driver.region("WINDOW")):
        assert bpy.ops.neural_render.light_probe("INVOKE_DEFAULT") == {"RUNNING_MODAL"}
    yield from finished("probe")
    assert scene.world != before and scene.world.node_tree.nodes["Neural Render Probe"].image.size[0] == 64
    eevee_lights_as_cycles()
    assert bpy.ops.neural_render.remove_light_probe() == {"FINISHED"}
    assert scene.world == before


def eevee_lights_as_cycles() -> None:
    """The white sphere in the probe's light, by both engines: as bright, and of the same tint, on the whole.

    EEVEE takes a world for a few smooth functions and a sun (spherical harmonics), so not pixel by pixel.
    """
    scene = bpy.context.scene
    sphere = bpy.context.view_layer.objects.active
    white = bpy.data.materials.new("White")
    white.node_tree.nodes["Principled BSDF"].inputs["Base Color"].default_value = (0.8, 0.8, 0.8, 1.0)
    white.node_tree.nodes["Principled BSDF"].inputs["Specular IOR Level"].default_value = 0.0
    sphere.data.materials.append(white)
    scene.objects["stage Proxy"].hide_render = True  # EEVEE has no shadow catcher: it would be seen
    render = scene.render
    render.film_transparent = True
    render.resolution_x, render.resolution_y = 96, 54
    colors = {}
    for engine in ("CYCLES", "BLENDER_EEVEE"):
        render.engine = engine
        scene.cycles.samples, scene.eevee.taa_render_samples = 32, 16
        path = OUT / f"probe_{engine}.exr"
        render.image_settings.media_type = "IMAGE"
        render.image_settings.file_format, render.image_settings.color_mode = "OPEN_EXR", "RGBA"
        render.filepath = str(path)
        assert bpy.ops.render.render(write_still=True) == {"FINISHED"}
        picture = bpy.data.images.load(str(path))
        pixels = np.array(picture.pixels).reshape(-1, 4)
        colors[engine] = pixels[pixels[:, 3] > 0.99, :3].mean(axis=0)
        bpy.data.images.remove(picture)
    ratio = colors["BLENDER_EEVEE"] / colors["CYCLES"]
    print(f"in the probe's light EEVEE is {ratio.round(3)} of Cycles {colors['CYCLES'].round(3)}", flush=True)
    assert colors["CYCLES"].min() > 0.01 and (np.abs(ratio - 1.0) < 0.2).all()


def everything() -> Steps:
    for step in (
        set_up,
        it_is_the_servers_picture,
        it_follows_time_and_camera,
        nothing_is_left,
        the_proxy_comes_while_an_object_is_edited,
        the_light_comes_and_goes,
    ):
        print(f"== {step.__name__}", flush=True)
        yield from step()
    print(f"the longest Blender went without a tick was {driver.longest_tick:.2f} s", flush=True)


driver.run(everything())
