"""The main job end to end, in Blender without a window: a filmed set becomes a composited shot.

    python examples/demo/shot.py --zip dist/neural_render-0.1.0.zip --capture examples/stage24 \\
        --server-python .venvs/server/bin/python --out out/demo

runs with the Python of a ``bpy`` wheel; in Blender itself: ``blender -b -P examples/demo/shot.py -- ...``.
Everything that the add-on does is called as an artist's script would: through ``bpy.ops.neural_render``.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

# A bpy wheel gets user folders of its own, so that the demo leaves no extension in the artist's Blender.
USER_FOLDER = tempfile.mkdtemp(prefix="neural-render-demo-")
os.environ.setdefault("BLENDER_USER_RESOURCES", USER_FOLDER)

import bpy  # noqa: E402

sys.path.insert(0, str(Path(__file__).resolve().parent))
import pictures  # noqa: E402
import set_pieces  # noqa: E402

EXTENSION = "bl_ext.user_default.neural_render"
STILLS = 6  # columns of the contact sheet
CG_SAMPLES = 12  # denoised; the processor's two cores take about 3 s a frame
FILM_FPS = 12  # the second that was filmed, shown slower than it was
REPORT_SECONDS = 10.0


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--capture", type=Path, required=True, help="the bundled capture, or its like")
    parser.add_argument("--out", type=Path, required=True, help="where film, pictures and the .blend go")
    parser.add_argument("--zip", type=Path, required=True, help="the built extension")
    parser.add_argument(
        "--server-python", type=Path, required=True, help="Python of the server's environment"
    )
    parser.add_argument("--minutes", type=float, default=2.5, help="training time")
    parser.add_argument("--frames", type=int, default=36, help="frames of the shot, which spans the capture")
    parser.add_argument("--width", type=int, default=320)
    parser.add_argument("--height", type=int, default=240)
    own = sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else sys.argv[1:]
    return parser.parse_args(own)


@contextmanager
def step(title: str) -> Iterator[None]:
    """Say what is done and how long it took."""
    print(f"[demo] {title}", flush=True)
    start = time.monotonic()
    yield
    print(f"[demo] {title}: {time.monotonic() - start:.1f} s", flush=True)


def enable_extension(arguments: argparse.Namespace) -> None:
    bpy.ops.extensions.package_install_files(
        filepath=str(arguments.zip.resolve()), repo="user_default", enable_on_install=True
    )
    preferences = bpy.context.preferences.addons[EXTENSION].preferences
    preferences.environment = str(environment_of(arguments.server_python))
    # A server of its own, so that the demo neither finds nor disturbs another one.
    preferences.state_dir = str(arguments.out / "server")


def environment_of(python: Path) -> Path:
    """The virtual environment that an interpreter belongs to; its links are not followed out of it."""
    return Path(os.path.abspath(python)).parent.parent


@contextmanager
def progress_of_jobs() -> Iterator[None]:
    """Print the server's running job now and then: a blocking operator leaves the panel's bar to others."""
    ended = threading.Event()
    addon = import_module(f"{EXTENSION}.neural_render_addon.service.server_process")
    settings = import_module(f"{EXTENSION}.neural_render_addon.settings.preferences").server_settings(
        bpy.context
    )

    def watch() -> None:
        client = addon.connect(settings).client
        while not ended.wait(REPORT_SECONDS):
            for job in client.jobs():
                if job.state == "running":
                    left = "" if job.time_left is None else f", {job.time_left:.0f} s left"
                    psnr = job.metrics.get("psnr")
                    measured = "" if psnr is None else f", {psnr:.1f} dB"
                    print(f"[demo]   {job.kind} {job.progress:.0%}{left}{measured} {job.message}", flush=True)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def set_scene(scene: bpy.types.Scene, arguments: argparse.Namespace) -> None:
    """Frames, size and Cycles on the processor, at the quality of a preview."""
    scene.frame_start, scene.frame_end = 1, arguments.frames
    render = scene.render
    render.engine = "CYCLES"
    render.resolution_x, render.resolution_y = arguments.width, arguments.height
    render.resolution_percentage, render.fps = 100, 24
    scene.cycles.device, scene.cycles.samples = "CPU", CG_SAMPLES
    scene.cycles.use_denoising = True
    scene.cycles.max_bounces = 3
    scene.view_settings.view_transform = "Standard"  # as the capture was filmed


def train(scene: bpy.types.Scene, arguments: argparse.Namespace) -> None:
    settings = scene.neural_render.train
    settings.budget, settings.minutes = "MINUTES", arguments.minutes
    settings.test_cameras = "cam00"
    settings.folder, settings.overwrite = str(arguments.out / "stage.scene"), True
    with progress_of_jobs():
        bpy.ops.neural_render.train()


def render_field(scene: bpy.types.Scene, arguments: argparse.Namespace) -> None:
    """The shot spans the whole capture, whatever its number of frames: slow motion between timesteps."""
    field = scene.neural_render.field.neural_render
    filmed = field.duration - 1.0 / field.fps
    field.speed = filmed * scene.render.fps / max(arguments.frames - 1, 1)
    scene.neural_render.render.folder = str(arguments.out / "field")
    with progress_of_jobs():
        bpy.ops.neural_render.render_frames()


def render_stills(scene: bpy.types.Scene, composite: list[Path], folder: Path) -> list[list[Path]]:
    """Rows of the contact sheet: the field (from its strip), CG with its shadow alone, and the composite."""
    last = len(composite) - 1
    frames = sorted({1 + round(last * i / max(STILLS - 1, 1)) for i in range(STILLS)})
    scene.render.use_sequencer = True
    field = [pictures.render_frame(scene, frame, folder / f"field_{frame:04d}.png") for frame in frames]
    scene.render.use_sequencer = scene.render.use_compositing = False
    # Without the compositor nothing applies the Shadow Catcher pass: let Cycles put shadows into alpha.
    scene.view_layers[0].cycles.use_pass_shadow_catcher = False
    cg = [pictures.render_frame(scene, frame, folder / f"cg_{frame:04d}.png") for frame in frames]
    scene.render.use_compositing = scene.view_layers[0].cycles.use_pass_shadow_catcher = True
    return [field, cg, [composite[frame - 1] for frame in frames]]


def main() -> None:
    arguments = parse_arguments()
    arguments.out = arguments.out.resolve()
    stills = arguments.out / "stills"
    stills.mkdir(parents=True, exist_ok=True)
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    with step("install the extension and start the server"):
        enable_extension(arguments)
        bpy.ops.neural_render.server_start()
    try:
        with step("import the capture"):
            bpy.ops.neural_render.import_capture(filepath=str(arguments.capture.resolve()))
        set_scene(scene, arguments)
        with step(f"train for {arguments.minutes:g} minutes"):
            train(scene, arguments)
        with step("add CG: props, shadow catcher, lights, camera move"):
            set_pieces.add_props(scene)
            set_pieces.add_shadow_catcher(scene)
            set_pieces.add_lights(scene)
            set_pieces.add_camera_move(scene)
        with step(f"render {arguments.frames} frames of the field"):
            render_field(scene, arguments)
    finally:
        bpy.ops.neural_render.server_stop()

    bpy.ops.neural_render.setup_compositing()
    bpy.ops.neural_render.add_strip()
    bpy.ops.wm.save_as_mainfile(filepath=str(arguments.out / "shot.blend"))
    with step(f"render {arguments.frames} frames of CG with Cycles and composite them"):
        composite = [
            pictures.render_frame(scene, frame, arguments.out / "composite" / f"shot_{frame:04d}.png")
            for frame in range(scene.frame_start, scene.frame_end + 1)
        ]
    with step("film and contact sheet"):
        pictures.contact_sheet(render_stills(scene, composite, stills), arguments.out / "contact_sheet.png")
        size = (arguments.width, arguments.height)
        pictures.write_film(composite, FILM_FPS, size, arguments.out / "shot.mp4")
    print(f"[demo] {arguments.out / 'contact_sheet.png'} and {arguments.out / 'shot.mp4'}", flush=True)


if __name__ == "__main__":
    code = 0
    try:
        main()
    except Exception:
        traceback.print_exc()
        code = 1
    shutil.rmtree(USER_FOLDER, ignore_errors=True)
    sys.stdout.flush()
    # A bpy wheel can hang or crash when its interpreter winds down; all files are written.
    os._exit(code) if not bpy.app.binary_path else sys.exit(code)
