"""Export Rig: cameras over time, in capture coordinates, with the field's time."""

import json

import bpy
import numpy as np
import pytest


@pytest.fixture
def stage(empty_scene):
    """A scene of 320 x 240 with a moving camera and a field that was moved, turned and scaled."""
    scene = empty_scene
    scene.render.resolution_x, scene.render.resolution_y = 320, 240
    scene.render.fps, scene.render.fps_base = 24, 1.0
    scene.frame_start, scene.frame_end = 1, 5
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    scene.collection.objects.link(camera)
    scene.camera = camera
    for frame, x in ((1, 0.0), (5, 4.0)):
        camera.location.x = x
        camera.keyframe_insert("location", frame=frame)
    field = bpy.data.objects.new("Field", None)
    scene.collection.objects.link(field)
    field.neural_render.is_field = True
    field.neural_render.duration = 10.0
    field.location, field.scale = (0.0, 2.0, 0.0), (2.0, 2.0, 2.0)
    scene.neural_render.field = field
    bpy.context.view_layer.update()
    return scene


def export(tmp_path, **options):
    path = tmp_path / "rig.json"
    assert bpy.ops.neural_render.export_rig(filepath=str(path), **options) == {"FINISHED"}
    return json.loads(path.read_text())


def test_the_scene_camera_over_the_range(stage, tmp_path):
    data = export(tmp_path)
    assert (data["w"], data["h"], data["fps"]) == (320, 240, 24)
    assert [frame["name"] for frame in data["frames"]] == ["0001", "0002", "0003", "0004", "0005"]
    assert [frame["time"] for frame in data["frames"]] == pytest.approx([i / 24 for i in range(5)])
    first, last = (np.array(data["frames"][i]["transform_matrix"]) for i in (0, -1))
    assert first[:3, 3] == pytest.approx([0.0, -1.0, 0.0], abs=1e-6)
    assert last[:3, 3] == pytest.approx([2.0, -1.0, 0.0], abs=1e-6)
    assert last[:3, :3] == pytest.approx(np.eye(3), abs=1e-6)
    # 50 mm on 36 mm across 320 pixels
    assert data["frames"][0]["fl_x"] == pytest.approx(50 / 36 * 320, rel=1e-6)


def test_the_timeline_is_put_back(stage, tmp_path):
    stage.frame_set(3, subframe=0.25)
    export(tmp_path)
    assert (stage.frame_current, stage.frame_subframe) == (3, 0.25)


def test_an_animated_lens_and_field_time(stage, tmp_path):
    camera, field = stage.camera, stage.neural_render.field
    for frame, lens, offset in ((1, 36.0, 1.0), (5, 72.0, 3.0)):
        camera.data.lens = lens
        camera.data.keyframe_insert("lens", frame=frame)
        field.neural_render.time_offset = offset
        field.keyframe_insert("neural_render.time_offset", frame=frame)
    field.neural_render.speed = 0.0
    frames = export(tmp_path)["frames"]
    assert frames[0]["fl_x"] == pytest.approx(320)
    assert frames[-1]["fl_x"] == pytest.approx(640)
    assert frames[0]["time"] == pytest.approx(1.0)
    assert frames[-1]["time"] == pytest.approx(3.0)


def test_time_is_held_at_the_ends_of_the_capture(stage, tmp_path):
    stage.neural_render.field.neural_render.duration = 2 / 24
    assert [frame["time"] * 24 for frame in export(tmp_path)["frames"]] == pytest.approx(
        [0, 1, 2, 2, 2], abs=1e-5
    )


def test_markers_switch_the_camera(stage, tmp_path):
    other = bpy.data.objects.new("Other", bpy.data.cameras.new("Other"))
    stage.collection.objects.link(other)
    other.location = (0.0, 2.0, 6.0)
    for frame, camera in ((1, stage.camera), (3, other)):
        stage.timeline_markers.new(camera.name, frame=frame).camera = camera
    frames = export(tmp_path)["frames"]
    assert [frame["camera"] for frame in frames] == ["Camera", "Camera", "Other", "Other", "Other"]
    assert np.array(frames[2]["transform_matrix"])[:3, 3] == pytest.approx([0.0, 0.0, 3.0], abs=1e-6)


def test_selected_cameras_get_a_name_each(stage, tmp_path):
    other = bpy.data.objects.new("Other", bpy.data.cameras.new("Other"))
    stage.collection.objects.link(other)
    stage.camera.select_set(True)
    other.select_set(True)
    data = export(tmp_path, cameras="SELECTED", use_scene_range=False, frame_start=2, frame_end=2)
    assert sorted(frame["name"] for frame in data["frames"]) == ["Camera_0002", "Other_0002"]


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda scene: setattr(scene, "camera", None), "no camera"),
        (
            lambda scene: (
                setattr(scene.camera.data, "type", "PANO")
                or setattr(scene.camera.data, "panorama_type", "MIRRORBALL")
            ),
            "set its panorama type to Equirectangular",
        ),
        (lambda scene: setattr(scene.neural_render.field, "scale", (1, 1, 2)), "one uniform scale"),
        (lambda scene: setattr(scene.neural_render.field, "scale", (-1, 1, 1)), "mirrored"),
    ],
)
def test_what_cannot_be_written_is_told(stage, tmp_path, spoil, sentence):
    spoil(stage)
    with pytest.raises(RuntimeError, match=sentence):
        export(tmp_path)
    assert not (tmp_path / "rig.json").exists()


def test_the_server_reads_the_file(stage, tmp_path):
    """The camera file is the one that ``neural-render render`` reads."""
    import subprocess

    from tests.addon.conftest import server_python

    export(tmp_path)
    code = (
        "import sys; from neural_render_server.camera_path import CameraPath;"
        "path = CameraPath.load(sys.argv[1]); print(len(path.frames), path.frames[4].camera.position[0])"
    )
    output = subprocess.run(
        [str(server_python()), "-c", code, str(tmp_path / "rig.json")],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert int(output[0]) == 5
    assert float(output[1]) == pytest.approx(2.0, abs=1e-6)
