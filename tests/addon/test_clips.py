"""The clips behind imported cameras: at every scene frame the picture that was taken then, whatever the
camera's start and rate and whatever the scene's."""

import json
import shutil

import bpy
import pytest

from neural_render_addon.service.client import Client
from tests.addon.test_import import do_import

LATE = 0.25  # seconds: three frames of the film


@pytest.fixture
def film(tiny, tmp_path):
    """The tiny film, whose cam01 was started late."""
    folder = tmp_path / "film"
    shutil.copytree(tiny / "n3dv", folder)
    (folder / "capture.json").write_text(json.dumps({"version": 1, "time_offsets": {"cam01": LATE}}))
    return folder


def shown_number(camera):
    """The number of the file's frame that Blender shows behind the camera at the scene's frame, from 1."""
    evaluated = camera.evaluated_get(bpy.context.evaluated_depsgraph_get()).data
    user = evaluated.background_images[0].image_user
    assert user.frame_duration == 1
    return 1 + user.frame_offset


def shown_numbers(camera, frames):
    numbers = []
    for frame in frames:
        bpy.context.scene.frame_set(frame)
        numbers.append(shown_number(camera))
    return numbers


def by_name(cameras):
    return {camera.neural_render.camera_name: camera for camera in cameras}


def test_a_late_camera_shows_what_it_filmed_at_that_moment(connected, film):
    """The common time begins with the late camera's first frame, which the others filmed as their fourth."""
    _, cameras = do_import(film, set_scene=True)
    cameras = by_name(cameras)
    assert bpy.context.scene.frame_end == 3
    assert shown_numbers(cameras["cam01"], range(-1, 6)) == [1, 1, 1, 2, 3, 3, 3]
    assert shown_numbers(cameras["cam02"], range(-1, 6)) == [4, 4, 4, 5, 6, 6, 6]


def test_the_clips_follow_the_scenes_rate_and_the_fields_start(connected, tiny):
    """At 24 frames a second every frame of a film of 12 is shown twice, the nearest in time."""
    field, cameras = do_import(tiny / "n3dv", set_scene=True)
    scene, camera = bpy.context.scene, cameras[0]
    assert shown_numbers(camera, range(1, 8)) == [1, 2, 3, 4, 5, 6, 6]
    scene.render.fps, scene.render.fps_base = 48, 1.0
    assert shown_numbers(camera, (1, 2, 4, 5, 6, 8, 9, 21, 22)) == [1, 1, 2, 2, 2, 3, 3, 6, 6]
    scene.render.fps = 12
    field.neural_render.frame_start = 10.0
    assert shown_numbers(camera, (1, 10, 12, 40)) == [1, 1, 3, 6]
    field.neural_render.speed = 0.5
    assert shown_numbers(camera, (10, 14, 20)) == [1, 3, 6]
    field.neural_render.time_offset = 3 / 12
    assert shown_numbers(camera, (10, 12)) == [4, 5]


def test_image_sequences_show_their_own_numbers(connected, tiny):
    """Files that are numbered from 0, as the server numbers them."""
    _, cameras = do_import(tiny / "moving", set_scene=True)
    client = Client("127.0.0.1", connected.port, connected.token)
    clips = {camera.name: camera.clip for camera in client.inspect_capture(str(tiny / "moving")).cameras}
    for camera in cameras:
        clip = clips[camera.neural_render.camera_name]
        assert len(clip.numbers) == 6 and list(clip.numbers) == sorted(set(clip.numbers))
        assert shown_numbers(camera, range(1, 7)) == list(clip.numbers)


def test_the_clips_are_right_after_saving_and_loading(connected, film, tmp_path):
    do_import(film, set_scene=True)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "shot.blend"))
    cameras = by_name(obj for obj in bpy.data.objects if obj.type == "CAMERA")
    assert shown_numbers(cameras["cam01"], (1, 2, 3)) == [1, 2, 3]
    assert shown_numbers(cameras["cam02"], (1, 2, 3)) == [4, 5, 6]


def test_a_rolling_shutter_is_kept_in_the_capture(connected, film):
    """For all cameras, then for one, and as the panel tells it."""
    field, cameras = do_import(film)
    assert field.neural_render.readout == 0.0
    assert bpy.ops.neural_render.set_readout(readout=0.0165) == {"FINISHED"}
    kept = json.loads((film / "capture.json").read_text())
    assert len(kept["readouts"]) == 7 and kept["time_offsets"] == {"cam01": LATE}
    assert kept["readouts"]["cam03"] == {"seconds": pytest.approx(0.0165), "direction": "down"}
    assert field.neural_render.readout == pytest.approx(0.0165)
    for camera in cameras:
        camera.select_set(camera.neural_render.camera_name == "cam03")
    bpy.ops.neural_render.set_readout(readout=0.02, direction="left", only_selected=True)
    kept = json.loads((film / "capture.json").read_text())["readouts"]
    assert kept["cam03"] == {"seconds": pytest.approx(0.02), "direction": "left"}
    assert kept["cam02"]["seconds"] == pytest.approx(0.0165)
    bpy.ops.object.select_all(action="DESELECT")
    with pytest.raises(RuntimeError, match="No camera of 'film' is selected"):
        bpy.ops.neural_render.set_readout(readout=0.02, only_selected=True)
    bpy.ops.neural_render.set_readout(readout=0.0)
    assert "readouts" not in json.loads((film / "capture.json").read_text())
    assert field.neural_render.readout == 0.0
