"""Add Camera Rig: each shape looks at its target, in a collection of its own, and undoes."""

import bpy
import numpy as np
import pytest
from mathutils import Matrix

from neural_render_addon.panels.capture import rig_spacing
from tests.addon.test_undo import check_undo_and_redo


@pytest.fixture
def target(empty_scene):
    """A box whose origin is not its middle."""
    bpy.ops.mesh.primitive_cube_add(size=2.0, location=(1.0, 2.0, 3.0))
    box = bpy.context.object
    box.data.transform(Matrix.Translation((0.0, 0.0, 1.0)))
    bpy.context.view_layer.update()
    return box


def add_rig(**options):
    assert bpy.ops.neural_render.add_rig(**options) == {"FINISHED"}
    bpy.context.view_layer.update()
    collection = bpy.context.scene.neural_render.capture.rig
    return sorted(collection.objects, key=lambda camera: camera.name)


def misses(cameras, point):
    """How far each camera's optical axis passes from a point."""
    found = []
    for camera in cameras:
        pose = np.array(camera.matrix_world)
        inside = np.linalg.inv(pose) @ [*point, 1.0]
        assert inside[2] < 0.0
        found.append(np.hypot(*inside[:2]))
    return np.array(found)


@pytest.mark.parametrize(
    ("options", "count"),
    [
        ({"shape": "ARC", "count": 5}, 5),
        ({"shape": "RING", "count": 6}, 6),
        ({"shape": "DOME", "count": 9}, 9),
        ({"shape": "GRID", "columns": 3, "rows": 2}, 6),
    ],
)
def test_each_shape_looks_at_the_middle_of_its_target(target, options, count):
    cameras = add_rig(target=target.name, radius=4.0, lens=35.0, **options)
    assert [camera.name for camera in cameras] == [f"cam{index:02d}" for index in range(count)]
    assert misses(cameras, (1.0, 2.0, 4.0)).max() < 1e-5
    assert all(camera.data == cameras[0].data and camera.data.lens == 35.0 for camera in cameras)
    assert set(bpy.context.selected_objects) == set(cameras)
    if options["shape"] != "GRID":
        distances = [np.linalg.norm(np.array(camera.location) - (1.0, 2.0, 4.0)) for camera in cameras]
        assert distances == pytest.approx([4.0] * count, abs=1e-5)


def test_without_a_target_the_rig_looks_at_the_cursor(empty_scene):
    empty_scene.cursor.location = (0.0, 5.0, 1.0)
    assert misses(add_rig(shape="RING", count=4), (0.0, 5.0, 1.0)).max() < 1e-5


def test_an_empty_is_a_target_too(empty_scene):
    empty = bpy.data.objects.new("Mark", None)
    empty_scene.collection.objects.link(empty)
    empty.location = (3.0, 1.0, 2.0)
    assert misses(add_rig(shape="ARC", count=3, target="Mark"), (3.0, 1.0, 2.0)).max() < 1e-5


def test_along_a_camera_path(target):
    scene = bpy.context.scene
    mover = bpy.data.objects.new("Mover", bpy.data.cameras.new("Mover"))
    scene.collection.objects.link(mover)
    mover.rotation_euler.x = 1.2
    for frame, x in ((1, 0.0), (11, 6.0)):
        mover.location.x, mover.data.lens = x, 20.0 + frame
        mover.keyframe_insert("location", frame=frame)
        mover.data.keyframe_insert("lens", frame=frame)
    scene.frame_start, scene.frame_end = 1, 11
    scene.frame_set(4, subframe=0.5)
    lens = mover.data.lens
    cameras = add_rig(shape="PATH", path_camera="Mover", count=4)
    assert (scene.frame_current, scene.frame_subframe) == (4, 0.5)
    # Blender eases in and out: equal steps of time would not be equal steps of path.
    assert [camera.location.x for camera in cameras] == pytest.approx([0.0, 2.0, 4.0, 6.0], abs=0.05)
    assert cameras[2].matrix_world.to_euler().x == pytest.approx(1.2, abs=1e-5)
    assert cameras[0].data is not mover.data
    assert cameras[0].data.animation_data is None
    assert cameras[0].data.lens == pytest.approx(lens)
    aimed = add_rig(shape="PATH", path_camera="Mover", count=4, target=target.name)
    assert misses(aimed, (1.0, 2.0, 4.0)).max() < 1e-5


def test_the_panel_tells_what_the_rig_is(target):
    cameras = add_rig(shape="GRID", columns=3, rows=1, spacing=1.0, radius=4.0, target=target.name)
    spacing = rig_spacing(bpy.context, cameras)
    assert spacing.distance == pytest.approx((1.0, 1.0, 1.0), abs=1e-6)
    assert spacing.angle[1] == pytest.approx(np.degrees(np.arctan(1.0 / 4.0)), abs=1e-3)
    assert spacing.focus == pytest.approx((1.0, 2.0, 4.0), abs=1e-4)
    assert 0.9 < spacing.overlap[0] < 1.0


def test_undo_and_redo(target):
    check_undo_and_redo(bpy.ops.neural_render.add_rig, shape="RING", count=3, target=target.name)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"shape": "ARC", "target": "Nobody"}, "no object 'Nobody'"),
        ({"shape": "PATH", "path_camera": "Cube"}, "choose an animated camera"),
        ({"shape": "PATH"}, "choose an animated camera"),
        ({"shape": "PATH", "path_camera": "Path", "target": "Nobody"}, "no object 'Nobody'"),
    ],
)
def test_what_cannot_be_done_is_told_and_leaves_nothing(target, options, sentence):
    path = bpy.data.objects.new("Path", bpy.data.cameras.new("Path"))
    bpy.context.scene.collection.objects.link(path)
    with pytest.raises(RuntimeError, match=sentence):
        bpy.ops.neural_render.add_rig(**options)
    assert sorted(obj.name for obj in bpy.data.objects) == ["Cube", "Path"]
    assert len(bpy.data.cameras) == 1
