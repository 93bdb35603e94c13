"""Capture Tracked Clip: Blender's solve, lens, masks and points, against a clip whose camera is known."""

import json
import subprocess

import bpy
import numpy as np
import pytest

from neural_render_addon import versions
from neural_render_addon.capturing.pictures import stored_pixels
from neural_render_addon.capturing.sequencer_pictures import sequencer_scene
from tests.addon.conftest import server_python
from tests.addon.solved_clip import FRAMES, HEIGHT, WIDTH, make_clip
from tests.addon.test_render_capture import inspect


@pytest.fixture(params=["POLYNOMIAL", "BROWN"])
def lens(request):
    return request.param


@pytest.fixture
def known(empty_scene, tmp_path, lens):
    """The solved clip, chosen for the capture, with a start frame that is not 1."""
    (tmp_path / "film").mkdir()
    known = make_clip(tmp_path / "film", lens)
    known.clip.frame_start = 10
    settings = empty_scene.neural_render.capture.clip
    settings.clip, settings.folder = known.clip, str(tmp_path / "capture")
    empty_scene.render.fps = 12
    return known


def capture(tmp_path):
    assert bpy.ops.neural_render.capture_clip() == {"FINISHED"}
    return json.loads((tmp_path / "capture" / "transforms.json").read_text())


def opencv_project(data, frame, points):
    """(N, 2) pixels from the upper left, as OpenCV's documentation has the lens."""
    pose = np.array(frame["transform_matrix"])
    inside = (points - pose[:3, 3]) @ pose[:3, :3]
    x, y = inside[:, 0] / -inside[:, 2], -inside[:, 1] / -inside[:, 2]
    squared = x * x + y * y
    radial = 1.0 + data["k1"] * squared + data["k2"] * squared**2 + data["k3"] * squared**3
    u = x * radial + 2.0 * data["p1"] * x * y + data["p2"] * (squared + 2.0 * x * x)
    v = y * radial + data["p1"] * (squared + 2.0 * y * y) + 2.0 * data["p2"] * x * y
    return np.stack([data["fl_x"] * u + data["cx"], data["fl_y"] * v + data["cy"]], axis=1)


def ply_rows(path):
    lines = path.read_text().splitlines()
    return np.array([line.split() for line in lines[lines.index("end_header") + 1 :]], dtype=float)


def test_a_solve_becomes_a_capture(known, tmp_path, lens):
    data = capture(tmp_path)
    folder = tmp_path / "capture"
    told = inspect(folder)
    assert told["warnings"] == []
    assert told["times"] == pytest.approx([k / 12 for k in range(FRAMES)], abs=1e-6)
    assert len(told["cameras"]) == FRAMES
    assert told["points"] == 40
    table = ply_rows(folder / "points.ply")
    for index, frame in enumerate(data["frames"]):
        picture = stored_pixels(folder / frame["file_path"]) * 255
        assert np.abs(picture[..., 2] - 20 * (index + 1)).max() < 1.1
        # Blender's solve, told in OpenCV's terms, puts its points where the markers are.
        markers = known.markers[index] * (WIDTH, HEIGHT)
        markers[:, 1] = HEIGHT - markers[:, 1]
        assert np.abs(opencv_project(data, frame, table[:, :3]) - markers).max() < 0.02
    # The solve has an origin, direction and scale of its own; distances between cameras and points have not.
    cameras = np.array([np.array(frame["transform_matrix"])[:3, 3] for frame in data["frames"]])
    solved = np.linalg.norm(cameras[:, None] - table[None, :, :3], axis=-1)
    true = np.linalg.norm(known.poses[:, None, :3, 3] - known.points[None], axis=-1)
    assert np.ptp(solved / true) < 1e-3 * (solved / true).mean()
    # Colours are those under the first marker.
    first = stored_pixels(folder / data["frames"][0]["file_path"])[::-1] * 255
    x, y = known.markers[0, 7] * (WIDTH, HEIGHT)
    assert table[7, 3:] == pytest.approx(first[int(y), int(x), :3], abs=1.1)


@pytest.mark.parametrize("lens", ["BROWN"], indirect=True)
def test_the_lens_undistorts_as_blenders_own_node_does(known, tmp_path, lens):
    data = capture(tmp_path)
    ours = tmp_path / "ours.npy"
    code = (
        "import sys, numpy as np; from neural_render_server.captures.detect import open_capture;"
        "from neural_render_server.captures.frames import Frames;"
        "frames = Frames(open_capture(sys.argv[1]), [0]);"
        "np.save(sys.argv[2], frames.rgb(0))"
    )
    subprocess.run([str(server_python()), "-c", code, str(tmp_path / "capture"), str(ours)], check=True)
    undistorted = np.load(ours).astype(float)[..., :2]
    theirs = stored_pixels(undistorted_by_blender(known.clip, tmp_path / "theirs.png"))[..., :2] * 255
    distorted = stored_pixels(tmp_path / "capture" / data["frames"][0]["file_path"])[..., :2] * 255
    # The node moves its picture as a whole, by the pixel or two that the larger picture is off centre (4.5 by
    # one even where the lens distorts nothing); that markers lie right in the pictures is tested above.
    error = least_difference(theirs, undistorted)
    assert error < 0.6
    assert least_difference(theirs, distorted) > 4.0 * error


def least_difference(one, other):
    """Mean difference of two pictures inside, one moved by whole and half pixels to where it is least."""
    steps = np.arange(-3.0, 3.1, 0.5)
    inside = np.s_[6:-6, 6:-6]
    return min(np.abs(moved(one, x, y) - other)[inside].mean() for x in steps for y in steps)


