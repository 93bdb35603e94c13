"""The pictures of docs/light.md: CG that takes its light and its ground from a trained field.

    python examples/demo/light.py --zip dist/neural_render-0.1.0.zip --scene out/demo/stage.scene \\
        --server-python .venvs/server/bin/python --out out/light

runs with the Python of a ``bpy`` wheel on the scene that the demo has trained. It leaves the field alone, its
proxy mesh, the CG on that proxy in the field's light, and the light itself, in ``light.png`` and one by one.
"""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import shot

SIZE = (480, 360)

# After shot, which gives a bpy wheel user folders of its own.
import bpy  # noqa: E402
import pictures  # noqa: E402
import set_pieces  # noqa: E402
from mathutils import Vector  # noqa: E402

# The CG stands on the floor between the flame and the head, where the proxy is flat and the light mixed.
PLACE = Vector((0.2, -0.3, 0.0))
RADIUS = 0.24


def add_balls(scene: bpy.types.Scene) -> bpy.types.Object:
    """A grey ball, which shows the light, and a mirror, which shows where from; returns the first."""
    balls = []
    for name, color, roughness, metallic, across in (
        ("Grey Ball", (0.6, 0.6, 0.6), 0.9, 0.0, -0.3),
        ("Mirror Ball", (0.95, 0.95, 0.95), 0.03, 1.0, 0.3),
    ):
        place = on_the_floor(scene, PLACE + Vector((across, 0.0, 0.0))) + Vector((0.0, 0.0, RADIUS))
        bpy.ops.mesh.primitive_uv_sphere_add(radius=RADIUS, segments=64, ring_count=32, location=place)
        ball = bpy.context.object
        ball.name = name
        ball.data.shade_smooth()
        ball.data.materials.append(set_pieces.metal(name, color, roughness))
        shader = ball.data.materials[0].node_tree.nodes["Principled BSDF"]
        shader.inputs["Metallic"].default_value = metallic
        balls.append(ball)
    return balls[0]


def on_the_floor(scene: bpy.types.Scene, place: Vector) -> Vector:
    """Where the proxy is below ``place``: it stands in for the floor that was filmed."""
    proxy = next(obj for obj in scene.objects if obj.name.endswith("Proxy"))
    bpy.context.view_layer.update()
    hit, below, _, _ = proxy.ray_cast(place + Vector((0.0, 0.0, 0.5)), Vector((0.0, 0.0, -1.0)))
    if not hit:
        raise RuntimeError(f"the proxy has no floor below {place}")
    return below


def render_proxy(scene: bpy.types.Scene, path: Path) -> Path:
    """The proxy alone, as a grey object in the field's light."""
    proxy = next(obj for obj in scene.objects if obj.name.endswith("Proxy"))
    others = [obj for obj in scene.objects if obj.type == "MESH" and obj is not proxy]
    proxy.is_shadow_catcher, scene.render.use_compositing = False, False
    scene.view_settings.exposure = -1.5  # white in the sun
    for obj in others:
        obj.hide_render = True
    pictures.render_frame(scene, scene.frame_current, path)
    proxy.is_shadow_catcher, scene.render.use_compositing = True, True
    scene.view_settings.exposure = 0.0
    for obj in others:
        obj.hide_render = False
    return path


def make(arguments: argparse.Namespace) -> None:
    scene, out = bpy.context.scene, arguments.out
    bpy.ops.neural_render.open_scene(filepath=str(arguments.scene.resolve()))
    arguments.frames, (arguments.width, arguments.height) = 1, SIZE
    shot.set_scene(scene, arguments)
    scene.cycles.samples = 24
    camera = set_pieces.add_camera_move(scene)
    camera.animation_data_clear()
    camera.location = PLACE + Vector((0.9, -3.0, 1.1))
    camera.rotation_euler = (
        (PLACE + Vector((0.0, 0.3, 0.35)) - camera.location).to_track_quat("-Z", "Y").to_euler()
    )
    key = bpy.data.objects.new("Key", bpy.data.lights.new("Key", "SUN"))
    key.data.energy, key.data.angle = 4.0, 0.1
    key.rotation_euler = Vector((0.7, 0.25, -0.75)).to_track_quat("-Z", "Y").to_euler()
    scene.collection.objects.link(key)

    scene.neural_render.render.folder = str(out / "field")
    bpy.ops.neural_render.render_frames()
    with shot.step("make the proxy"):
        bpy.ops.neural_render.make_proxy()
    settings = scene.neural_render.probe
    settings.place, settings.folder = add_balls(scene), str(out / "light")
    with shot.step("render the light probe"):
        bpy.ops.neural_render.light_probe()
    bpy.ops.neural_render.setup_compositing()
    composite = pictures.render_frame(scene, 1, out / "composite.png")
    proxy = render_proxy(scene, out / "proxy.png")
    for obj in scene.objects:
        if "Ball" in obj.name or obj.name.endswith("Proxy"):
            obj.hide_render = True
    field = pictures.render_frame(scene, 1, out / "field.png")
    pictures.contact_sheet([[field, proxy, composite]], out / "light.png")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scene", type=Path, required=True, help="the trained scene folder of the demo")
    parser.add_argument("--out", type=Path, required=True, help="where the pictures go")
    parser.add_argument("--zip", type=Path, required=True, help="the built extension")
    parser.add_argument("--server-python", type=Path, required=True, help="the Python with the server")
    arguments = parser.parse_args(sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else None)
    arguments.out = arguments.out.resolve()
    arguments.out.mkdir(parents=True, exist_ok=True)
    bpy.ops.wm.read_factory_settings(use_empty=True)
    shot.enable_extension(arguments)
    bpy.ops.neural_render.server_start()
    try:
        make(arguments)
        bpy.ops.wm.save_as_mainfile(filepath=str(arguments.out / "light.blend"))
    finally:
        bpy.ops.neural_render.server_stop()


if __name__ == "__main__":
    code = 0
    try:
        main()
    except Exception:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    os._exit(code)  # a bpy wheel can hang when its interpreter winds down; all files are written
