"""A shot with all that a .blend keeps of a field, and what it renders to; also a script for another Blender.

``python saved_shot.py SETTINGS`` makes it in this interpreter's Blender: SETTINGS is a JSON file with the
extension's ``zip``, the server's ``port`` and ``token``, the trained ``scene``, the ``folder`` to write to.
"""

import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

if __name__ == "__main__":
    os.environ["BLENDER_USER_RESOURCES"] = tempfile.mkdtemp(prefix="neural-render-blender-")
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import bpy

from neural_render_addon import versions
from tests.addon.layers_support import render_scene
from tests.addon.shots import rendered, shot_of

EXTENSION = "bl_ext.user_default.neural_render"


def edited_field(scene_folder: Path) -> bpy.types.Scene:
    """A field with time mapping, crop and exposure."""
    scene = shot_of(scene_folder)
    properties = scene.neural_render.field.neural_render
    properties.time_mapping, properties.speed, properties.time_offset = "PING_PONG", 0.5, 0.1
    properties.edit.exposure = 0.5
    assert bpy.ops.neural_render.crop_add(shape="SPHERE") == {"FINISHED"}
    properties.edit.crops[0].role = "REMOVE"
    properties.edit.crops[0].object.scale *= 0.4
    bpy.context.view_layer.update()
    return scene


def make(scene_folder: Path, folder: Path) -> bpy.types.Scene:
    """The edited field, its frames merged with a CG card and in the sequencer."""
    scene = edited_field(scene_folder)
    scene.neural_render.render.folder = str(folder / "frames")
    field = scene.neural_render.field
    bpy.ops.mesh.primitive_plane_add(size=2.0, location=field.location, rotation=(1.57, 0.0, 0.4))
    scene.cycles.samples, scene.cycles.use_denoising = 4, False
    scene.view_settings.view_transform = "Standard"
    scene.frame_start, scene.frame_end = 1, 2
    bpy.context.view_layer.update()
    assert bpy.ops.neural_render.render_frames() == {"FINISHED"}
    assert bpy.ops.neural_render.setup_compositing() == {"FINISHED"}
    assert bpy.ops.neural_render.add_strip() == {"FINISHED"}
    return scene


def pictures(scene: bpy.types.Scene, folder: Path, name: str) -> None:
    """NAME_field.exr by the engine, NAME_shot.exr by Cycles and the compositor, NAME_strip.exr: the strip."""
    folder.mkdir(exist_ok=True)
    scene.frame_set(2)
    scene.render.use_compositing = False
    scene.render.engine = "NEURAL_RENDER"
    rendered(scene, folder, f"{name}_field")
    scene.render.use_compositing = True
    scene.render.engine = "CYCLES"
    render_scene(scene, folder / f"{name}_shot.exr")
    scene.render.use_sequencer = True
    render_scene(scene, folder / f"{name}_strip.exr")
    scene.render.use_sequencer = False


def main() -> None:
    settings = json.loads(Path(sys.argv[1]).read_text())
    bpy.ops.extensions.package_install_files(
        filepath=settings["zip"], repo="user_default", enable_on_install=True
    )
    bpy.ops.wm.read_factory_settings(use_empty=True)
    if EXTENSION not in bpy.context.preferences.addons:
        bpy.ops.preferences.addon_enable(module=EXTENSION)
    preferences = bpy.context.preferences.addons[EXTENSION].preferences
    preferences.port, preferences.token = settings["port"], settings["token"]
    folder = Path(settings["folder"])
    scene = make(Path(settings["scene"]), folder)
    pictures(scene, folder, "made")
    bpy.ops.wm.save_as_mainfile(filepath=str(folder / "shot.blend"))
    print("made in", bpy.app.version_string, "a tree:", versions.uses_compositor_tree(scene), flush=True)
    shutil.rmtree(os.environ["BLENDER_USER_RESOURCES"], ignore_errors=True)
    os._exit(0)  # a wheel may hang in its clean-up


if __name__ == "__main__":
    main()
