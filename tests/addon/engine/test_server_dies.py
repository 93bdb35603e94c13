"""The server is killed in the middle of F12 and of an animation; with another, rendering goes on."""

import sys

import bpy
import pytest

from tests.addon.conftest import EXTENSION, RunningServer, use_server
from tests.addon.shots import read_channels, rendered, rgba, shot_of


@pytest.fixture
def shot(empty_scene, trained, own_server):
    use_server(own_server)
    return shot_of(trained.path)


@pytest.fixture
def second_server(tmp_path):
    """Starts a server when the first is gone: with another port and token."""
    started = []

    def start():
        started.append(RunningServer(tmp_path / "second"))
        use_server(started[0])

    yield start
    for server in started:
        server.stop()


@pytest.fixture
def kill_after(monkeypatch):
    """``kill_after(server, answers)``: kills it when the engine has got so many bands of a picture."""
    client = sys.modules[f"{EXTENSION}.neural_render_addon.service.client"].Client
    render = client.render

    def arm(server, answers):
        got = []

        def counted(self, *arguments, **options):
            planes = render(self, *arguments, **options)
            got.append(planes)
            if len(got) == answers:
                server.kill()
            return planes

        monkeypatch.setattr(client, "render", counted)
        return got

    return arm


def test_in_the_middle_of_a_frame(shot, own_server, second_server, kill_after, tmp_path):
    """Of a frame in bands, one is there. It is told, the scene is as it was, and the next F12 is whole."""
    whole = rgba(rendered(shot, tmp_path, "whole"))
    shot.render.use_motion_blur = True  # a picture of many samples is rendered in bands
    shot.neural_render.render.samples = 4
    shot.frame_set(3)
    got = kill_after(own_server, 1)
    with pytest.raises(RuntimeError, match="Start Server"):
        rendered(shot, tmp_path, "broken")
    assert len(got) == 1
    assert shot.frame_current == 3 and shot.neural_render.field.neural_render.is_field
    assert not (tmp_path / "broken.exr").exists()
    second_server()
    shot.render.use_motion_blur = False
    shot.frame_set(1)
    assert (rgba(rendered(shot, tmp_path, "again")) == whole).all()


def test_in_the_middle_of_an_animation(shot, own_server, second_server, kill_after, tmp_path):
    """Frames that were finished are kept, no other is written; started again, all are there."""
    shot.frame_start, shot.frame_end = 1, 4
    truth = rendered(shot, tmp_path)
    shot.render.filepath = str(tmp_path / "film_####")

    def frames():
        return sorted(path.name for path in tmp_path.glob("film_*"))

    def kill(scene, *_):
        if scene.frame_current == 3:
            own_server.kill()

    bpy.app.handlers.render_pre.append(kill)
    try:
        with pytest.raises(RuntimeError, match="Start Server"):
            bpy.ops.render.render(animation=True)
    finally:
        bpy.app.handlers.render_pre.remove(kill)
    assert frames() == ["film_0001.exr", "film_0002.exr"]
    assert (rgba(read_channels(tmp_path / "film_0001.exr")) == rgba(truth)).all()
    second_server()
    assert bpy.ops.render.render(animation=True) == {"FINISHED"}
    assert frames() == [f"film_{frame:04d}.exr" for frame in range(1, 5)]
