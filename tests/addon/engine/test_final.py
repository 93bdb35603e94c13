"""F12 with the engine: what the server renders is what Blender gets, with all its passes."""

import sys

import bpy
import numpy as np
import pytest

from tests.addon.conftest import EXTENSION, use_server
from tests.addon.shots import SIZE, read_channels, rendered, rgba, shot_of


@pytest.fixture
def shot(connected, trained):
    return shot_of(trained.path)


def from_server(server, trained, scene, field, time, **options):
    """The same picture, asked of the server by hand."""
    client = sys.modules[f"{EXTENSION}.neural_render_addon.service.client"].Client(
        "127.0.0.1", server.port, server.token
    )
    module = sys.modules[f"{EXTENSION}.neural_render_addon.cameras.camera"]
    depsgraph = bpy.context.evaluated_depsgraph_get()
    projection = module.evaluated_projection(scene.camera, depsgraph, *SIZE)
    matrix = module.to_capture(scene.camera.matrix_world, field.matrix_world, "field")
    entry = {**projection.entry(), "transform_matrix": matrix.tolist()}
    return client.render(str(trained.path), entry, time, dtype="float32", **options).planes


def test_a_frame_is_the_servers_picture(shot, server, trained, tmp_path):
    field = shot.neural_render.field
    shot.frame_set(3)
    channels = rendered(shot, tmp_path)
    truth = from_server(server, trained, shot, field, 2 / 24)
    assert truth["combined"][..., 3].max() > 0.9, "the camera sees nothing"
    assert np.abs(rgba(channels) - truth["combined"]).max() < 1e-5
    assert not [name for name in channels if name.startswith(("Depth", "Mist", "Normal", "Vector"))] or (
        "Depth.Z" in channels
    )


def test_depth_is_in_scene_units(shot, server, trained, tmp_path):
    bpy.context.view_layer.use_pass_z = True
    depth = rendered(shot, tmp_path)["Depth.Z"]
    truth = from_server(server, trained, shot, shot.neural_render.field, 0.0)["depth"][..., 0]
    inside = truth < 1e9
    assert inside.any()
    assert np.array_equal(depth < 1e9, inside)
    assert depth[inside] == pytest.approx(2.0 * truth[inside], rel=1e-5)


def test_field_and_camera_are_taken_at_the_frame(shot, tmp_path):
    """Animation through a parent and a keyed Field Time, rendered by F12 at a frame far from the current."""
    field = shot.neural_render.field
    parent = bpy.data.objects.new("Parent", None)
    shot.collection.objects.link(parent)
    shot.camera.parent = None
    field.parent = parent
    for frame, x, seconds in ((1, 0.0, 0.0), (5, 0.6, 3 / 24)):
        parent.location.x = x
        parent.keyframe_insert("location", frame=frame)
        field.neural_render.time_mapping = "FIELD_TIME"
        field.neural_render.field_time = seconds
        field.keyframe_insert("neural_render.field_time", frame=frame)
    shot.camera.location, shot.camera.rotation_euler = (2.6, -3.4, 4.0), (1.15, 0.0, 0.2)
    shot.frame_set(1)
    first = rgba(rendered(shot, tmp_path, "first"))
    shot.frame_set(5)
    second = rgba(rendered(shot, tmp_path, "second"))
    shot.frame_set(1)
    again = rgba(rendered(shot, tmp_path, "again"))
    assert np.abs(first - second).max() > 0.1
    assert np.array_equal(first, again)


def test_the_border_is_the_same_pixels(shot, tmp_path):
    whole = rgba(rendered(shot, tmp_path, "whole"))
    render = shot.render
    render.use_border = True
    render.border_min_x, render.border_max_x = 0.21, 0.83
    render.border_min_y, render.border_max_y = 0.13, 0.59
    left, right = int(0.21 * SIZE[0]), int(0.83 * SIZE[0])
    top, bottom = SIZE[1] - int(0.59 * SIZE[1]), SIZE[1] - int(0.13 * SIZE[1])
    place = slice(top, bottom), slice(left, right)
    assert whole[(*place, 3)].max() > 0.5
    inside = rgba(rendered(shot, tmp_path, "border"))
    assert inside.shape == whole.shape
    assert np.abs(inside[place] - whole[place]).max() < 1e-6
    assert np.count_nonzero(inside) == np.count_nonzero(inside[place])
    render.use_crop_to_border = True
    cropped = rgba(rendered(shot, tmp_path, "cropped"))
    assert np.abs(cropped - whole[place]).max() < 1e-6


def test_two_fields_are_sorted_by_depth(shot, tmp_path):
    """The nearer of two instances covers the other, whatever their order in the scene."""
    field = shot.neural_render.field
    camera = shot.camera
    camera.parent = None
    camera.location, camera.rotation_euler = (1.0, -9.0, 2.0), (1.45, 0.0, 0.0)
    bpy.context.view_layer.use_pass_z = True
    front = rendered(shot, tmp_path, "front")
    behind = field.copy()
    behind.location.y += 3.0
    shot.collection.objects.link(behind)
    field.hide_render = True
    back = rendered(shot, tmp_path, "back")
    field.hide_render = False
    both = rgba(rendered(shot, tmp_path, "both"))
    nearer = front["Depth.Z"] < back["Depth.Z"]
    over, under = np.where(nearer[..., None], (rgba(front), rgba(back)), (rgba(back), rgba(front)))
    assert 0.2 < nearer.mean() < 0.99
    assert (over[..., 3] > 0.9).any()
    assert both == pytest.approx(over + (1 - over[..., 3:]) * under, abs=1e-5)


