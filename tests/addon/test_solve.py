"""Solve Cameras, and the alignment that an artist picks and keeps, through a real server."""

import json

import bpy
import numpy as np
import pytest
from mathutils import Matrix

from neural_render_addon.service.client import Client
from tests.addon.conftest import use_server


@pytest.fixture(scope="module")
def solved(addon, server, tiny, tmp_path_factory):
    """The folder of the solved room; the operator has run once."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.preferences.addon_enable(module="bl_ext.user_default.neural_render")
    use_server(server)
    folder = tmp_path_factory.mktemp("solved") / "room.capture"
    result = bpy.ops.neural_render.solve_cameras(filepath=str(tiny / "room"), folder=str(folder))
    assert result == {"FINISHED"}
    field = bpy.context.scene.neural_render.field
    names = sorted(child.name for child in field.children if child.type == "CAMERA")
    assert names == [f"photo{index}" for index in range(6)]
    assert [child for child in field.children if child.type == "MESH"]
    assert field.neural_render.capture_path == str(folder)
    task = bpy.context.window_manager.neural_render.tasks["solve"]
    assert task.job_id and task.progress == 1.0 and not task.is_running and not task.error
    return folder


@pytest.fixture
def field(connected, solved):
    """The solved room, imported anew."""
    (solved / "capture.json").write_text('{"version": 1}')
    assert bpy.ops.neural_render.import_capture(filepath=str(solved), use_clips=False) == {"FINISHED"}
    bpy.context.view_layer.update()
    return bpy.context.scene.neural_render.field


def pick(field, *indices):
    """Select vertices of the field's points in Edit Mode; their world positions."""
    (cloud,) = (child for child in field.children if child.type == "MESH")
    bpy.context.view_layer.objects.active = cloud
    bpy.ops.object.mode_set(mode="OBJECT")
    for vertex in cloud.data.vertices:
        vertex.select = vertex.index in indices
    bpy.ops.object.mode_set(mode="EDIT")
    return cloud


def places(field, cloud, *indices):
    bpy.context.view_layer.update()
    return [np.array(cloud.matrix_world @ cloud.data.vertices[index].co) for index in indices]


def test_the_distance_of_two_picked_points_scales_the_field(field):
    cloud = pick(field, 3, 40)
    before = places(field, cloud, 3, 40)
    assert bpy.ops.neural_render.set_distance(distance=2.5) == {"FINISHED"}
    bpy.ops.object.mode_set(mode="OBJECT")
    after = places(field, cloud, 3, 40)
    assert np.linalg.norm(after[0] - after[1]) == pytest.approx(2.5, rel=1e-4)
    assert after[0] == pytest.approx(before[0], abs=1e-4)
    pick(field, 3)
    with pytest.raises(RuntimeError, match="1 points are picked"):
        bpy.ops.neural_render.set_distance(distance=1.0)
    bpy.ops.object.mode_set(mode="OBJECT")


def test_three_picked_points_become_the_ground_below_the_cameras(field):
    cloud = pick(field, 3, 40, 77)
    field.matrix_world = Matrix.Rotation(2.0, 4, "X") @ Matrix.Translation((1.0, 2.0, 3.0))
    bpy.context.view_layer.update()
    assert bpy.ops.neural_render.set_ground() == {"FINISHED"}
    bpy.ops.object.mode_set(mode="OBJECT")
    assert [place[2] for place in places(field, cloud, 3, 40, 77)] == pytest.approx([0.0] * 3, abs=1e-4)
    cameras = [child for child in field.children if child.type == "CAMERA"]
    assert sum(camera.matrix_world.translation.z for camera in cameras) > 0.0


def test_the_alignment_is_kept_in_the_capture(field, solved, connected):
    client = Client("127.0.0.1", connected.port, connected.token)
    field.matrix_world = (
        Matrix.Translation((1.0, 2.0, 3.0)) @ Matrix.Rotation(0.5, 4, "Z") @ Matrix.Scale(2, 4)
    )
    bpy.context.view_layer.update()
    seen = {child.name: child.matrix_world.normalized() for child in field.children if child.type == "CAMERA"}
    cloud = next(child for child in field.children if child.type == "MESH")
    (point,) = places(field, cloud, 5)
    assert bpy.ops.neural_render.apply_alignment() == {"FINISHED"}
    bpy.context.view_layer.update()
    assert field.matrix_world == Matrix()
    assert "alignment" in json.loads((solved / "capture.json").read_text())
    assert places(field, cloud, 5)[0] == pytest.approx(point, abs=1e-4)
    told = {camera.name: camera.camera_to_world for camera in client.inspect_capture(str(solved)).cameras}
    for name, matrix in seen.items():
        here = np.array(bpy.data.objects[name].matrix_world)
        assert here == pytest.approx(np.array(matrix), abs=1e-4)
        assert here == pytest.approx(told[name], abs=1e-4)
    field.neural_render.scene_path = "/trained"
    with pytest.raises(RuntimeError, match="trained already"):
        bpy.ops.neural_render.apply_alignment()


def test_a_folder_without_footage_is_told(connected, tmp_path):
    with pytest.raises(RuntimeError, match="holds no photos"):
        bpy.ops.neural_render.solve_cameras(filepath=str(tmp_path), folder=str(tmp_path / "out"))
    assert not bpy.context.window_manager.neural_render.tasks["solve"].is_running
