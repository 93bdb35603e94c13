"""Fields edited with Blender's objects: what the camera file carries, and what the frames show of it."""

import sys
from pathlib import Path

import bpy
import numpy as np
import pytest
from mathutils import Euler, Matrix, Vector

from tests.addon.conftest import EXTENSION
from tests.addon.shots import SIZE, read_channels, rendered, rgba, shot_of


@pytest.fixture
def shot(connected, trained, tmp_path):
    scene = shot_of(trained.path)
    scene.neural_render.render.folder = str(tmp_path)
    return scene


def frames(scene):
    """Render Frames of the present frame."""
    scene.frame_start = scene.frame_end = scene.frame_current
    assert bpy.ops.neural_render.render_frames() == {"FINISHED"}
    properties = scene.neural_render.field.neural_render
    return read_channels(
        Path(properties.render_folder) / f"{properties.render_prefix}{scene.frame_current:04d}.exr"
    )


def edit_of(scene):
    return scene.neural_render.field.neural_render.edit


def sampled(scene):
    """The field's edits as the camera file carries them."""
    module = sys.modules[f"{EXTENSION}.neural_render_addon.field_edit"]
    depsgraph = bpy.context.evaluated_depsgraph_get()
    field = scene.neural_render.field.evaluated_get(depsgraph)
    return module.sample_edit(field, scene, depsgraph).entry()


def add(scene, **options):
    assert bpy.ops.neural_render.crop_add(**options) == {"FINISHED"}
    return edit_of(scene).crops[-1].object


def inside_box(matrix, points):
    place = points @ np.linalg.inv(np.array(matrix))[:3].T
    return (np.abs(place) < 1).all(-1)


def test_a_crop_is_in_capture_coordinates_whatever_field_and_object_do(shot):
    """Against world coordinates: a point of the object's box is the capture point that the entry says."""
    field, box = shot.neural_render.field, add(shot)
    box.rotation_euler, box.scale = (0.3, 0.2, 0.5), (0.5, 1.0, 2.0)
    box.empty_display_size = 0.7
    mesh = bpy.data.meshes.new("Corner")
    mesh.from_pydata([(0, 0, 0), (2, 0, 0), (0, 4, 6)], [], [(0, 1, 2)])
    free = bpy.data.objects.new("Corner", mesh)
    free.matrix_world = Matrix.LocRotScale((3, 1, 2), Euler((0.1, 0.7, 0.2)), (0.5, 1.5, 1.0))
    shot.collection.objects.link(free)
    for obj in bpy.context.selected_objects:
        obj.select_set(False)
    free.select_set(True)
    assert bpy.ops.neural_render.crop_use_selected() == {"FINISHED"}
    edit_of(shot).crops[1].role, edit_of(shot).crops[1].shape = "REMOVE", "SPHERE"
    bpy.context.view_layer.update()
    first, second = sampled(shot)["crop"]
    assert (first["shape"], first["role"], second["shape"], second["role"]) == (
        "box",
        "keep",
        "sphere",
        "remove",
    )
    for entry, obj, corner, own in (
        (first, box, (1, -1, 1), (0.7, -0.7, 0.7)),
        (second, free, (1, 1, -1), (2, 4, 0)),
    ):
        in_capture = np.array(entry["matrix"]) @ [*corner, 1.0]
        in_world = np.array(field.matrix_world) @ in_capture
        assert in_world[:3] == pytest.approx(tuple(obj.matrix_world @ Vector(own)), abs=1e-5)