def moved(pixels, x, y):
    """Pixels (H, W, channels) moved by columns and rows, linear in between; the rim comes around."""
    for axis, step in ((0, y), (1, x)):
        whole, part = int(np.floor(step)), step - np.floor(step)
        pixels = (1 - part) * np.roll(pixels, whole, axis) + part * np.roll(pixels, whole + 1, axis)
    return pixels


def undistorted_by_blender(clip, path):
    """The first frame through the compositor's Movie Distortion node."""
    with sequencer_scene((WIDTH, HEIGHT), 1) as scene:
        scene.render.use_sequencer, scene.render.use_compositing = False, True
        scene.render.compositor_device = "CPU"
        tree, _ = versions.ensure_compositor_tree(scene)
        output, _ = versions.ensure_output_node(tree)
        source, lens = (
            tree.nodes.new("CompositorNodeMovieClip"),
            tree.nodes.new("CompositorNodeMovieDistortion"),
        )
        source.clip = lens.clip = clip
        if hasattr(lens, "distortion_type"):
            lens.distortion_type = "UNDISTORT"
        else:
            lens.inputs["Type"].default_value = "Undistort"
        tree.links.new(source.outputs["Image"], lens.inputs["Image"])
        tree.links.new(lens.outputs["Image"], output.inputs[0])
        versions.set_image_format(scene.render.image_settings, "PNG")
        scene.frame_start = scene.frame_end = clip.frame_start
        scene.render.filepath = str(path.with_suffix(""))
        bpy.ops.render.render(animation=True, scene=scene.name)
    return next(path.parent.glob(f"{path.stem}*.png"))


@pytest.mark.parametrize("lens", ["POLYNOMIAL"], indirect=True)
@pytest.mark.parametrize("use", ["USED", "IGNORED"])
def test_masks_of_the_mask_editor(known, tmp_path, lens, use):
    mask = bpy.data.masks.new("Person")
    spline = mask.layers.new(name="Layer").splines.new()
    spline.points.add(3)
    for point, place in zip(
        spline.points, [(0.25, 0.25), (0.5, 0.25), (0.5, 0.75), (0.25, 0.75)], strict=True
    ):
        point.co, point.handle_type = place, "VECTOR"
    spline.use_cyclic = True
    settings = bpy.context.scene.neural_render.capture.clip
    settings.mask, settings.mask_use, settings.frame_step, settings.is_still = mask, use, 6, True
    before = (mask.frame_start, mask.frame_end)
    data = capture(tmp_path)
    assert (mask.frame_start, mask.frame_end) == before
    assert [frame["name"] for frame in data["frames"]] == ["shot_0001_0001", "shot_0001_0007"]
    inside = stored_pixels(tmp_path / "capture" / data["frames"][1]["mask_path"])[..., 0] > 0.5
    if use == "IGNORED":
        inside = ~inside
    # Masks are in units of the picture's longer side, about its middle: half of it is 2/3 of the height.
    rows, columns = np.nonzero(inside)
    assert (columns.min(), columns.max() + 1) == (pytest.approx(16, abs=1), pytest.approx(32, abs=1))
    assert (rows.min(), rows.max() + 1) == (pytest.approx(8, abs=1), pytest.approx(40, abs=1))
    assert inside.sum() == len(set(rows)) * len(set(columns))
    if use == "USED":
        told = inspect(tmp_path / "capture")
        assert (told["is_dynamic"], told["warnings"]) == (False, [])


@pytest.mark.parametrize("lens", ["POLYNOMIAL"], indirect=True)
def test_the_scene_camera_that_follows_the_clip_places_the_solve(known, tmp_path, lens):
    own = np.array(capture(tmp_path)["frames"][3]["transform_matrix"])
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    scene = bpy.context.scene
    scene.collection.objects.link(camera)
    scene.camera = camera
    constraint = camera.constraints.new("CAMERA_SOLVER")
    constraint.use_active_clip, constraint.clip = False, known.clip
    camera.location, camera.scale, camera.rotation_euler.z = (1.0, 2.0, 3.0), (2.0, 2.0, 2.0), 0.7
    scene.frame_set(known.clip.frame_start + 3)
    placed = np.array(capture(tmp_path)["frames"][3]["transform_matrix"])
    # Blender's own constraint says where the camera is at that frame.
    assert placed == pytest.approx(np.array(camera.matrix_world.normalized()), abs=1e-4)
    assert np.abs(placed - own).max() > 0.1


@pytest.mark.parametrize("lens", ["POLYNOMIAL"], indirect=True)
@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda settings: setattr(settings, "clip", None), "No movie clip is chosen"),
        (lambda settings: setattr(settings.clip.tracking.camera, "distortion_model", "NUKE"), "is Nuke"),
        (lambda settings: use_k4(settings.clip.tracking.camera), "is Brown with k4"),
        (lambda settings: setattr(settings, "clip", unsolved(settings.clip)), "is not solved"),
        (lambda settings: setattr(settings, "folder", "//captures"), "save it, or choose a folder"),
    ],
)
def test_what_cannot_be_captured_is_told(known, tmp_path, lens, spoil, sentence):
    spoil(bpy.context.scene.neural_render.capture.clip)
    with pytest.raises(RuntimeError, match=sentence):
        bpy.ops.neural_render.capture_clip()
    assert not (tmp_path / "capture").exists()
    assert [scene.name for scene in bpy.data.scenes] == ["Scene"]


def use_k4(camera):
    camera.distortion_model, camera.brown_k4 = "BROWN", 0.001


def unsolved(clip):
    return bpy.data.movieclips.load(clip.filepath, check_existing=False)
