"""Blender's camera against pinhole intrinsics worked out by hand, and there and back again."""

import math

import bpy
import numpy as np
import pytest
from mathutils import Euler, Matrix

from neural_render_addon.cameras.camera import (
    CameraError,
    evaluated_projection,
    render_size,
    settings_from_pinhole,
    to_capture,
    uniform_scale,
)
from neural_render_addon.cameras.projections import Projection

# The figures are hand computed for a 50 mm lens on a 36 x 24 mm sensor:
# fit, (width, height), (shift_x, shift_y), (pixel aspect x, y) -> fl_x, fl_y, cx, cy
CASES = {
    # The sensor's 36 mm lie across the longer side: 1920 px; 50 / 36 * 1920 = 2666.67.
    "auto landscape": ("AUTO", (1920, 1080), (0, 0), (1, 1), 2666.66667, 2666.66667, 960, 540),
    # Portrait: the 36 mm lie along the height of 1920.
    "auto portrait": ("AUTO", (1080, 1920), (0, 0), (1, 1), 2666.66667, 2666.66667, 540, 960),
    # Horizontal in portrait: 36 mm across 1080; 50 / 36 * 1080 = 1500.
    "horizontal portrait": ("HORIZONTAL", (1080, 1920), (0, 0), (1, 1), 1500, 1500, 540, 960),
    # Vertical: 24 mm along the height of 1080; 50 / 24 * 1080 = 2250.
    "vertical landscape": ("VERTICAL", (1920, 1080), (0, 0), (1, 1), 2250, 2250, 960, 540),
    # Shift is in units of the fitted side, here 1920: 0.1 -> 192 px to the left, 0.05 -> 96 px down.
    "shift landscape": ("AUTO", (1920, 1080), (0.1, 0.05), (1, 1), 2666.66667, 2666.66667, 768, 636),
    # In portrait the fitted side is the height of 1920: the same pixels.
    "shift portrait": ("AUTO", (1080, 1920), (0.1, 0.05), (1, 1), 2666.66667, 2666.66667, 348, 1056),
    # Pixels twice as wide: 960 x 1080 pixels are as wide as 1920; horizontal fit, half the pixels along x.
    "wide pixels": ("HORIZONTAL", (960, 1080), (0, 0), (2, 1), 1333.33333, 2666.66667, 480, 540),
    # Pixels twice as high: along y only half as many.
    "high pixels": ("HORIZONTAL", (1920, 540), (0.1, 0.05), (1, 2), 2666.66667, 1333.33333, 768, 318),
}


@pytest.fixture
def camera():
    bpy.ops.wm.read_factory_settings(use_empty=True)
    obj = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    bpy.context.scene.collection.objects.link(obj)
    obj.data.lens, obj.data.sensor_width, obj.data.sensor_height = 50.0, 36.0, 24.0
    return obj


def pinhole_of(obj, size, aspect=(1.0, 1.0)):
    bpy.context.view_layer.update()
    return evaluated_projection(obj, bpy.context.evaluated_depsgraph_get(), *size, aspect)


@pytest.mark.parametrize("case", CASES)
def test_intrinsics_by_hand(camera, case):
    fit, size, shift, aspect, fl_x, fl_y, cx, cy = CASES[case]
    camera.data.sensor_fit = fit
    camera.data.shift_x, camera.data.shift_y = shift
    pinhole = pinhole_of(camera, size, aspect)
    assert (pinhole.width, pinhole.height) == size
    assert (pinhole.fl_x, pinhole.fl_y) == pytest.approx((fl_x, fl_y), rel=1e-6)
    assert (pinhole.cx, pinhole.cy) == pytest.approx((cx, cy), abs=1e-3)


def test_a_point_lands_where_blender_draws_it(camera):
    """An independent way through Blender: bpy_extras' own projection."""
    from bpy_extras.object_utils import world_to_camera_view

    scene = bpy.context.scene
    scene.render.resolution_x, scene.render.resolution_y = 720, 480
    camera.data.shift_x, camera.data.shift_y = 0.07, -0.11
    camera.location, camera.rotation_euler = (1.0, -4.0, 2.0), (1.1, 0.1, 0.3)
    pinhole = pinhole_of(camera, (720, 480))
    pose = to_capture(camera.matrix_world, Matrix(), "")
    for point in ((0.2, 0.1, 0.5), (-0.5, 0.4, 0.9), (0.7, 1.0, -0.3)):
        view = np.linalg.inv(pose) @ [*point, 1.0]
        u = pinhole.fl_x * view[0] / -view[2] + pinhole.cx
        v = -pinhole.fl_y * view[1] / -view[2] + pinhole.cy
        expected = world_to_camera_view(scene, camera, Matrix.Translation(point).translation)
        assert (u, v) == pytest.approx((expected.x * 720, (1 - expected.y) * 480), abs=2e-3)


