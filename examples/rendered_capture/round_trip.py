"""A CG scene filmed by a rig of cameras, trained, and seen again by the camera that was held out.

    python examples/rendered_capture/round_trip.py --zip dist/neural_render-0.1.0.zip \\
        --server-python .venvs/server/bin/python --out out/rendered_capture

runs with the Python of a ``bpy`` wheel. It prints the held-out camera's PSNR and writes ``beside.png``: what
Cycles rendered above, what the trained field shows below.
"""

from __future__ import annotations

import argparse
import math
import os
import shutil
import sys
import tempfile
from pathlib import Path

# A bpy wheel gets user folders of its own, so that this leaves no extension in the artist's Blender.
USER_FOLDER = tempfile.mkdtemp(prefix="neural-render-example-")
os.environ.setdefault("BLENDER_USER_RESOURCES", USER_FOLDER)

import bpy  # noqa: E402
import numpy as np  # noqa: E402

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "demo"))
import pictures  # noqa: E402

EXTENSION = "bl_ext.user_default.neural_render"
SAMPLES = 16  # denoised
HELD_OUT = 5  # the sixth camera, in the middle of the arc


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="where the film, the field and pictures go")
    parser.add_argument("--zip", type=Path, required=True, help="the built extension")
    parser.add_argument(
        "--server-python", type=Path, required=True, help="Python of the server's environment"
    )
    parser.add_argument("--minutes", type=float, default=4.0, help="training time")
    parser.add_argument("--cameras", type=int, default=11)
    parser.add_argument("--frames", type=int, default=6)
    parser.add_argument("--width", type=int, default=320)
    parser.add_argument("--height", type=int, default=180)
    return parser.parse_args()


def enable_extension(arguments: argparse.Namespace) -> None:
    bpy.ops.extensions.package_install_files(
        filepath=str(arguments.zip.resolve()), repo="user_default", enable_on_install=True
    )
    preferences = bpy.context.preferences.addons[EXTENSION].preferences
    # Not resolved: a virtual environment's Python is a link out of it.
    preferences.environment = str(Path(os.path.abspath(arguments.server_python)).parent.parent)
    preferences.state_dir = str(arguments.out / "server")


def build_scene(scene: bpy.types.Scene, arguments: argparse.Namespace) -> bpy.types.Object:
    """A sunlit floor and wall with boxes, and a monkey's head that turns; the head."""
    scene.render.engine, scene.render.fps = "CYCLES", 12
    scene.render.resolution_x, scene.render.resolution_y = arguments.width, arguments.height
    scene.cycles.samples, scene.cycles.use_denoising, scene.cycles.max_bounces = SAMPLES, True, 2
    scene.frame_start, scene.frame_end = 1, arguments.frames
    scene.world = bpy.data.worlds.new("Sky")
    scene.world.color = (0.35, 0.4, 0.5)
    sun = bpy.data.objects.new("Sun", bpy.data.lights.new("Sun", "SUN"))
    sun.data.energy, sun.data.angle, sun.rotation_euler = 2.0, 0.1, (0.7, 0.3, 0.4)
    scene.collection.objects.link(sun)
    bpy.ops.mesh.primitive_plane_add(size=12, location=(0, 0, -1))
    paint(bpy.context.object, 1.5)
    bpy.ops.mesh.primitive_plane_add(size=12, location=(0, 3.5, 0), rotation=(math.pi / 2, 0, 0))
    paint(bpy.context.object, 1.0)
    for x, y, size in ((-2.0, 1.0, 0.9), (2.1, 0.6, 0.7), (1.5, -1.0, 0.4), (-1.4, -0.9, 0.5)):
        bpy.ops.mesh.primitive_cube_add(size=size, location=(x, y, -1 + size / 2), rotation=(0, 0, x))
        paint(bpy.context.object, 4.0)
    bpy.ops.mesh.primitive_monkey_add(size=2.0)
    head = bpy.context.object
    bpy.ops.object.shade_smooth()
    paint(head, 2.5)
    for frame, turn in ((1, -0.5), (arguments.frames, 0.5)):
        head.rotation_euler.z = turn
        head.keyframe_insert("rotation_euler", frame=frame)
    return head


