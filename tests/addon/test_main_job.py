"""Train Scene and Render Frames through their operators, as a script would, and what may go wrong."""

import json
import shutil
import sys
from pathlib import Path

import bpy
import numpy as np
import OpenEXR
import pytest

from neural_render_addon.service.client import Client
from tests.addon.conftest import EXTENSION, RunningServer, use_server


@pytest.fixture
def project(connected, tiny, tmp_path):
    """A saved .blend with the tiny capture imported; the scene looks through its second camera."""
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "project.blend"))
    use_server(connected)
    scene = bpy.context.scene
    bpy.ops.neural_render.import_capture(filepath=str(tiny / "n3dv"), set_scene=True)
    scene.camera = next(obj for obj in scene.objects if obj.name.startswith("cam01"))
    settings = scene.neural_render.train
    settings.budget, settings.steps, settings.preset = "STEPS", 60, "small"
    return scene


@pytest.fixture
def rendering(project, trained):
    """The project with a trained scene, ready for Render Frames."""
    project.neural_render.field.neural_render.scene_path = str(trained.path)
    project.frame_start, project.frame_end = 2, 4
    return project


def read(path: Path) -> dict[str, np.ndarray]:
    with OpenEXR.File(str(path), separate_channels=True) as file:
        return {name: channel.pixels.copy() for name, channel in file.channels().items()}


def frames_of(scene) -> Path:
    return Path(bpy.path.abspath(scene.neural_render.field.neural_render.render_folder))


def test_train_and_render(project, tmp_path):
    assert bpy.ops.neural_render.train() == {"FINISHED"}
    field = project.neural_render.field.neural_render
    scene_path = tmp_path / "neural_render" / "n3dv.scene"
    assert Path(field.scene_path) == scene_path
    assert json.loads((scene_path / "scene.json").read_text())["step"] == 60
    assert field.duration == pytest.approx(5 / 12)
    task = bpy.context.window_manager.neural_render.tasks["train"]
    assert (task.progress, task.is_running, task.error) == (1.0, False, "")
    assert task.psnr > 10
    preview = bpy.data.images["Neural Render Preview"]
    preview.reload()
    assert preview.size[0] > 0
    project.frame_start, project.frame_end = 2, 4
    assert bpy.ops.neural_render.render_frames() == {"FINISHED"}
    folder = tmp_path / "neural_render" / "frames" / "n3dv"
    assert sorted(path.name for path in folder.iterdir()) == [f"n3dv_{frame:04d}.exr" for frame in (2, 3, 4)]
    assert Path(bpy.path.abspath(field.render_folder)) == folder
    assert (field.render_prefix, field.render_start, field.render_end) == ("n3dv_", 2, 4)


def test_frames_show_what_the_camera_sees(rendering, tiny):
    """Against the clip's own picture: a wrong pose or lens would be far off."""
    assert bpy.ops.neural_render.render_frames() == {"FINISHED"}
    channels = read(frames_of(rendering) / "n3dv_0003.exr")
    color = np.stack([channels[f"ViewLayer.Combined.{name}"] for name in "RGB"], axis=-1)
    assert color.shape == (48, 64, 3)
    assert 2.0 < np.median(channels["ViewLayer.Depth.Z"]) < 7.0
    clip = rendering.camera.data.background_images[0].image
    pixels = np.array(bpy.data.images.load(clip.filepath).pixels).reshape(48, 64, 4)[::-1, :, :3]
    linear = np.clip(color, 1e-8, 1)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    covered = channels["ViewLayer.Combined.A"] > 0.95
    assert covered.mean() > 0.3

    def error(truth):
        return np.mean((encoded - truth)[covered] ** 2)

    assert -10 * np.log10(error(pixels)) > 17
    # The wall lies above the floor, and the ball to one side: any other way round is far worse.
    assert error(pixels[::-1]) > 3 * error(pixels)
    assert error(pixels[:, ::-1]) > 1.2 * error(pixels)


def test_rendered_frames_are_kept_on_request(rendering):
    bpy.ops.neural_render.render_frames()
    first = frames_of(rendering) / "n3dv_0002.exr"
    before = first.stat().st_mtime_ns
    rendering.neural_render.render.keep_frames = True
    (frames_of(rendering) / "n3dv_0003.exr").unlink()
    bpy.ops.neural_render.render_frames()
    assert first.stat().st_mtime_ns == before
    assert (frames_of(rendering) / "n3dv_0003.exr").is_file()


def test_only_frames_that_changed_are_rendered_and_depth_can_be_left_out(rendering, connected, capfd):
    """A camera that moves in frame 3 alone: the others come out of the cache, as they were."""

    def told() -> str:
        return capfd.readouterr().out

    client = Client("127.0.0.1", connected.port, connected.token)
    client.clear_cache()
    settings = rendering.neural_render.render
    settings.use_depth = False
    bpy.ops.neural_render.render_frames()
    assert "3 frames rendered, in" in told()
    first = {name: read(frames_of(rendering) / f"n3dv_000{name}.exr") for name in (2, 3, 4)}
    assert "ViewLayer.Depth.Z" not in first[2]
    x = rendering.camera.location.x
    for frame, moved in ((2, x), (3, x + 0.4), (4, x)):
        rendering.camera.location.x = moved
        rendering.camera.keyframe_insert("location", frame=frame)
    bpy.ops.neural_render.render_frames()
    assert "1 frames rendered, 2 from the cache, in" in told()
    again = {name: read(frames_of(rendering) / f"n3dv_000{name}.exr") for name in (2, 3, 4)}
    alpha = "ViewLayer.Combined.A"
    assert np.array_equal(again[2][alpha], first[2][alpha]) and np.array_equal(
        again[4][alpha], first[4][alpha]
    )
    assert np.abs(again[3][alpha] - first[3][alpha]).max() > 0.1
    assert client.cache_use().frames == 4
    assert bpy.ops.neural_render.clear_cache() == {"FINISHED"}
    assert "4 frames removed from the cache" in told()
    assert client.cache_use().frames == 0
    bpy.context.preferences.addons[EXTENSION].preferences.cache_gigabytes = 0.0
    try:
        bpy.ops.neural_render.render_frames()
        assert "3 frames rendered, in" in told() and client.cache_use().frames == 0
    finally:
        bpy.context.preferences.addons[EXTENSION].preferences.cache_gigabytes = 2.0