PINHOLES = [
    Projection(320, 240, 280.0, 280.0, 160.0, 120.0),
    Projection(640, 360, 512.3, 512.3, 311.7, 188.2),
    Projection(360, 640, 498.1, 498.1, 170.4, 333.3),
    Projection(640, 480, 600.0, 450.0, 300.0, 260.0),
    Projection(480, 640, 300.0, 390.0, 251.0, 299.5),
]


@pytest.mark.parametrize("pinhole", PINHOLES)
def test_pinhole_to_blender_and_back(camera, pinhole):
    settings = settings_from_pinhole(pinhole)
    settings.apply(camera.data)
    back = pinhole_of(camera, (pinhole.width, pinhole.height), settings.pixel_aspect)
    for name in ("fl_x", "fl_y", "cx", "cy"):
        assert getattr(back, name) == pytest.approx(getattr(pinhole, name), abs=1e-4), name


def test_imported_portrait_lens_reads_as_on_full_frame_film():
    settings = settings_from_pinhole(Projection(1080, 1920, 1920.0, 1920.0, 540.0, 960.0))
    assert (settings.lens, settings.sensor_width, settings.sensor_height) == pytest.approx(
        (36.0, 20.25, 36.0)
    )


def test_an_orthographic_camera_by_hand(camera):
    """8 units across the longer side of 400 pixels are 50 pixels a unit; shift is in units of that side."""
    camera.data.type, camera.data.ortho_scale = "ORTHO", 8.0
    camera.data.shift_x, camera.data.shift_y = 0.1, 0.05
    projection = pinhole_of(camera, (400, 300))
    assert projection.model == "ORTHOGRAPHIC"
    assert (projection.fl_x, projection.fl_y) == pytest.approx((50.0, 50.0))
    assert (projection.cx, projection.cy) == pytest.approx((160.0, 170.0), abs=1e-3)
    # In a field twice as large a unit of the capture is two of the scene.
    assert projection.scaled(2.0).entry()["fl_x"] == pytest.approx(100.0)


def test_a_panorama_by_hand(camera):
    camera.data.type, camera.data.panorama_type = "PANO", "EQUIRECTANGULAR"
    camera.data.longitude_min, camera.data.longitude_max = -math.pi / 2, math.pi
    camera.data.latitude_min, camera.data.latitude_max = -math.pi / 4, math.pi / 2
    projection = pinhole_of(camera, (300, 150))
    assert projection.entry()["camera_model"] == "EQUIRECTANGULAR"
    assert (projection.fl_x, projection.fl_y) == pytest.approx((200 / math.pi,) * 2)
    assert (projection.cx, projection.cy) == pytest.approx((100.0, 100.0))


def test_other_panoramas_are_refused(camera):
    camera.data.type, camera.data.panorama_type = "PANO", "MIRRORBALL"
    with pytest.raises(CameraError, match=r"'Camera'.*Equirectangular"):
        pinhole_of(camera, (100, 100))


def test_resolution_percentage_rounds_as_blender_does():
    render = bpy.context.scene.render
    render.resolution_x, render.resolution_y, render.resolution_percentage = 1921, 1081, 33
    assert render_size(render) == (633, 356)


def test_moving_the_field_moves_the_camera_the_other_way():
    """By hand: a field at (10, 0, 0), turned 90 degrees about z and twice as large."""
    field = (
        Matrix.Translation((10.0, 0.0, 0.0))
        @ Matrix.Rotation(math.pi / 2, 4, "Z")
        @ Matrix.Diagonal((2, 2, 2, 1))
    )
    camera = Matrix.Translation((10.0, 4.0, 6.0))
    matrix = to_capture(camera, field, "field")
    assert matrix[:3, 3] == pytest.approx([2.0, 0.0, 3.0], abs=1e-6)
    # The scene's x axis is the capture's -y axis; a camera keeps unit axes whatever the scale.
    assert matrix[:3, 0] == pytest.approx([0.0, -1.0, 0.0], abs=1e-6)
    assert matrix[:3, 1] == pytest.approx([1.0, 0.0, 0.0], abs=1e-6)


def test_the_cameras_own_scale_does_not_matter():
    plain = Matrix.LocRotScale((1, 2, 3), Euler((0.4, 0.5, 0.6)), (1, 1, 1))
    scaled = Matrix.LocRotScale((1, 2, 3), Euler((0.4, 0.5, 0.6)), (3, 3, 3))
    assert to_capture(scaled, Matrix(), "") == pytest.approx(to_capture(plain, Matrix(), ""), abs=1e-6)


@pytest.mark.parametrize(
    ("matrix", "sentence"),
    [
        (Matrix.Diagonal((1, 2, 1, 1)), "differently along its axes"),
        (Matrix.Diagonal((-1, 1, 1, 1)), "mirrored"),
        (Matrix.Diagonal((0, 0, 0, 1)), "scale 0"),
        (Matrix.Shear("XY", 4, (0.3, 0.0)), "sheared"),
    ],
)
def test_a_field_must_be_scaled_uniformly(matrix, sentence):
    with pytest.raises(CameraError, match=f"'Stage'.*{sentence}"):
        uniform_scale(matrix, "Stage")