def test_passes_from_depth(shot, tmp_path):
    """Normals point at the camera; mist and vector are finite and there, where the field is."""
    layer = bpy.context.view_layer
    layer.use_pass_z = layer.use_pass_mist = layer.use_pass_normal = layer.use_pass_vector = True
    shot.camera.parent = None
    shot.camera.matrix_world = shot.camera.matrix_world.copy()
    for frame, x in ((1, 2.0), (3, 2.4)):
        shot.camera.location = (x, -4.0, 3.5)
        shot.camera.keyframe_insert("location", frame=frame)
    shot.camera.rotation_euler = (1.1, 0.0, 0.2)
    shot.frame_set(2)
    channels = rendered(shot, tmp_path)
    depth = channels["Depth.Z"]
    inside = depth < 1e9
    assert 0 < inside.sum() < inside.size
    normal = np.stack([channels[f"Normal.{name}"] for name in "XYZ"], axis=-1)
    length = np.linalg.norm(normal, axis=-1)
    assert ((np.abs(length - 1) < 1e-4) | (length == 0)).all()
    assert (length[inside] > 0).mean() > 0.9
    assert (length[~inside] == 0).all()
    towards = np.array(shot.camera.matrix_world)[:3, 2]
    assert np.median(normal[length > 0] @ towards) > 0.2
    assert (channels["Mist.Z"][~inside] == 1).all()
    assert (channels["Mist.Z"][inside] <= 1).all()
    # A point at rest moves to the left when the camera moves to the right: as Cycles has the signs, its place
    # a frame before lies to the right of where it is.
    assert (channels["Vector.X"][inside] > 0).all()
    assert (channels["Vector.Z"][inside] > 0).all()
    # 0.2 units along the camera's x axis at this depth, in pixels
    expected = 0.2 * np.cos(0.2) * (30.0 / 36.0 * SIZE[0]) / depth[inside]
    assert np.median(channels["Vector.X"][inside] / expected) == pytest.approx(1.0, abs=0.15)


def test_an_animation_renders_its_frames(shot, tmp_path):
    shot.frame_start, shot.frame_end = 1, 2
    rendered(shot, tmp_path)
    shot.render.filepath = str(tmp_path / "film_####")
    assert bpy.ops.render.render(animation=True) == {"FINISHED"}
    assert sorted(path.name for path in tmp_path.glob("film_*")) == ["film_0001.exr", "film_0002.exr"]


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda scene: setattr(scene, "camera", None), "[Cc]amera"),
        (lambda scene: setattr(scene.neural_render.field, "scale", (1, 1, 2)), "one uniform scale"),
        (lambda scene: setattr(scene.neural_render.field, "hide_render", True), "No trained field"),
        (
            lambda scene: setattr(scene.neural_render.field.neural_render, "scene_path", "/gone/field.scene"),
            "/gone/field.scene",
        ),
    ],
)
def test_what_cannot_be_rendered_is_told(shot, tmp_path, spoil, sentence):
    spoil(shot)
    bpy.context.view_layer.update()
    with pytest.raises(RuntimeError, match=sentence):
        bpy.ops.render.render()


def test_a_server_that_is_gone_is_told(shot, own_server):
    use_server(own_server)
    own_server.kill()
    with pytest.raises(RuntimeError, match="Start Server"):
        bpy.ops.render.render()


def test_unregistering_leaves_blenders_panels_as_they_were(empty_scene):
    def ours():
        return [
            panel.__name__
            for panel in bpy.types.Panel.__subclasses__()
            if "NEURAL_RENDER" in getattr(panel, "COMPAT_ENGINES", ()) and EXTENSION not in panel.__module__
        ]

    assert "RENDER_PT_format" in ours()
    bpy.ops.preferences.addon_disable(module=EXTENSION)
    try:
        assert ours() == []
        assert not hasattr(bpy.types, "NeuralRenderEngine")
    finally:
        bpy.ops.preferences.addon_enable(module=EXTENSION)
    assert "RENDER_PT_format" in ours()


def test_lens_and_shutter_are_those_of_render_frames(shot, tmp_path):
    """Field and camera move, the camera is out of focus: F12 in bands has the frames' own mean."""
    shot.neural_render.render.folder, shot.neural_render.render.samples = str(tmp_path), 6
    field = shot.neural_render.field
    for frame, x, seconds in ((1, 0.6, 0.0), (5, 1.4, 0.3)):
        field.location.x = x
        field.keyframe_insert("location", frame=frame)
        field.neural_render.time_mapping = "FIELD_TIME"
        field.neural_render.field_time = seconds
        field.keyframe_insert("neural_render.field_time", frame=frame)
    shot.camera.parent = None
    shot.camera.location, shot.camera.rotation_euler = (2.6, -3.4, 4.0), (1.15, 0.0, 0.2)
    shot.frame_set(3)
    shot.frame_start = shot.frame_end = 3
    sharp = rgba(rendered(shot, tmp_path, "sharp"))
    dof = shot.camera.data.dof
    dof.use_dof, dof.focus_distance, dof.aperture_fstop = True, 3.0, 0.05
    shot.render.use_motion_blur, shot.render.motion_blur_shutter = True, 1.0
    for position in ("CENTER", "END"):
        shot.render.motion_blur_position = position
        blurred = rgba(rendered(shot, tmp_path, position))
        assert shot.frame_current == 3
        assert bpy.ops.neural_render.render_frames() == {"FINISHED"}
        frame = rgba(read_channels(tmp_path / "tiny_0003.exr"))
        assert np.abs(blurred - frame).max() < 1e-4
        assert np.abs(blurred - sharp).mean() > 0.01
