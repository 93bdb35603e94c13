"""The Vector pass of a field in which something moves, against Cycles' own of the same thing as a mesh."""

import json
import sys
from itertools import pairwise

import bpy
import numpy as np
import pytest

from tests.addon.conftest import EXTENSION, gaussian_scene, use_server
from tests.addon.shots import rendered

SIZE = (96, 72)
# gaussian_scene.moving_ball
RADIUS, VELOCITY = 0.8, np.array([1.2, -0.9, 1.5])
FRAME, FPS = 5, 24
# tests/tiny_capture.py: a ball that flies along x, filmed by cameras of 64 by 48 pixels
FLYING_START, FLYING_SPEED, FLYING_RADIUS = np.array([-0.7, 0.9, 0.8]), 1.4 * 12 / 5, 0.35
# A volumetric field that is trained in seconds.
HASH_FIELD = {
    "levels": 6,
    "moving_levels": 4,
    "log2_table_size": 12,
    "moving_log2_table_size": 12,
    "finest": 128,
    "moving_finest": 32,
    "width": 16,
    "color_layers": 1,
    "occupancy_resolution": 16,
    "gate_resolution": 24,
    "steps_across": 128,
    "samples": 4096,
}


def key(target, path, frame, value):
    setattr(target, path, value)
    target.keyframe_insert(path, frame=frame)


@pytest.fixture(scope="module")
def moving_ball(tmp_path_factory):
    return gaussian_scene(tmp_path_factory.mktemp("moving") / "ball.scene", "moving_ball")


@pytest.fixture
def shot(server, empty_scene, moving_ball):
    """The moving ball at twice its speed in a field that turns, moves and is scaled, before a camera that
    moves; and, parented to the field, a mesh that does as the ball does.
    """
    use_server(server)
    scene = bpy.context.scene
    assert bpy.ops.neural_render.open_scene(filepath=str(moving_ball)) == {"FINISHED"}
    field = scene.neural_render.field
    scene.render.fps, scene.render.fps_base = FPS, 1.0
    scene.render.resolution_x, scene.render.resolution_y = SIZE
    field.neural_render.frame_start, field.neural_render.speed = 1.0, 2.0
    field.scale = (1.5, 1.5, 1.5)
    bpy.ops.mesh.primitive_uv_sphere_add(segments=64, ring_count=32, radius=RADIUS)
    ball = bpy.context.object
    ball.parent = field
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    scene.collection.objects.link(camera)
    scene.camera = camera
    for frame in range(FRAME - 1, FRAME + 2):  # every frame that is looked at: no interpolation counts
        step = frame - FRAME
        key(field, "location", frame, (1.0 + 0.03 * step, 2.0, 0.5 + 0.05 * step**2))
        key(field, "rotation_euler", frame, (0.2, 0.1 * step, 0.4))
        key(ball, "location", frame, VELOCITY * 2.0 * (frame - 1) / FPS)
        key(camera, "location", frame, (1.3, -5.0 + 0.1 * step, 2.0 - 0.07 * step))
        key(camera, "rotation_euler", frame, (1.45, 0.0, 0.02 * step))
    bpy.context.view_layer.use_pass_vector = bpy.context.view_layer.use_pass_z = True
    scene.frame_set(FRAME)
    return scene


def vector_of(channels):
    return np.stack([channels[f"Vector.{name}"] for name in "XYZW"], axis=-1)


def test_it_is_cycles_of_the_same_thing(shot, tmp_path):
    shot.render.engine = "NEURAL_RENDER"
    field = rendered(shot, tmp_path, "field")
    shot.render.engine, shot.cycles.samples = "CYCLES", 1
    mesh = rendered(shot, tmp_path, "mesh")
    both = (field["Combined.A"] > 0.95) & (mesh["Depth.Z"] < 1e9)
    assert both.sum() > 300
    truth = vector_of(mesh)[both]
    assert np.abs(truth).mean(axis=0).min() > 0.5, "all four move"
    error = np.abs(vector_of(field)[both] - truth)
    # Flow errs by some hundredths of a pixel a timestep, and most at the outline.
    assert error.mean() < 0.04 * np.abs(truth).mean()
    assert np.quantile(error, 0.99) < 0.15 * np.abs(truth).mean()


def test_time_that_stands_still_has_no_motion_within(shot, tmp_path):
    """The same as Cycles with the mesh at rest in the field."""
    properties = shot.neural_render.field.neural_render
    properties.time_mapping, properties.field_time = "FIELD_TIME", 2.0 * (FRAME - 1) / FPS
    ball = next(child for child in shot.neural_render.field.children if child.type == "MESH")
    ball.animation_data_clear()
    ball.location = VELOCITY * 2.0 * (FRAME - 1) / FPS
    shot.render.engine = "NEURAL_RENDER"
    field = rendered(shot, tmp_path, "field")
    shot.render.engine, shot.cycles.samples = "CYCLES", 1
    mesh = rendered(shot, tmp_path, "mesh")
    both = (field["Combined.A"] > 0.95) & (mesh["Depth.Z"] < 1e9)
    assert np.abs(vector_of(field) - vector_of(mesh))[both].mean() < 0.05