def test_a_cut_is_the_same_in_render_frames_f12_and_the_server(shot, server, trained, tmp_path):
    """Pixel by pixel; and rays that miss the box see nothing."""
    whole = rendered(shot, tmp_path)
    box = add(shot)
    box.location.x += 0.4
    box.rotation_euler.z = 0.6
    bpy.context.view_layer.update()
    cut = frames(shot)
    assert 0.05 < cut["Combined.A"].sum() / whole["Combined.A"].sum() < 0.7
    assert np.abs(rgba(rendered(shot, tmp_path)) - rgba(cut)).max() < 1e-5
    client = sys.modules[f"{EXTENSION}.neural_render_addon.service.client"].Client(
        "127.0.0.1", server.port, server.token
    )
    camera = sys.modules[f"{EXTENSION}.neural_render_addon.cameras.camera"]
    depsgraph = bpy.context.evaluated_depsgraph_get()
    projection = camera.evaluated_projection(shot.camera, depsgraph, *SIZE)
    matrix = camera.to_capture(shot.camera.matrix_world, shot.neural_render.field.matrix_world, "")
    entry = {**projection.entry(), "transform_matrix": matrix.tolist(), **sampled(shot)}
    single = client.render(str(trained.path), entry, 0.0, dtype="float32").planes["combined"]
    assert np.abs(single - rgba(cut)).max() < 1e-5
    # rays that miss the box see nothing at all
    rows, columns = np.indices(SIZE[::-1]) + 0.5
    steps = np.stack([columns - projection.cx, projection.cy - rows], -1) / (projection.fl_x, projection.fl_y)
    directions = np.concatenate([steps, -np.ones((*SIZE[::-1], 1))], -1) @ matrix[:3, :3].T
    along = matrix[:3, 3] + np.linspace(0, 9, 300)[:, None, None, None] * directions
    points = np.concatenate([along, np.ones((*along.shape[:-1], 1))], -1)
    meets = inside_box(entry["crop"][0]["matrix"], points).any(0)
    # the samples along a ray may step over a corner of the box
    near = np.pad(meets, 1)
    near = np.any([near[1 + dy : 55 + dy, 1 + dx : 73 + dx] for dy in (-1, 0, 1) for dx in (-1, 0, 1)], 0)
    assert 0.1 < near.mean() < 0.9
    assert cut["Combined.A"][~near].max() < 1e-6


def test_a_crop_object_moves_while_the_shutter_is_open(shot, tmp_path):
    """F12 in bands and Render Frames blur its edges alike, and not as one that stands still."""
    shot.neural_render.render.samples = 8
    shot.render.use_motion_blur, shot.render.motion_blur_shutter = True, 1.0
    box = add(shot)
    box.location.z -= 1.0  # to the floor
    shot.frame_set(3)
    still = rgba(rendered(shot, tmp_path))
    place = box.location.x
    for frame in (2, 3, 4):
        box.location.x = place + 0.5 * (frame - 3)
        box.keyframe_insert("location", frame=frame)
    moving = rgba(rendered(shot, tmp_path))
    assert np.abs(moving - still).max() > 0.1
    assert np.abs(moving - rgba(frames(shot))).max() < 1e-4


def test_kept_and_removed_make_up_the_whole(shot, tmp_path):
    """A box that keeps, and the same one that removes: each pixel's alphas compose to the uncropped one."""
    whole = rendered(shot, tmp_path)["Combined.A"]
    box = add(shot)
    inside = rendered(shot, tmp_path)["Combined.A"]
    edit_of(shot).crops[0].role = "REMOVE"
    outside = rendered(shot, tmp_path)["Combined.A"]
    assert inside.max() > 0.8 and outside.max() > 0.8
    left = (1 - inside) * (1 - outside)
    # a Gaussian's alpha is shared, not its thickness: the product differs a little where it is cut
    assert np.abs(1 - left - whole).mean() < 0.02
    bpy.data.objects.remove(box)
    assert np.array_equal(rendered(shot, tmp_path)["Combined.A"], whole)


def test_mattes_are_passes_and_layers(shot, tmp_path):
    shot.neural_render.render.use_mattes = True
    box = add(shot)
    ball = add(shot, shape="SPHERE", role="MATTE")
    box.name, ball.name = "Stage.001", "Ball"
    ball.location.x += 0.3
    bpy.context.view_layer.update()
    cut = frames(shot)
    all_of_it, ball_of_it = cut["Matte Stage_001.X"], cut["Matte Ball.X"]
    assert np.abs(all_of_it - cut["Combined.A"]).max() < 1e-5, "all that is kept lies in the box"
    assert ball_of_it.max() > 0.3 and (ball_of_it <= all_of_it + 1e-5).all()
    assert ball_of_it.sum() < 0.9 * all_of_it.sum()
    image = rendered(shot, tmp_path)
    for name in ("Matte Stage_001.X", "Matte Ball.X"):
        assert np.abs(image[name] - cut[name]).max() < 1e-5
    shot.neural_render.render.use_mattes = False
    assert not [name for name in rendered(shot, tmp_path) if name.startswith("Matte")]


