"""Shots in .blend files: saved and loaded, made by an older Blender, linked and appended."""

import json
import os
import subprocess
import sys
from pathlib import Path

import bpy
import numpy as np
import pytest

from neural_render_addon import versions
from neural_render_addon.composite import compositing, strips
from tests.addon.conftest import EXTENSION, REPOSITORY, use_server
from tests.addon.layers_support import read_rgba
from tests.addon.saved_shot import edited_field, make, pictures
from tests.addon.shots import read_channels, rendered, rgba


@pytest.fixture(scope="module")
def old_python():
    """Blender 4.5's Python, the oldest that is supported."""
    default = REPOSITORY / ".venvs" / "blender-4.5" / "bin" / "python"
    python = Path(os.environ.get("NEURAL_RENDER_BLENDER_45_PYTHON", default))
    if not python.exists():
        pytest.skip(f"{python} does not exist; name Blender 4.5's in NEURAL_RENDER_BLENDER_45_PYTHON")
    return python


def check(scene, folder):
    """All of ``saved_shot.make`` is there, works, and gives the pictures that it gave."""
    field = scene.neural_render.field
    properties = field.neural_render
    assert (properties.time_mapping, properties.speed) == ("PING_PONG", 0.5)
    assert properties.time_offset == pytest.approx(0.1)
    assert properties.edit.exposure == 0.5
    (crop,) = properties.edit.crops
    assert (crop.role, crop.shape, crop.object.name in scene.objects) == ("REMOVE", "SPHERE", True)
    assert compositing.find_node(scene, field) is not None
    (strip,) = strips.find_strips(scene, field)
    assert len(strip.elements) == 2
    pictures(scene, folder, "loaded")
    made, loaded = (rgba(read_channels(folder / f"{name}_field.exr")) for name in ("made", "loaded"))
    assert made[..., 3].max() > 0.9 and np.abs(made - loaded).max() < 1e-5
    for picture in ("shot", "strip"):
        made, loaded = (read_rgba(folder / f"{name}_{picture}.exr") for name in ("made", "loaded"))
        assert made[..., 3].mean() > 0.1 and np.ptp(made[..., 0]) > 0.1
        # Cycles' noise may differ from one Blender to the next; a merge that is wrong does everywhere.
        assert np.abs(made - loaded).mean() < 0.01, picture


def check_set_up_again(scene):
    """Nothing is doubled; and what is taken out is gone."""
    assert bpy.ops.neural_render.setup_compositing() == {"FINISHED"}
    assert bpy.ops.neural_render.add_strip() == {"FINISHED"}
    assert len(compositing._our_nodes(scene)) == len(strips.find_strips(scene)) == 1
    assert bpy.ops.neural_render.remove_compositing() == {"FINISHED"}
    assert bpy.ops.neural_render.remove_strip() == {"FINISHED"}
    assert not versions.uses_compositor_tree(scene) and not strips.find_strips(scene)


def test_a_saved_shot_is_the_same_when_loaded(connected, trained, tmp_path):
    scene = make(trained.path, tmp_path)
    pictures(scene, tmp_path, "made")
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot.blend"))
    bpy.ops.wm.read_homefile(use_empty=True)
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "shot.blend"))
    use_server(connected)
    check(bpy.context.scene, tmp_path)
    check_set_up_again(bpy.context.scene)


@pytest.mark.skipif(bpy.app.version < (5, 0), reason="the older Blender of the two cannot open newer files")
def test_a_shot_made_by_the_older_blender_works(connected, trained, built_zip, old_python, tmp_path):
    settings = {"zip": built_zip, "port": connected.port, "token": connected.token}
    settings |= {"scene": trained.path, "folder": tmp_path}
    (tmp_path / "settings.json").write_text(json.dumps(settings, default=str))
    script = Path(__file__).with_name("saved_shot.py")
    result = subprocess.run(
        [str(old_python), str(script), str(tmp_path / "settings.json")],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert "made in 4.5" in result.stdout, result.stdout + result.stderr
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "shot.blend"))
    use_server(connected)
    check(bpy.context.scene, tmp_path)
    check_set_up_again(bpy.context.scene)


@pytest.mark.parametrize(
    ("what", "is_linked"),
    [("objects", False), ("collections", True)],
    ids=["objects appended", "collection linked"],
)
def test_a_field_in_another_file(connected, trained, tmp_path, what, is_linked):
    """It is rendered where it stands, cut and lit as in its own file, with the time of the scene it is in."""
    scene = edited_field(trained.path)
    field = scene.neural_render.field
    crop = field.neural_render.edit.crops[0].object
    collection = bpy.data.collections.new("Set")
    scene.collection.children.link(collection)
    for obj in (field, crop):
        for user in obj.users_collection:
            user.objects.unlink(obj)
        collection.objects.link(obj)
    scene.frame_set(2)
    truth = rgba(rendered(scene, tmp_path, "own"))
    pose, lens = scene.camera.matrix_world.copy(), scene.camera.data.lens
    field_name, crop_name = field.name, crop.name
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "set.blend"))

    bpy.ops.wm.read_homefile(use_empty=True)
    use_server(connected)
    scene = bpy.context.scene
    with bpy.data.libraries.load(str(tmp_path / "set.blend"), link=is_linked) as (_, target):
        setattr(target, what, [field_name, crop_name] if what == "objects" else ["Set"])
    for block in getattr(target, what):
        if what == "objects":
            scene.collection.objects.link(block)
        else:
            scene.collection.children.link(block)
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    camera.data.lens, camera.matrix_world = lens, pose
    scene.collection.objects.link(camera)
    scene.camera = camera
    module = sys.modules[f"{EXTENSION}.neural_render_addon.fields"]
    scene.neural_render.field = scene.objects[field_name]
    assert module.chosen_field(bpy.context).neural_render.scene_path == str(trained.path)
    scene.render.engine = "NEURAL_RENDER"
    height, width, _ = truth.shape
    scene.render.resolution_x, scene.render.resolution_y = width, height
    scene.frame_set(2)
    assert np.abs(rgba(rendered(scene, tmp_path, "other")) - truth).max() < 1e-3
    if is_linked:
        scene.frame_start = scene.frame_end = 2
        scene.neural_render.render.folder = str(tmp_path / "linked")
        assert bpy.ops.neural_render.render_frames() == {"FINISHED"}
        assert len(list((tmp_path / "linked").glob("*.exr"))) == 1
