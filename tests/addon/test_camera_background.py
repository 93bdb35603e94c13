"""The field as the scene camera's background: the server's picture, kept up to date, gone without trace."""

import sys
import threading
import time

import bpy
import numpy as np
import pytest

from tests.addon.conftest import EXTENSION
from tests.addon.engine.test_final import from_server, shot  # noqa: F401 - a fixture
from tests.addon.test_undo import check_undo_and_redo

PATIENCE = 120.0


def module():
    return sys.modules[f"{EXTENSION}.neural_render_addon.light.camera_background"]


@pytest.fixture
def scene(shot):  # noqa: F811
    shot.render.engine = "CYCLES"
    shot.render.resolution_percentage = 100
    yield shot
    module().stop()


def shown() -> np.ndarray:
    """(H, W, 4) what the camera's background image holds, rows from the top."""
    image = module().find_image(bpy.context.scene)
    width, height = image.size
    pixels = np.empty(width * height * 4, np.float32)
    image.pixels.foreach_get(pixels)
    return pixels.reshape(height, width, 4)[::-1]


def settle():
    """What Blender's timer does while it has a window."""
    end = time.monotonic() + PATIENCE
    while module()._preview.is_busy:
        assert module()._preview.poll(bpy.context) and time.monotonic() < end
        time.sleep(0.01)


def test_it_is_the_servers_picture_and_follows_time_and_camera(scene, server, trained):
    field = scene.neural_render.field
    assert bpy.ops.neural_render.show_background() == {"FINISHED"}
    slot = scene.camera.data.background_images[0]
    assert slot.image.use_view_as_render and scene.camera.data.show_background_images
    truth = from_server(server, trained, scene, field, 0.0)["combined"]
    assert shown() == pytest.approx(truth, abs=2e-3)  # half floats
    scene.frame_set(5)
    assert module()._preview.has_changed, "the handler noted the frame"
    settle()
    later = from_server(server, trained, scene, field, 4 / 24)["combined"]
    assert np.abs(later - truth).max() > 0.05 and shown() == pytest.approx(later, abs=2e-3)
    scene.camera.location.x += 0.3
    bpy.context.view_layer.update()
    settle()
    moved = from_server(server, trained, scene, field, 4 / 24)["combined"]
    assert np.abs(moved - later).max() > 0.05 and shown() == pytest.approx(moved, abs=2e-3)
    # another camera takes the picture over
    other = bpy.data.objects.new("Other", bpy.data.cameras.new("Other"))
    scene.collection.objects.link(other)
    first, scene.camera = scene.camera, other
    bpy.context.view_layer.update()
    settle()
    assert len(first.data.background_images) == 0 and len(other.data.background_images) == 1


def test_hiding_leaves_the_camera_as_it_was(scene):
    own = scene.camera.data.background_images.new()
    own.image = bpy.data.images.new("Own", 4, 4)
    before = {image.name for image in bpy.data.images}
    for _ in range(2):  # twice: nothing is doubled
        assert bpy.ops.neural_render.show_background() == {"FINISHED"}
    assert len(scene.camera.data.background_images) == 2
    assert bpy.ops.neural_render.hide_background() == {"FINISHED"}
    assert [slot.image.name for slot in scene.camera.data.background_images] == ["Own"]
    assert {image.name for image in bpy.data.images} == before
    assert not scene.camera.data.show_background_images and not scene.camera.data.keys()
    assert not [thread for thread in threading.enumerate() if thread.name == "neural-render-viewport"]
    assert module()._note_change not in bpy.app.handlers.frame_change_post
    assert not bpy.ops.neural_render.hide_background.poll()


def test_a_saved_file_goes_on_and_undo_takes_it_back(scene, tmp_path):
    check_undo_and_redo(bpy.ops.neural_render.show_background)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "shot.blend"))
    opened = bpy.context.scene
    assert module().find_image(opened) is not None and module()._preview is None
    assert bpy.ops.neural_render.show_background() == {"FINISHED"}
    assert len(opened.camera.data.background_images) == 1


def test_mistakes_are_told(scene):
    scene.neural_render.field.scale = (1.0, 1.0, 2.0)
    bpy.context.view_layer.update()
    with pytest.raises(RuntimeError, match="one uniform scale"):
        bpy.ops.neural_render.show_background()
    assert module().find_image(scene) is None and module()._preview is None
    scene.neural_render.field.scale = (1.0, 1.0, 1.0)
    scene.camera = None
    with pytest.raises(RuntimeError, match="no camera"):
        bpy.ops.neural_render.show_background()