def paint(obj: bpy.types.Object, scale: float) -> None:
    """A matte material of coloured patches, fixed to the object."""
    material = bpy.data.materials.new(obj.name)
    if not pictures.IS_5:
        material.use_nodes = True
    tree = material.node_tree
    shader = next(node for node in tree.nodes if node.type == "BSDF_PRINCIPLED")
    shader.inputs["Roughness"].default_value = 1.0
    place, noise = tree.nodes.new("ShaderNodeTexCoord"), tree.nodes.new("ShaderNodeTexNoise")
    noise.inputs["Scale"].default_value = scale
    tree.links.new(place.outputs["Object"], noise.inputs["Vector"])
    tree.links.new(noise.outputs["Color"], shader.inputs["Base Color"])
    obj.data.materials.append(material)


def film(scene: bpy.types.Scene, target: bpy.types.Object, arguments: argparse.Namespace) -> Path:
    """Render the capture; its folder."""
    bpy.ops.neural_render.add_rig(
        shape="ARC",
        target=target.name,
        count=arguments.cameras,
        radius=6.0,
        angle=1.0,
        elevation=0.25,
        lens=32.0,
    )
    settings = scene.neural_render.capture
    settings.folder = str(arguments.out / "film")
    settings.split, settings.test_camera = "CAMERA", bpy.data.objects[f"cam{HELD_OUT:02d}"]
    settings.keep_frames = True
    bpy.ops.neural_render.render_capture()
    return Path(settings.folder)


def train_and_render(scene: bpy.types.Scene, capture: Path, arguments: argparse.Namespace) -> Path:
    """Train the capture and render the held-out camera's frames; their folder."""
    bpy.ops.neural_render.server_start()
    bpy.ops.neural_render.import_capture(filepath=str(capture), use_clips=False)
    scene.neural_render.train.minutes = arguments.minutes
    scene.neural_render.train.folder = str(arguments.out / "field")
    scene.neural_render.train.overwrite = True
    bpy.ops.neural_render.train()
    scene.camera = bpy.data.objects[f"cam{HELD_OUT:02d}"]
    settings = scene.neural_render.render
    settings.folder, settings.background = str(arguments.out / "frames"), "field"
    bpy.ops.neural_render.render_frames()
    return Path(settings.folder)


def frame_as_png(path: Path, scene: bpy.types.Scene) -> np.ndarray:
    """A rendered EXR as it looks in the Standard view, (H, W, 4)."""
    scene.view_settings.view_transform = "Standard"
    pictures.set_output(scene, "PNG")
    target = path.with_suffix(".png")
    # A multilayer image has no pixels that a script can read; the sequencer shows its combined pass.
    strip = scene.sequence_editor_create().strips.new_image("Frame", str(path), 1, scene.frame_current)
    scene.render.use_sequencer, scene.render.filepath = True, str(target)
    bpy.ops.render.render(write_still=True)
    scene.sequence_editor.strips.remove(strip)
    return pictures.read_png(target)


def main() -> None:
    arguments = parse_arguments()
    arguments.out = arguments.out.resolve()
    arguments.out.mkdir(parents=True, exist_ok=True)
    bpy.ops.wm.read_factory_settings(use_empty=True)
    enable_extension(arguments)
    scene = bpy.context.scene
    head = build_scene(scene, arguments)
    capture = film(scene, head, arguments)
    frames = train_and_render(scene, capture, arguments)
    shown, scores = [], []
    for frame in range(1, arguments.frames + 1):
        scene.frame_set(frame)
        truth = pictures.read_png(capture / "images" / f"cam{HELD_OUT:02d}_{frame:04d}.png")
        seen = frame_as_png(next(frames.glob(f"*_{frame:04d}.exr")), scene)
        scores.append(-10.0 * np.log10(np.mean((truth[..., :3] - seen[..., :3]) ** 2)))
        if frame in (1, (arguments.frames + 1) // 2, arguments.frames):
            shown.append(np.concatenate([truth, seen]))
    sheet = np.concatenate(shown, axis=1)
    sheet[..., 3] = 1.0
    pictures.write_png(arguments.out / "beside.png", sheet)
    print(f"held-out camera: {np.mean(scores):.2f} dB over {len(scores)} frames", flush=True)
    bpy.ops.neural_render.server_stop()


if __name__ == "__main__":
    try:
        main()
    finally:
        shutil.rmtree(USER_FOLDER, ignore_errors=True)
    sys.stdout.flush()
    os._exit(0)  # the wheels may hang in their own clean-up
