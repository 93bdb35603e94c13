"""The HTTP client against a real server, and its parsing of a stream cut anywhere."""

import threading

import numpy as np
import pytest
import requests

from neural_render_addon.errors import ApiMismatch, JobCancelled, ServerError, ServerUnreachable, WrongToken
from neural_render_addon.service import client as client_module
from neural_render_addon.service.client import Client, parse_events
from neural_render_addon.service.jobs import (
    Finished,
    FrameDone,
    Note,
    Progress,
    StateChanged,
    Task,
    follow_job,
)
from neural_render_addon.service.messages import CaptureCamera
from tests.addon.conftest import RunningServer


@pytest.fixture
def client(server: RunningServer) -> Client:
    return Client("127.0.0.1", server.port, server.token)


def train_params(tiny, tmp_path, **more):
    return {
        "capture": str(tiny / "n3dv"),
        "scene": str(tmp_path / "tiny.scene"),
        "steps": 60,
        "preset": "small",
        **more,
    }


def test_health_and_methods(client, server):
    health = client.health()
    assert health.pid == server.process.pid
    assert health.memory_total > health.memory_server > 0
    names = [method.name for method in client.methods()]
    assert "gaussians" in names


def test_a_capture_is_read_as_typed_records(client, tiny):
    info = client.inspect_capture(str(tiny / "n3dv"))
    assert len(info.cameras) == 7
    assert info.fps == 12
    assert info.duration == pytest.approx(5 / 12)
    assert [camera.is_test for camera in info.cameras] == [True] + 6 * [False]
    assert info.cameras[0].clip.kind == "video"
    assert info.cameras[0].clip.numbers == (0, 1, 2, 3, 4, 5)
    assert info.cameras[0].clip.times == pytest.approx([index / 12 for index in range(6)])
    assert info.cameras[0].pinhole.fl_x == pytest.approx(56.0)


@pytest.mark.parametrize("lens", [{}, {"camera_model": "FOV", "omega": 0.9}])
def test_a_lens_that_is_no_pinhole_is_known_as_distorted(lens):
    entry = {
        "w": 64,
        "h": 48,
        "fl_x": 50,
        "fl_y": 50,
        "cx": 32,
        "cy": 24,
        "transform_matrix": np.eye(4).tolist(),
    }
    assert CaptureCamera.from_json({**entry, **lens}).is_distorted == bool(lens)


def test_points(client, tiny):
    positions, colors = client.capture_points(str(tiny / "colmap"), 1000)
    assert positions.shape == colors.shape == (20, 3)
    order = np.argsort(positions[:, 0])
    assert positions[order][3] == pytest.approx([0.3, 0.15, 0.0])
    assert colors[order][3].tolist() == [30, 20, 30]


def test_the_servers_own_sentence_arrives(client, tmp_path):
    with pytest.raises(ServerError) as caught:
        client.inspect_capture(str(tmp_path / "nothing"))
    assert "nothing" in str(caught.value)
    assert caught.value.status >= 400


def test_wrong_token(server):
    with pytest.raises(WrongToken, match="refuses the token"):
        Client("127.0.0.1", server.port, "wrong").health()


def test_nobody_there(unused_port):
    with pytest.raises(ServerUnreachable, match="Start Server"):
        Client("127.0.0.1", unused_port, "x").health()


def test_another_program_at_the_port(other_program):
    with pytest.raises(ApiMismatch, match="no Neural Render server"):
        Client("127.0.0.1", other_program, "x").health()


def test_a_job_tells_everything_again_afterwards(client, trained):
    kinds = {event.kind for event in client.events(trained.job_id)}
    assert {"state", "progress", "metrics", "preview"} <= kinds
    assert client.preview(trained.job_id).startswith(b"\x89PNG")
    assert trained.job_id in {job.id for job in client.jobs()}


