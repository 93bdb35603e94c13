"""Import Capture: every format becomes cameras, clips, points and a field object, through the operator."""

import shutil

import bpy
import numpy as np
import pytest

from neural_render_addon.cameras.camera import evaluated_projection, to_capture
from neural_render_addon.service.client import Client
from tests.addon.conftest import EXTENSION, use_server

# format: cameras, kind of background, timesteps, points
FORMATS = {
    "n3dv": (7, "MOVIE", 6, 0),
    "easymocap": (4, "MOVIE", 6, 0),
    "transforms": (7, "FILE", 1, 0),
    "moving": (7, "SEQUENCE", 6, 0),
    "synthetic": (7, "FILE", 1, 0),
    "colmap": (7, "FILE", 1, 20),
}


def do_import(path, **options):
    assert bpy.ops.neural_render.import_capture(filepath=str(path), **options) == {"FINISHED"}
    bpy.context.view_layer.update()
    field = bpy.context.scene.neural_render.field
    return field, [child for child in field.children if child.type == "CAMERA"]


@pytest.mark.parametrize("name", FORMATS)
def test_each_format(connected, tiny, name):
    count, background, timesteps, points = FORMATS[name]
    field, cameras = do_import(tiny / name)
    assert field.neural_render.is_field
    assert field.neural_render.capture_path == str(tiny / name)
    assert field.neural_render.is_dynamic == (timesteps > 1)
    assert field.neural_render.duration == pytest.approx((timesteps - 1) / 12, abs=1e-5)
    assert len(cameras) == count
    for camera in cameras:
        (shown,) = camera.data.background_images
        assert camera.data.show_background_images
        assert shown.image.source == background
        assert tuple(shown.image.size) == (64, 48)
        if background == "MOVIE":
            assert shown.image.frame_duration == timesteps
    clouds = [child for child in field.children if child.type == "MESH"]
    assert [len(cloud.data.vertices) for cloud in clouds] == ([points] if points else [])


@pytest.mark.parametrize("name", ["n3dv", "colmap", "easymocap"])
def test_an_imported_camera_shows_what_the_server_says(connected, tiny, name):
    _, cameras = do_import(tiny / name, set_scene=True)
    info = Client("127.0.0.1", connected.port, connected.token).inspect_capture(str(tiny / name))
    depsgraph = bpy.context.evaluated_depsgraph_get()
    for camera, truth in zip(sorted(cameras, key=lambda obj: obj.name), info.cameras, strict=True):
        pinhole = evaluated_projection(camera, depsgraph, 64, 48)
        for value in ("fl_x", "fl_y", "cx", "cy"):
            assert getattr(pinhole, value) == pytest.approx(getattr(truth.pinhole, value), abs=1e-4)
        matrix = to_capture(camera.matrix_world, bpy.context.scene.neural_render.field.matrix_world, "")
        assert np.abs(matrix - truth.camera_to_world).max() < 1e-5


def test_points_have_their_places_and_colours(connected, tiny):
    field, _ = do_import(tiny / "colmap")
    cloud = next(child for child in field.children if child.type == "MESH").data
    order = np.argsort([vertex.co.x for vertex in cloud.vertices])
    vertex = cloud.vertices[int(order[3])]
    assert vertex.co[:] == pytest.approx((0.3, 0.15, 0.0), abs=1e-6)
    color = cloud.color_attributes["Color"].data[int(order[3])].color_srgb
    assert [round(channel * 255) for channel in color] == [30, 20, 30, 255]


def test_the_scene_is_set_only_on_request(connected, tiny):
    scene = bpy.context.scene
    before = (scene.frame_end, scene.render.fps, scene.render.resolution_x)
    do_import(tiny / "n3dv")
    assert (scene.frame_end, scene.render.fps, scene.render.resolution_x) == before
    do_import(tiny / "n3dv", set_scene=True)
    assert (scene.frame_start, scene.frame_end) == (1, 6)
    assert scene.render.fps / scene.render.fps_base == pytest.approx(12)
    assert (scene.render.resolution_x, scene.render.resolution_y) == (64, 48)


def test_clips_and_points_can_be_left_out(connected, tiny):
    field, cameras = do_import(tiny / "colmap", use_clips=False, use_points=False)
    assert not any(camera.data.background_images for camera in cameras)
    assert all(child.type == "CAMERA" for child in field.children)


def test_a_file_in_the_folder_means_the_folder(connected, tiny):
    field, _ = do_import(tiny / "n3dv" / "poses_bounds.npy")
    assert field.neural_render.capture_path == str(tiny / "n3dv")


def test_a_folder_that_is_no_capture(connected, tmp_path):
    with pytest.raises(RuntimeError, match=tmp_path.name):
        bpy.ops.neural_render.import_capture(filepath=str(tmp_path))
    assert bpy.context.window_manager.neural_render.tasks["import"].error
    assert bpy.context.scene.neural_render.field is None


@pytest.mark.parametrize("damage", ["video", "pose"])
def test_a_damaged_capture_is_told_by_file_and_leaves_the_scene_alone(connected, tiny, tmp_path, damage):
    capture = tmp_path / "damaged"
    shutil.copytree(tiny / "n3dv", capture)
    if damage == "video":
        (capture / "cam03.mp4").write_bytes(b"no video")
        told = r"cam03\.mp4"
    else:
        rows = np.load(capture / "poses_bounds.npy")
        rows[3, 3] = np.nan
        np.save(capture / "poses_bounds.npy", rows)
        told = r"poses_bounds\.npy.*NaN"
    with pytest.raises(RuntimeError, match=told):
        bpy.ops.neural_render.import_capture(filepath=str(capture))
    assert not bpy.data.objects


def test_a_wrong_token(connected, tiny):
    bpy.context.preferences.addons[EXTENSION].preferences.token = "wrong"
    with pytest.raises(RuntimeError, match="refuses the token"):
        bpy.ops.neural_render.import_capture(filepath=str(tiny / "n3dv"))
    use_server(connected)


def test_no_server(empty_scene, tiny, unused_port):
    preferences = bpy.context.preferences.addons[EXTENSION].preferences
    preferences.port = unused_port
    with pytest.raises(RuntimeError, match="press Start Server"):
        bpy.ops.neural_render.import_capture(filepath=str(tiny / "n3dv"))