def test_a_trained_scene_opens_by_itself(connected, trained):
    assert bpy.ops.neural_render.open_scene(filepath=str(trained.path)) == {"FINISHED"}
    field = bpy.context.scene.neural_render.field
    assert Path(field.neural_render.scene_path) == trained.path
    assert field.neural_render.duration == pytest.approx(5 / 12)
    assert field.neural_render.capture_path.endswith("n3dv")


def test_a_cancelled_training_resumes(project, connected, monkeypatch):
    project.neural_render.train.steps = 100_000
    client = Client("127.0.0.1", connected.port, connected.token)
    when(monkeypatch, is_training, client.cancel)
    assert bpy.ops.neural_render.train() == {"CANCELLED"}
    monkeypatch.undo()
    scene_path = Path(project.neural_render.field.neural_render.scene_path)
    reached = json.loads((scene_path / "scene.json").read_text())["step"]
    assert reached > 0
    project.neural_render.train.steps = reached + 20
    assert bpy.ops.neural_render.train_resume() == {"FINISHED"}
    assert json.loads((scene_path / "scene.json").read_text())["step"] == reached + 20


def test_a_cancelled_rendering_keeps_its_frames(rendering, connected, monkeypatch):
    rendering.frame_start, rendering.frame_end = 1, 600
    client = Client("127.0.0.1", connected.port, connected.token)
    when(monkeypatch, lambda event: event.kind == "frame" and event.data["index"] >= 3, client.cancel)
    assert bpy.ops.neural_render.render_frames() == {"CANCELLED"}
    field = rendering.neural_render.field.neural_render
    frames = sorted(path.name for path in frames_of(rendering).glob("*.exr"))
    assert 3 <= len(frames) < 600
    assert field.render_start == 1
    assert frames[field.render_end - 1] == f"n3dv_{field.render_end:04d}.exr"


def is_training(event):
    return event.kind == "metrics" and event.data.get("step", 0) > 0


def when(monkeypatch, condition, act):
    """Call ``act(job_id)`` as soon as the installed add-on hears an event that fulfils the condition."""
    events = Client.events

    def watched(self, job_id, stopped=lambda: False):
        for event in events(self, job_id, stopped):
            yield event
            if condition(event):
                act(job_id)

    installed = sys.modules[f"{EXTENSION}.neural_render_addon.service.client"]
    monkeypatch.setattr(installed.Client, "events", watched)


def test_a_server_killed_in_the_middle(project, own_server: RunningServer, monkeypatch):
    use_server(own_server)
    project.neural_render.train.steps = 100_000
    when(monkeypatch, is_training, lambda job_id: own_server.kill())
    with pytest.raises(RuntimeError, match=r"connection to the server .* was lost; start the server again"):
        bpy.ops.neural_render.train()
    task = bpy.context.window_manager.neural_render.tasks["train"]
    assert not task.is_running
    assert "was lost" in task.error
    monkeypatch.undo()
    # Started again, the server goes on with that training; Resume watches it and begins no second one.
    second = RunningServer(own_server.state_dir)
    try:
        use_server(second)
        client = Client("127.0.0.1", second.port, second.token)
        when(monkeypatch, is_training, client.cancel)
        assert bpy.ops.neural_render.train_resume() == {"CANCELLED"}
        assert [job.state for job in client.jobs()] == ["cancelled"]
        scene_path = Path(project.neural_render.field.neural_render.scene_path)
        assert json.loads((scene_path / "scene.json").read_text())["step"] > 0
    finally:
        second.stop()


def test_a_blend_that_points_to_a_scene_that_is_gone(rendering, trained, tmp_path):
    copy = tmp_path / "gone.scene"
    shutil.copytree(trained.path, copy)
    rendering.neural_render.field.neural_render.scene_path = str(copy)
    bpy.ops.wm.save_mainfile()
    shutil.rmtree(copy)
    bpy.ops.wm.open_mainfile(filepath=bpy.data.filepath)
    with pytest.raises(RuntimeError, match=r"gone\.scene"):
        bpy.ops.neural_render.render_frames()


def test_what_is_missing_is_told(connected, tmp_path):
    with pytest.raises(RuntimeError, match="No field is chosen; import a capture"):
        bpy.ops.neural_render.train()
    field = bpy.data.objects.new("Field", None)
    bpy.context.scene.collection.objects.link(field)
    field.neural_render.is_field = True
    bpy.context.scene.neural_render.field = field
    with pytest.raises(RuntimeError, match="'Field' has no capture"):
        bpy.ops.neural_render.train()
    with pytest.raises(RuntimeError, match="'Field' is not trained; press Train Scene"):
        bpy.ops.neural_render.render_frames()
    field.neural_render.capture_path = str(tmp_path)
    with pytest.raises(RuntimeError, match="not saved"):
        bpy.ops.neural_render.train()
