"""Field Time in Blender: keyframes, subframes, scrubbing, the Freeze button, several fields."""

import bpy
import pytest


@pytest.fixture
def field(empty_scene, addon):
    """A field of 2 seconds in a scene of 24 frames a second."""
    empty_scene.render.fps, empty_scene.render.fps_base = 24, 1.0
    return new_field(empty_scene, "Field")


def new_field(scene, name):
    field = bpy.data.objects.new(name, None)
    scene.collection.objects.link(field)
    field.neural_render.is_field = True
    field.neural_render.duration = 2.0
    scene.neural_render.field = field
    return field


def shown(field, frame, subframe=0.0):
    """Seconds shown by the object itself, and by its evaluated copy, which must be the same."""
    from bl_ext.user_default.neural_render.neural_render_addon.fields import field_seconds

    scene = bpy.context.scene
    scene.frame_set(frame, subframe=subframe)
    depsgraph = bpy.context.evaluated_depsgraph_get()
    seconds = field_seconds(field, scene)
    assert field_seconds(field.evaluated_get(depsgraph), depsgraph.scene) == pytest.approx(seconds, abs=1e-6)
    return seconds


def test_subframes_and_time_remapping(field):
    assert shown(field, 13, 0.5) == pytest.approx(12.5 / 24)
    render = bpy.context.scene.render
    render.frame_map_old, render.frame_map_new = 100, 200
    # stretched to twice its length: frame 7 shows what was at frame 3.5
    assert shown(field, 7) == pytest.approx((3.5 - 1) / 24)


def test_a_curve_plays_freezes_and_goes_backwards(field):
    properties = field.neural_render
    properties.time_mapping = "FIELD_TIME"
    for frame, seconds in ((1, 0.0), (11, 1.0), (21, 1.0), (31, 0.5)):
        properties.field_time = seconds
        field.keyframe_insert("neural_render.field_time", frame=frame)
    assert shown(field, 1) == pytest.approx(0.0)
    assert 0.1 < shown(field, 6) < 0.9
    assert shown(field, 16, 0.25) == pytest.approx(1.0)
    assert shown(field, 31) == pytest.approx(0.5)


def test_scrubbing_never_advances_twice(field):
    field.neural_render.time_mapping = "PING_PONG"
    first = [shown(field, frame, 0.5) for frame in range(1, 80, 13)]
    back = [shown(field, frame, 0.5) for frame in reversed(range(1, 80, 13))]
    again = [shown(field, 40, 0.5) for _ in range(3)]
    assert back == first[::-1]
    assert again == [first[3]] * 3


def test_freeze_holds_what_is_shown_and_undoes(field):
    bpy.context.scene.frame_set(13)
    assert bpy.ops.neural_render.freeze_time() == {"FINISHED"}
    assert shown(field, 1) == pytest.approx(0.5)
    assert shown(field, 48) == pytest.approx(0.5)
    assert field.neural_render.time_mapping == "FIELD_TIME"


def test_two_instances_of_a_field_have_a_time_each(field):
    other = field.copy()
    bpy.context.scene.collection.objects.link(other)
    other.neural_render.time_offset = 1.0
    assert shown(field, 13) == pytest.approx(0.5)
    assert shown(other, 13) == pytest.approx(1.5)


def test_the_mapping_survives_saving(field, tmp_path):
    field.neural_render.time_mapping = "LOOP"
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "time.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "time.blend"))
    again = bpy.data.objects["Field"]
    assert again.neural_render.time_mapping == "LOOP"
    assert shown(again, 1 + 60) == pytest.approx(0.5)