def test_crop_exposure_and_white_balance_are_animated(shot, tmp_path):
    field, edit = shot.neural_render.field, edit_of(shot)
    field.neural_render.time_mapping = "FIELD_TIME"
    plain = rendered(shot, tmp_path)
    box = add(shot)
    keyed = ("exposure", "temperature")
    for frame, x, grade in (
        (1, box.location.x, (0.0, 6500.0)),
        (3, box.location.x, (2.0, 6500.0)),
        (5, box.location.x, (0.0, 3000.0)),
        (7, -9.0, (0.0, 6500.0)),
    ):
        box.location.x = x
        box.keyframe_insert("location", frame=frame)
        for name, value in zip(keyed, grade, strict=True):
            setattr(edit, name, value)
            field.keyframe_insert(f"neural_render.edit.{name}", frame=frame)
    shown = {}
    for frame in (1, 3, 5, 7):
        shot.frame_set(frame)
        shown[frame] = rendered(shot, tmp_path)
    assert 0.0 < shown[1]["Combined.A"].sum() < 0.7 * plain["Combined.A"].sum()
    assert rgba(shown[3])[..., :3] == pytest.approx(4.0 * rgba(shown[1])[..., :3], rel=1e-5, abs=1e-6)
    assert shown[5]["Combined.B"].sum() > 1.5 * shown[1]["Combined.B"].sum()
    assert shown[5]["Combined.R"].sum() < 0.8 * shown[1]["Combined.R"].sum()
    assert np.array_equal(shown[5]["Combined.A"], shown[1]["Combined.A"])
    assert shown[7]["Combined.A"].max() == 0.0, "at frame 7 the box is far away"
    shot.frame_set(4)
    assert np.abs(rgba(frames(shot)) - rgba(rendered(shot, tmp_path))).max() < 1e-5


def test_a_copied_region_is_the_same_elsewhere_at_a_time_of_its_own(shot, tmp_path):
    """Seen by a camera that stands to the copy as the first one does to the original."""
    field = shot.neural_render.field
    box = add(shot)
    only = rgba(rendered(shot, tmp_path))
    assert bpy.ops.neural_render.copy_region() == {"FINISHED"}
    copy = bpy.context.view_layer.objects.active
    assert copy != field and copy.neural_render.scene_path == field.neural_render.scene_path
    own = copy.neural_render.edit.crops[0].object
    assert own != box and own.parent == copy
    bpy.context.view_layer.update()
    step = copy.matrix_world.translation - field.matrix_world.translation
    assert step.length > 0.5
    copy.location.z += 50.0  # out of the first camera's sight
    bpy.context.view_layer.update()
    assert np.abs(rgba(rendered(shot, tmp_path)) - only).max() < 1e-5
    shot.camera.parent = copy
    assert np.abs(rgba(rendered(shot, tmp_path)) - only).max() < 1e-3
    copy.neural_render.time_mapping, copy.neural_render.field_time = "FIELD_TIME", 0.3
    assert np.abs(rgba(rendered(shot, tmp_path)) - only).max() > 0.02
    assert field.neural_render.time_mapping == "FOLLOW"


def test_without_a_crop_object_copy_region_adds_one(shot):
    assert not edit_of(shot).crops
    assert bpy.ops.neural_render.copy_region() == {"FINISHED"}
    copy = bpy.context.view_layer.objects.active
    assert [item.role for item in edit_of(shot).crops] == ["KEEP"]
    assert copy.neural_render.edit.crops[0].object != edit_of(shot).crops[0].object


def test_what_cannot_cut_is_told(shot):
    box = add(shot)
    box.scale.x = 0.0
    bpy.context.view_layer.update()
    with pytest.raises(RuntimeError, match=f"{box.name}' has scale 0"):
        bpy.ops.neural_render.render_frames()
    box.scale.x, box.hide_viewport = 1.0, True
    bpy.context.view_layer.update()
    with pytest.raises(RuntimeError, match=r"is disabled in viewports.*eye icon"):
        bpy.ops.neural_render.render_frames()
    box.hide_render = True
    with pytest.raises(RuntimeError, match="is disabled in renders"):
        bpy.ops.render.render()
    for obj in bpy.context.selected_objects:
        obj.select_set(False)
    with pytest.raises(RuntimeError, match="No mesh or Empty is selected"):
        bpy.ops.neural_render.crop_use_selected()
    assert bpy.ops.neural_render.crop_remove() == {"FINISHED"}
    assert box.name in shot.objects, "the object stays"
    with pytest.raises(RuntimeError, match="choose one"):
        bpy.ops.neural_render.crop_remove()


def test_edits_survive_saving(shot, tmp_path):
    box = add(shot, shape="SPHERE", role="REMOVE")
    edit_of(shot).tint = 20.0
    name, path = box.name, str(tmp_path / "edited.blend")
    before = sampled(shot)
    bpy.ops.wm.save_as_mainfile(filepath=path)
    bpy.ops.wm.open_mainfile(filepath=path)
    scene = bpy.context.scene
    assert edit_of(scene).crops[0].object == scene.objects[name]
    assert sampled(scene) == before
