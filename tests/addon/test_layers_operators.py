"""Set Up and Remove Compositing, Add and Remove Strip, as a script calls them on the enabled extension."""

import warnings

import bpy
import numpy as np
import pytest

from neural_render_addon import versions
from tests.addon.conftest import EXTENSION
from tests.addon.layers_support import chosen_field, give_frames, read_rgba, render_scene

WIDTH, HEIGHT = 16, 12


@pytest.fixture
def field(empty_scene):
    """A chosen field object in a small scene with a camera."""
    scene = empty_scene
    scene.render.engine = "CYCLES"
    scene.cycles.samples = 1
    scene.render.resolution_x, scene.render.resolution_y = WIDTH, HEIGHT
    return chosen_field(scene)


def node_count(scene):
    return sum(node.type == "GROUP" for node in versions.compositor_tree(scene).nodes)


def test_compositing_set_up_twice_rendered_and_removed(field, tmp_path):
    scene = bpy.context.scene
    give_frames(field, tmp_path, [4, 5])
    assert bpy.ops.neural_render.setup_compositing() == {"FINISHED"}
    assert bpy.ops.neural_render.setup_compositing() == {"FINISHED"}
    assert node_count(scene) == 1
    scene.frame_set(5)
    result = read_rgba(render_scene(scene, tmp_path / "out.exr"))
    np.testing.assert_allclose(result, np.full_like(result, 1) * (0.05, 0.5, 0.25, 1.0), atol=1e-6)
    assert bpy.ops.neural_render.remove_compositing() == {"FINISHED"}
    assert not versions.uses_compositor_tree(scene)
    assert (tmp_path / "Stage_0005.exr").is_file()


def test_relative_folder_beside_the_blend(field, tmp_path):
    (tmp_path / "frames").mkdir()
    give_frames(field, tmp_path / "frames", [1])
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot.blend"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # Blender warns where a property knows no paths relative to the .blend
        field.neural_render.render_folder = "//frames"
    assert bpy.ops.neural_render.setup_compositing() == {"FINISHED"}


def test_set_up_survives_saving_and_is_removed_from_the_file(field, tmp_path):
    give_frames(field, tmp_path, [1])
    bpy.ops.neural_render.setup_compositing()
    bpy.ops.neural_render.add_strip()
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "shot.blend"))
    scene = bpy.context.scene
    assert node_count(scene) == 1
    assert bpy.ops.neural_render.setup_compositing() == {"FINISHED"}
    assert node_count(scene) == 1
    assert bpy.ops.neural_render.remove_compositing() == {"FINISHED"}
    assert bpy.ops.neural_render.remove_strip() == {"FINISHED"}
    assert not versions.uses_compositor_tree(scene)
    assert scene.render.use_sequencer and not scene.render.film_transparent


def test_strip_added_twice_and_removed(field, tmp_path):
    give_frames(field, tmp_path, [1, 2])
    assert bpy.ops.neural_render.add_strip() == {"FINISHED"}
    assert bpy.ops.neural_render.add_strip() == {"FINISHED"}
    (strip,) = bpy.context.scene.sequence_editor.strips
    assert strip.name == "Stage" and len(strip.elements) == 2
    assert bpy.ops.neural_render.remove_strip() == {"FINISHED"}
    assert not bpy.context.scene.sequence_editor.strips


@pytest.mark.parametrize("name", ["setup_compositing", "add_strip"])
def test_nothing_rendered_yet(field, name):
    with pytest.raises(RuntimeError, match="run Render Frames first"):
        getattr(bpy.ops.neural_render, name)()


@pytest.mark.parametrize("name", ["setup_compositing", "add_strip"])
def test_frames_deleted_meanwhile(field, tmp_path, name):
    give_frames(field, tmp_path, [1])
    (tmp_path / "Stage_0001.exr").unlink()
    with pytest.raises(RuntimeError, match=r"Stage_0001\.exr.*run Render Frames first"):
        getattr(bpy.ops.neural_render, name)()
    field.neural_render.render_folder = str(tmp_path / "gone")
    with pytest.raises(RuntimeError, match="is gone; run Render Frames again"):
        getattr(bpy.ops.neural_render, name)()


def test_colour_without_depth_is_enough_for_a_strip_only(field, tmp_path):
    import OpenEXR

    give_frames(field, tmp_path, [1])
    plane = np.zeros((HEIGHT, WIDTH), np.float32)
    channels = {f"ViewLayer.Combined.{name}": plane for name in "RGBA"}
    OpenEXR.File({"type": OpenEXR.scanlineimage}, channels).write(str(tmp_path / "Stage_0001.exr"))
    assert bpy.ops.neural_render.add_strip() == {"FINISHED"}
    with pytest.raises(RuntimeError, match="no Depth pass; run Render Frames again with Depth on"):
        bpy.ops.neural_render.setup_compositing()


def test_nothing_to_remove(field):
    with pytest.raises(RuntimeError, match="press Set Up Compositing first"):
        bpy.ops.neural_render.remove_compositing()
    with pytest.raises(RuntimeError, match="press Add Strip first"):
        bpy.ops.neural_render.remove_strip()


def test_a_deleted_field_is_removed_too(field, tmp_path):
    give_frames(field, tmp_path, [1])
    bpy.ops.neural_render.setup_compositing()
    bpy.data.objects.remove(field)
    assert not bpy.ops.neural_render.setup_compositing.poll()
    assert bpy.ops.neural_render.remove_compositing() == {"FINISHED"}
    assert not versions.uses_compositor_tree(bpy.context.scene)
    assert not bpy.ops.neural_render.remove_compositing.poll()


def test_no_field_is_told_before_anything_is_done(empty_scene):
    assert EXTENSION in bpy.context.preferences.addons
    assert not bpy.ops.neural_render.setup_compositing.poll()
    with pytest.raises(RuntimeError, match="Import a capture"):
        bpy.ops.neural_render.setup_compositing()
