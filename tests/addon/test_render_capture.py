"""Render Capture: what is written is right, is read by the server without warnings, and leaves no trace."""

import json
import subprocess

import bpy
import numpy as np
import OpenEXR
import pytest

from neural_render_addon import versions
from neural_render_addon.capturing.pictures import png_size, stored_pixels
from tests.addon.conftest import server_python
from tests.addon.film_set import build_film_set


@pytest.fixture
def film_set(empty_scene, tmp_path):
    """The moving film set, three cameras before it, and settings that a capture must not keep."""
    scene = empty_scene
    ball = build_film_set(scene)
    bpy.ops.neural_render.add_rig(
        shape="ARC", count=3, radius=4.0, angle=0.4, lens=30.0, target="", elevation=0.3
    )
    settings = scene.neural_render.capture
    settings.use_scene_range, settings.frame_start, settings.frame_end, settings.frame_step = False, 1, 4, 3
    settings.folder = str(tmp_path / "capture")
    bystander = bpy.data.objects.new("Bystander", bpy.data.cameras.new("Bystander"))
    scene.collection.objects.link(bystander)
    scene.timeline_markers.new("cut", frame=1).camera = bystander
    scene.camera = bystander
    scene.view_settings.exposure = 2.0
    scene.render.use_border, scene.render.use_stamp = True, True
    scene.render.filepath = "//mine_"
    versions.set_image_format(scene.render.image_settings, "JPEG")
    scene.frame_set(2)
    bpy.context.view_layer.objects.active = ball
    return scene


def artist_settings(scene):
    render, layer = scene.render, bpy.context.view_layer
    return {
        "render": [str(getattr(render, item.identifier)) for item in render.bl_rna.properties],
        "image": [str(getattr(render.image_settings, name)) for name in ("file_format", "color_mode")],
        "view": [str(getattr(scene.view_settings, name)) for name in ("view_transform", "look", "exposure")],
        "cycles": (scene.cycles.samples, scene.cycles.use_denoising),
        "scene": (scene.camera, scene.frame_current, layer.use_pass_z, layer.material_override),
        "markers": [marker.camera for marker in scene.timeline_markers],
        "objects": sorted((obj.name, obj.is_holdout) for obj in scene.objects),
        "datablocks": [len(kind) for kind in (bpy.data.scenes, bpy.data.materials, bpy.data.images)],
    }


def render_capture(scene, outcome="FINISHED", **settings):
    for name, value in settings.items():
        setattr(scene.neural_render.capture, name, value)
    before = artist_settings(scene)
    assert bpy.ops.neural_render.render_capture() == {outcome}
    after = artist_settings(scene)
    before["datablocks"][2] = after["datablocks"][2] = None  # Blender's own Render Result
    assert after == before


def inspect(path):
    """What our own reader says of a capture."""
    command = [str(server_python()), "-m", "neural_render_server.cli", "capture", str(path), "--json"]
    result = subprocess.run(command, capture_output=True, text=True)
    answer = json.loads(result.stdout.strip().splitlines()[-1])
    assert result.returncode == 0, answer
    return answer