def test_one_frame_at_once_as_planes(client, trained, tiny):
    camera = client.inspect_capture(str(tiny / "n3dv")).cameras[0]
    pinhole = camera.pinhole
    entry = {
        "w": pinhole.width,
        "h": pinhole.height,
        "fl_x": pinhole.fl_x,
        "fl_y": pinhole.fl_y,
        "cx": pinhole.cx,
        "cy": pinhole.cy,
        "transform_matrix": camera.camera_to_world.tolist(),
    }
    frame = client.render(str(trained.path), entry, 0.2)
    assert frame.planes["combined"].shape == (48, 64, 4)
    assert frame.planes["depth"].shape == (48, 64, 1)
    assert frame.planes["combined"].dtype == np.float16
    assert frame.planes["combined"][..., 3].max() > 0.5


def test_following_a_job_through_the_queue_of_messages(client, tiny, tmp_path):
    def work(emit, stopped):
        job = client.submit("train", train_params(tiny, tmp_path, scene=str(tmp_path / "b.scene")))
        return follow_job(client, job.id, emit, stopped, tmp_path / "preview.png")

    task = Task("test", work)
    task.start()
    messages = list(task.wait_for_messages())
    assert isinstance(messages[-1], Finished), messages[-1]
    fractions = [message.fraction for message in messages if isinstance(message, Progress)]
    assert 0 <= min(fractions) < max(fractions) <= 1
    assert StateChanged("done") in messages
    assert (tmp_path / "preview.png").read_bytes().startswith(b"\x89PNG")
    assert not [message for message in messages if isinstance(message, FrameDone)]


def test_a_preview_that_cannot_be_written_is_told_once_and_the_training_followed_on(
    client, trained, tmp_path
):
    (tmp_path / "file").write_text("in the way")
    seen = []
    follow_job(client, trained.job_id, seen.append, lambda: False, tmp_path / "file" / "preview.png")
    (warning,) = [message for message in seen if isinstance(message, Note) and message.is_warning]
    assert "preview.png: no preview can be written" in warning.text
    assert seen[-1] == StateChanged("done")


def test_cancelling_from_another_thread_ends_the_wait(client, tiny, tmp_path):
    job = client.submit("train", train_params(tiny, tmp_path, steps=100_000))
    threading.Timer(0.5, client.cancel, [job.id]).start()
    with pytest.raises(JobCancelled, match="kept"):
        follow_job(client, job.id, lambda message: None, lambda: False)


def test_a_server_killed_in_the_middle_gives_a_sentence(own_server, tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(client_module, "RECONNECT_PAUSE", 0.05)
    client = Client("127.0.0.1", own_server.port, own_server.token)
    job = client.submit("train", train_params(tiny, tmp_path, steps=100_000))
    seen = []

    def emit(message):
        seen.append(message)
        if isinstance(message, StateChanged) and message.state == "running":
            own_server.kill()

    with pytest.raises(ServerUnreachable, match=r"connection to the server .* was lost"):
        follow_job(client, job.id, emit, lambda: False)
    assert StateChanged("running") in seen


def test_a_dropped_stream_goes_on_without_repeats(client, trained, monkeypatch):
    """The connection is cut after every second event; what arrives is what the server told."""
    whole = [(event.id, event.kind) for event in client.events(trained.job_id)]
    whole_stream = Client._event_stream
    cuts = 0

    def short_stream(self, job_id, last_id):
        nonlocal cuts
        for index, event in enumerate(whole_stream(self, job_id, last_id)):
            if index == 2:
                cuts += 1
                raise requests.exceptions.ChunkedEncodingError("cut")
            yield event

    monkeypatch.setattr(client_module, "RECONNECT_PAUSE", 0.0)
    monkeypatch.setattr(Client, "_event_stream", short_stream)
    received = [(event.id, event.kind) for event in client.events(trained.job_id)]
    assert cuts > 1
    assert received == whole


def test_events_are_parsed_as_the_standard_says():
    text = (
        ': hello\n\nid: 3\nevent: progress\ndata: {"fraction":\ndata: 0.5}\n\ndata: {}\n\nid: 4\nevent: x\n\n'
    )
    events = list(parse_events(iter(text.split("\n"))))
    assert [(event.kind, event.id, event.data) for event in events] == [
        ("", "", {}),
        ("progress", "3", {"fraction": 0.5}),
        ("message", "3", {}),
    ]