def test_over_a_loops_end_things_move_on(shot):
    """A loop of two seconds, played twice as fast, starts anew between frames 25 and 26."""
    views = sys.modules[f"{EXTENSION}.neural_render_addon.engine.views"]
    final = sys.modules[f"{EXTENSION}.neural_render_addon.engine.final"]
    properties = shot.neural_render.field.neural_render
    properties.time_mapping = "LOOP"
    fields = []
    for frame in range(1, 60):
        shot.frame_set(frame)
        fields.extend(views.sample_fields(bpy.context.evaluated_depsgraph_get()))
    assert min(np.diff([field.seconds for field in fields])) < -1.5, "the loop starts anew"
    moved = [final.elapsed(before, after) for before, after in pairwise(fields)]
    assert moved == pytest.approx([2.0 / FPS] * 58)


def test_a_field_that_appears_is_rendered_from_its_first_frame_on(shot, tmp_path):
    """Before, where it is hidden, it has no place to have come from: it counts as having been where it is."""
    shot.render.engine = "NEURAL_RENDER"
    before = vector_of(rendered(shot, tmp_path, "before"))
    field = shot.neural_render.field
    key(field, "hide_render", FRAME - 1, True)
    key(field, "hide_render", FRAME, False)
    shot.frame_set(FRAME)
    shot.render.use_motion_blur, shot.render.motion_blur_shutter = True, 1.5
    shot.neural_render.render.samples = 2
    channels = rendered(shot, tmp_path, "appears")
    vector = vector_of(channels)
    seen = channels["Combined.A"] > 0.95
    assert seen.sum() > 300
    assert np.abs(vector[seen][:, 2:] - before[seen][:, 2:]).max() < 1e-4, (
        "to the next frame nothing is changed"
    )
    assert np.isfinite(vector).all() and np.abs(vector[seen][:, :2]).max() > 0.5


@pytest.fixture
def flying_ball(server, tiny, tmp_path):
    client = sys.modules[f"{EXTENSION}.neural_render_addon.service.client"].Client(
        "127.0.0.1", server.port, server.token
    )
    scene = tmp_path / "flying.scene"
    params = {"capture": str(tiny / "n3dv"), "scene": str(scene), "method": "hash4d", "steps": 150}
    job = client.submit("train", {**params, "preset": "small", "options": HASH_FIELD})
    for _ in client.events(job.id):
        pass
    assert client.job(job.id).state == "done", client.job(job.id).error
    return scene


def test_a_volumetric_field_knows_too_what_moves(server, empty_scene, flying_ball, tmp_path):
    """Before a camera that stands still, only the ball moves: along the picture, two pixels a frame."""
    use_server(server)
    scene = bpy.context.scene
    assert bpy.ops.neural_render.open_scene(filepath=str(flying_ball)) == {"FINISHED"}
    field = scene.neural_render.field
    scene.render.fps, scene.render.fps_base = FPS, 1.0
    field.neural_render.frame_start = 1.0
    entry = json.loads((flying_ball / "cameras.json").read_text())["frames"][0]
    scene.render.resolution_x, scene.render.resolution_y = entry["w"], entry["h"]
    data = bpy.data.cameras.new("Camera")
    data.sensor_width, data.lens = 36.0, 36.0 * entry["fl_x"] / entry["w"]
    camera = bpy.data.objects.new("Camera", data)
    scene.collection.objects.link(camera)
    scene.camera = camera
    pose = np.array(entry["transform_matrix"])
    camera.matrix_world = (np.array(field.matrix_world) @ pose).T.tolist()
    bpy.context.view_layer.use_pass_vector = True
    scene.frame_set(FRAME)
    scene.render.engine = "NEURAL_RENDER"
    vector = vector_of(rendered(scene, tmp_path, "flying"))

    place = FLYING_START + np.array([FLYING_SPEED * (FRAME - 1) / FPS, 0.0, 0.0])
    right, up, back = (np.linalg.inv(pose) @ [*place, 1.0])[:3]
    center = entry["cx"] - right / back * entry["fl_x"], entry["cy"] + up / back * entry["fl_y"]
    radius = FLYING_RADIUS / -back * entry["fl_x"]
    columns, rows = np.meshgrid(np.arange(entry["w"]) + 0.5, np.arange(entry["h"]) + 0.5)
    distance = np.hypot(columns - center[0], rows - center[1])
    step = pose[:3, :3].T @ [FLYING_SPEED / FPS, 0.0, 0.0] / -back * entry["fl_x"]
    moves = np.median(vector[distance < 0.7 * radius], axis=0)
    assert np.abs(step[0]) > 1.5
    # Cycles' signs: from here to where it was, and from where it will be to here
    assert moves[[0, 2]] == pytest.approx(-step[0], rel=0.5)
    assert np.abs(moves[[1, 3]]).max() < 0.3
    assert np.median(np.abs(vector[distance > 3.0 * radius])) < 0.1