def test_images_with_depth_masks_and_a_split(film_set, tmp_path):
    actors = bpy.data.collections.new("Actors")
    actors.objects.link(bpy.data.objects["Ball"])
    render_capture(
        film_set, use_depth=True, mask_objects=actors, split="CAMERA", test_camera=bpy.data.objects["cam01"]
    )
    folder = tmp_path / "capture"
    data = json.loads((folder / "transforms.json").read_text())
    assert [frame["name"] for frame in data["frames"]] == [
        f"cam0{camera}_000{frame}" for frame in (1, 4) for camera in (0, 1, 2)
    ]
    assert [frame["time"] for frame in data["frames"]] == pytest.approx([0.0] * 3 + [0.25] * 3)
    assert data["test_filenames"] == ["images/cam01_0001.png", "images/cam01_0004.png"]
    told = inspect(folder)
    assert told["warnings"] == []
    assert [camera["is_test"] for camera in told["cameras"]] == [False, True, False]
    assert told["times"] == pytest.approx([0.0, 0.25])
    assert told["fps"] == pytest.approx(4.0)
    # What stands in the pictures: the mask, the depth and the pose say of the ball the same.
    for frame in data["frames"]:
        mask = stored_pixels(folder / frame["mask_path"])[..., 0] > 0.5
        assert 20 < mask.sum() < mask.size / 3
        with OpenEXR.File(str(folder / frame["depth_file_path"]), separate_channels=True) as file:
            channels = {
                name: channel.pixels for part in file.parts for name, channel in part.channels.items()
            }
        depth = channels["ViewLayer.Depth.Z"]
        rows, columns = np.nonzero(mask)
        x = (columns + 0.5 - frame["cx"]) / frame["fl_x"] * depth[mask]
        y = -(rows + 0.5 - frame["cy"]) / frame["fl_y"] * depth[mask]
        world = np.array(frame["transform_matrix"]) @ [x, y, -depth[mask], np.ones(len(x))]
        ball = np.array([-0.6 if frame["name"].endswith("1") else 0.6, 0.0, 0.0])
        radius = np.linalg.norm(world[:3].T - ball, axis=1)
        assert np.percentile(np.abs(radius - 0.8), 75) < 0.03  # pixels on the rim see past it
        assert np.median(depth[~mask]) > np.median(depth[mask])
        # The colours are the scene's light as sRGB: Standard, not the artist's view and exposure.
        linear = np.stack([channels[f"ViewLayer.Combined.{name}"] for name in "RGB"], axis=-1)
        encoded = np.where(
            linear < 0.0031308, 12.92 * linear, 1.055 * np.maximum(linear, 1e-9) ** (1 / 2.4) - 0.055
        )
        assert (
            np.abs(stored_pixels(folder / frame["file_path"])[..., :3] - np.clip(encoded, 0, 1)).max()
            < 1.01 / 255
        )


def test_one_moment_with_alpha(film_set, tmp_path):
    bpy.data.objects["Ball"].hide_render = True
    render_capture(film_set, frame_end=1, use_alpha=True, split="EVERY_NTH", every_nth_test=3)
    told = inspect(tmp_path / "capture")
    assert (told["is_dynamic"], told["has_alpha"], told["warnings"]) == (False, True, [])
    assert [camera["is_test"] for camera in told["cameras"]] == [True, False, False]
    alpha = stored_pixels(tmp_path / "capture" / "images" / "cam00_0001.png")[..., 3]
    assert alpha.min() == 0.0
    assert alpha.max() == 1.0


def test_videos(film_set, tmp_path):
    held_out = bpy.data.objects["cam01"]
    render_capture(film_set, format="N3DV", split="CAMERA", test_camera=held_out, frame_step=1)
    folder = tmp_path / "capture"
    told = inspect(folder)
    assert (told["format"], told["warnings"], told["fps"]) == ("n3dv", [], 12.0)
    assert [camera["name"] for camera in told["cameras"]] == ["cam00", "cam01", "cam02"]
    assert [camera["is_test"] for camera in told["cameras"]] == [True, False, False]
    pose = np.array(told["cameras"][0]["transform_matrix"])
    assert pose == pytest.approx(np.array(held_out.matrix_world), abs=1e-6)
    assert told["cameras"][0]["fl_x"] == pytest.approx(30 / 36 * 32)
    near, far = np.load(folder / "poses_bounds.npy")[0, 15:]
    assert 0.1 < near < 3.2 < 4.0 < far < 12.0
    # 4:4:4 without loss: the video's frames are the pictures, but for rounding on the way to YUV and back.
    code = (
        "import sys, numpy as np; from pathlib import Path;"
        "from neural_render_server.captures.video import VideoReader;"
        "reader = VideoReader(Path(sys.argv[1]));"
        "np.save(sys.argv[2], np.stack(list(reader.read([0, 1, 2, 3]))))"
    )
    arguments = [str(folder / "cam00.mp4"), str(tmp_path / "frames.npy")]
    subprocess.run([str(server_python()), "-c", code, *arguments], check=True)
    for index, frame in enumerate(np.load(tmp_path / "frames.npy")):
        stored = stored_pixels(folder / "images" / f"cam01_{index + 1:04d}.png")[..., :3] * 255
        assert np.abs(stored - frame).max() < 3.0


