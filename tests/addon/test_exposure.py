"""Depth of field and motion blur of a bright point in Cycles against what the camera's entry says of them.

The server's tests hold its pictures against the same numbers: tests/server/rendering/test_blur.py.
"""

import bpy
import numpy as np
import pytest

from neural_render_addon.cameras.camera import render_size
from neural_render_addon.cameras.exposure import lens_entry, shutter_entry, shutter_times
from tests.addon.layers_support import field_object, read_rgba, render_scene, small_scene

WIDTH, HEIGHT, FRAME, FOCAL = 96, 72, 5, 120.0


@pytest.fixture(scope="module")
def shot():
    """A shining ball 8 units before a camera that rises; the field is twice as large as its capture."""
    scene = small_scene(WIDTH, HEIGHT)
    scene.cycles.samples = 1024
    scene.cycles.use_adaptive_sampling = False
    scene.render.film_transparent = True
    bpy.context.preferences.edit.keyframe_new_interpolation_type = "LINEAR"
    bpy.ops.mesh.primitive_ico_sphere_add(radius=0.06, subdivisions=3)
    field_object(scene, 2.0)
    camera = scene.camera
    camera.data.lens, camera.data.sensor_width = 45.0, 36.0  # 120 pixels
    for frame in (FRAME - 2, FRAME + 2):
        camera.location = (0.0, 0.6 * (frame - FRAME), 8.0)
        camera.keyframe_insert("location", frame=frame)
    scene.frame_set(FRAME)
    return scene


def moments(scene, tmp_path) -> np.ndarray:
    """Mean x, y and variance along x, y of what Cycles shows, in pixels."""
    light = read_rgba(render_scene(scene, tmp_path / "cycles.exr"))[..., 3].astype(np.float64)
    y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    mean = np.array([(light * x).sum(), (light * y).sum()]) / light.sum()
    spread = [(light * (axis - m) ** 2).sum() for axis, m in zip((x, y), mean, strict=True)]
    return np.concatenate([mean, np.array(spread) / light.sum()])


def test_the_circle_of_confusion_is_cycles(shot, tmp_path):
    sharp = moments(shot, tmp_path)
    dof, field = shot.camera.data.dof, bpy.data.objects["Stage"]
    dof.use_dof, dof.focus_distance, dof.aperture_fstop = True, 4.0, 0.06
    depsgraph = bpy.context.evaluated_depsgraph_get()
    lens = lens_entry(shot.camera, depsgraph, field)
    # in capture units: half of the scene's, as the ball's distance is 4 there
    radius = lens["aperture_radius"] * FOCAL * abs(1.0 / 4.0 - 1.0 / lens["focus_distance"])
    found = 2.0 * np.sqrt((moments(shot, tmp_path) - sharp)[2:])  # a disc's variance is r^2 / 4
    print("radius by Cycles", found, "by the entry", radius)
    assert radius > 3.0 and found == pytest.approx([radius] * 2, rel=0.05)
    # three blades have half a disc's variance; the ratio halves the width
    dof.aperture_blades, dof.aperture_ratio, dof.aperture_rotation = 3, 2.0, 0.5
    lens = lens_entry(shot.camera, bpy.context.evaluated_depsgraph_get(), field)
    assert (lens["blades"], lens["ratio"], round(lens["rotation"], 6)) == (3, 2.0, 0.5)
    found = np.sqrt(8.0 * (moments(shot, tmp_path) - sharp)[2:])
    print("with blades and ratio", found)
    assert found == pytest.approx([radius / 2.0, radius], rel=0.05)
    dof.use_dof = False
    assert lens_entry(shot.camera, bpy.context.evaluated_depsgraph_get(), field) is None


def test_a_focus_object_is_its_planar_depth(shot):
    dof, field = shot.camera.data.dof, bpy.data.objects["Stage"]
    target = bpy.data.objects.new("Focus", None)
    target.location = (1.0, 2.0, 5.0)
    shot.collection.objects.link(target)
    dof.use_dof, dof.focus_object = True, target
    bpy.context.view_layer.update()
    lens = lens_entry(shot.camera, bpy.context.evaluated_depsgraph_get(), field)
    assert lens["focus_distance"] == pytest.approx(1.5)  # 3 units of the scene
    dof.use_dof, dof.focus_object = False, None


def test_the_streak_is_cycles(shot, tmp_path):
    assert render_size(shot.render) == (WIDTH, HEIGHT)
    sharp = moments(shot, tmp_path)

    def sample() -> dict:
        evaluated = shot.camera.evaluated_get(bpy.context.evaluated_depsgraph_get())
        return {"y": evaluated.matrix_world.translation.y}

    assert shutter_entry(shot, FRAME, sample) is None
    shot.render.use_motion_blur, shot.render.motion_blur_shutter = True, 0.75
    for position in ("CENTER", "START", "END"):
        shot.render.motion_blur_position = position
        cameras = shutter_entry(shot, FRAME, sample)["cameras"]
        heights = np.array([entry["y"] for entry in cameras])
        moved = moments(shot, tmp_path)
        length = np.sqrt(12.0 * (moved - sharp)[3])  # a streak's variance is l^2 / 12
        expected = FOCAL * (heights[-1] - heights[0]) / 8.0
        print("streak by Cycles", position, length, "by the entry", expected)
        assert expected > 6.0 and length == pytest.approx(expected, rel=0.05)
        # the camera rises, so the ball goes down the picture, where rows count up
        assert moved[1] - sharp[1] == pytest.approx(FOCAL * heights.mean() / 8.0, abs=0.15)
    assert shot.frame_current == FRAME
    shot.render.use_motion_blur = False


def test_the_shutter_opens_and_closes_as_cycles_does(shot):
    shot.render.motion_blur_shutter = 0.5
    wanted = {"START": [5.0, 5.25, 5.5], "CENTER": [4.75, 5.0, 5.25], "END": [4.5, 4.75, 5.0]}
    for position, times in wanted.items():
        shot.render.motion_blur_position = position
        assert shutter_times(shot.render, FRAME) == times