def test_cancel_keeps_what_is_rendered_and_resume_goes_on(film_set, tmp_path):
    def cancel(*_):
        if len(list((tmp_path / "capture" / "images").glob("*.png"))) == 1:
            bpy.ops.neural_render.render_capture_cancel()

    bpy.app.handlers.render_post.append(cancel)
    try:
        render_capture(film_set, outcome="CANCELLED")
    finally:
        bpy.app.handlers.render_post.remove(cancel)
    task = bpy.context.window_manager.neural_render.tasks["render_capture"]
    assert "2 of 6 pictures are kept" in task.error
    images = tmp_path / "capture" / "images"
    assert sorted(path.name for path in images.iterdir()) == ["cam00_0001.png", "cam01_0001.png"]
    assert len(inspect(tmp_path / "capture")["cameras"]) == 2  # a capture of its own already
    before = {path.name: path.stat().st_mtime_ns for path in images.iterdir()}
    (images / "cam01_0001.png").write_bytes((images / "cam01_0001.png").read_bytes()[:-20])  # cut off
    render_capture(film_set, keep_frames=True)
    assert len(list(images.iterdir())) == 6
    assert (images / "cam00_0001.png").stat().st_mtime_ns == before["cam00_0001.png"]
    assert png_size(images / "cam01_0001.png") == (32, 24)
    before = {path.name: path.stat().st_mtime_ns for path in images.iterdir()}
    camera, start = film_set.objects["cam01"], film_set.objects["cam01"].location.x
    camera.location.x += 0.1
    render_capture(film_set, keep_frames=True)
    after = {path.name: path.stat().st_mtime_ns for path in images.iterdir()}
    assert {name[:5] for name in after if after[name] > before[name]} == {"cam01"}
    camera.location.x = start
    render_capture(film_set, keep_frames=False, frame_end=1)
    assert (images / "cam00_0001.png").stat().st_mtime_ns > before["cam00_0001.png"]


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda scene, settings: setattr(settings, "rig", None), "Add Camera Rig"),
        (
            lambda scene, settings: setattr(settings, "cameras", "SELECTED") or deselect(),
            "select the cameras",
        ),
        (
            lambda scene, settings: setattr(bpy.data.cameras["Rig"], "type", "PANO"),
            "'cam00' is not perspective",
        ),
        (lambda scene, settings: setattr(settings, "frame_end", 0), "frame range 1 to 0 is empty"),
        (lambda scene, settings: setattr(settings, "split", "CAMERA"), "not among those that film"),
        (lambda scene, settings: setattr(settings, "folder", ""), "save it, or choose a folder"),
        (lambda scene, settings: hold_out_every_n3dv_camera(settings), "N3DV videos hold out one camera"),
        (lambda scene, settings: block_folder(settings), "cannot be written"),
    ],
)
def test_what_cannot_be_rendered_is_told(film_set, spoil, sentence):
    spoil(film_set, film_set.neural_render.capture)
    before = artist_settings(film_set)
    with pytest.raises(RuntimeError, match=sentence):
        bpy.ops.neural_render.render_capture()
    after = artist_settings(film_set)
    before["datablocks"] = after["datablocks"] = None
    assert after == before


def deselect():
    bpy.ops.object.select_all(action="DESELECT")


def hold_out_every_n3dv_camera(settings):
    settings.format, settings.split = "N3DV", "EVERY_NTH"


def block_folder(settings):
    """A file where the folder should be, as a disk that cannot be written to."""
    with open(settings.folder, "wb") as file:
        file.write(b"no folder")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda camera: setattr(camera.data, "shift_x", 0.1), "shifted lens"),
        (lambda camera: camera.keyframe_insert("location", frame=4), "moves or zooms"),
    ],
)
def test_videos_refuse_cameras_that_rows_cannot_tell(film_set, change, sentence):
    camera = bpy.data.objects["cam00"]
    camera.keyframe_insert("location", frame=1)
    camera.location.x += 0.5
    change(camera)
    film_set.neural_render.capture.format = "N3DV"
    with pytest.raises(RuntimeError, match=sentence):
        bpy.ops.neural_render.render_capture()


def test_a_folder_with_another_capture_is_refused(film_set, tmp_path):
    folder = tmp_path / "capture"
    folder.mkdir()
    (folder / "poses_bounds.npy").write_bytes(b"")
    with pytest.raises(RuntimeError, match="choose another folder"):
        bpy.ops.neural_render.render_capture()
    (folder / "cam07.mp4").write_bytes(b"")
    film_set.neural_render.capture.format = "N3DV"
    with pytest.raises(RuntimeError, match=r"cam07\.mp4"):
        bpy.ops.neural_render.render_capture()
