"""Trainings and renderings through a real server: queue, workers, events, interruptions."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import psutil
import pytest

from neural_render_server.cli import main

# Small enough that a step takes milliseconds.
TRAINING = {"preset": "small", "options": {"count": 1500}}
LONG = {**TRAINING, "steps": 1_000_000}


def submit_training(server: Any, capture: Path, scene: Path, **params: Any) -> str:
    job = server.submit("train", capture=str(capture), scene=str(scene), **params)
    return str(job["id"])


def checkpoint_by_pausing(server: Any, job_id: str, scene: Path) -> None:
    """Wait until a pause has written the checkpoint; a cancel may come too soon for it on a busy machine."""
    before = (scene / "scene.json").stat().st_mtime_ns
    server.post(f"/v1/jobs/{job_id}/pause")
    end = time.monotonic() + 120.0
    while (scene / "scene.json").stat().st_mtime_ns == before:
        assert time.monotonic() < end, "the pause wrote no checkpoint"
        time.sleep(0.05)


def test_a_training_runs_to_its_end_and_tells_of_it(server: Any, tiny_film: Path, tmp_path: Path) -> None:
    scene = tmp_path / "scene"
    job_id = submit_training(server, tiny_film, scene, **TRAINING, steps=60)
    events = list(server.events(job_id))
    states = [event["data"]["state"] for event in events if event["event"] == "state"]
    assert states == ["queued", "running", "done"]
    assert [event["id"] for event in events] == sorted({event["id"] for event in events})
    fractions = [event["data"]["fraction"] for event in events if event["event"] == "progress"]
    assert fractions and all(0.0 <= fraction <= 1.0 for fraction in fractions)
    assert any("loss" in event["data"] for event in events if event["event"] == "metrics")

    job = server.job(job_id)
    assert job["state"] == "done" and job["progress"] == 1.0 and job["error"] is None
    assert job["created"] <= job["started"] <= job["finished"]
    assert job["result"]["scene"] == str(scene) and job["result"]["metrics"]["psnr"] > 5.0
    assert {"step", "psnr", "loss"} <= set(job["metrics"])
    assert server.post("/v1/scenes/inspect", {"path": str(scene)}).json()["step"] == 60

    later = list(server.events(job_id, last_event_id=events[2]["id"]))
    assert later == events[3:]
    picture = cv2.imdecode(np.frombuffer(server.get(f"/v1/jobs/{job_id}/preview").content, np.uint8), 1)
    assert picture is not None and picture.std() > 1.0

    assert server.post(f"/v1/jobs/{job_id}/resume").status_code == 409
    assert server.session.delete(f"{server.url}/v1/jobs/{job_id}").status_code == 204
    assert server.get(f"/v1/jobs/{job_id}").status_code == 404 and (scene / "scene.json").is_file()


def test_cancel_ends_a_training_and_keeps_its_checkpoint(
    server: Any, tiny_film: Path, tmp_path: Path
) -> None:
    scene = tmp_path / "scene"
    job_id = submit_training(server, tiny_film, scene, **LONG)
    server.wait_for_step(job_id, 5)
    assert server.session.delete(f"{server.url}/v1/jobs/{job_id}").status_code == 409
    checkpoint_by_pausing(server, job_id, scene)
    assert server.post(f"/v1/jobs/{job_id}/cancel").ok
    job = server.wait_for(job_id, "cancelled")
    assert job["error"] is None and server.workers() == []
    info = json.loads((scene / "scene.json").read_text())
    assert info["step"] >= 5 and (scene / "optimizer.safetensors").is_file()

    # Resume goes on from there, and its events end with its own end.
    assert server.post(f"/v1/jobs/{job_id}/resume").json()["state"] == "queued"
    server.wait_for_step(job_id, info["step"] + 1)
    checkpoint_by_pausing(server, job_id, scene)
    server.post(f"/v1/jobs/{job_id}/cancel")
    states = [event["data"]["state"] for event in server.events(job_id) if event["event"] == "state"]
    assert states == ["queued", "running", "paused", "cancelled"]
    assert json.loads((scene / "scene.json").read_text())["step"] > info["step"]


def test_a_queued_job_waits_and_can_be_cancelled(server: Any, tiny_film: Path, tmp_path: Path) -> None:
    first = submit_training(server, tiny_film, tmp_path / "first", **LONG)
    second = submit_training(server, tiny_film, tmp_path / "second", **LONG)
    server.wait_for_step(first, 1)
    assert server.get("/v1/health").json()["jobs"] == {"queued": 1, "running": 1}
    assert server.job(second)["state"] == "queued" and len(server.workers()) == 1
    assert server.post(f"/v1/jobs/{second}/cancel").json()["state"] == "cancelled"
    server.post(f"/v1/jobs/{first}/cancel")
    server.wait_for(first, "cancelled")
    assert not (tmp_path / "second").exists()


def test_pause_holds_and_resume_goes_on(server: Any, tiny_film: Path, tmp_path: Path) -> None:
    job_id = submit_training(server, tiny_film, tmp_path / "scene", **LONG)
    server.wait_for_step(job_id, 5)
    assert server.post(f"/v1/jobs/{job_id}/pause").json()["state"] == "paused"
    (worker,) = server.workers()
    used = _settled_cpu_seconds(worker)
    time.sleep(1.0)
    assert worker.cpu_times().user - used < 0.2  # a running worker uses a second and more
    step = server.job(job_id)["metrics"]["step"]
    assert server.post(f"/v1/jobs/{job_id}/resume").json()["state"] == "running"
    server.wait_for_step(job_id, step + 1)
    server.post(f"/v1/jobs/{job_id}/pause")
    server.post(f"/v1/jobs/{job_id}/cancel")
    server.wait_for(job_id, "cancelled")


def _settled_cpu_seconds(process: psutil.Process) -> float:
    """The CPU seconds of a process once they no longer rise."""
    used = -1.0
    while process.cpu_times().user > used:
        used = process.cpu_times().user
        time.sleep(0.5)
    return used


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is POSIX")
def test_a_killed_worker_fails_the_job_and_resume_mends_it(
    server: Any, tiny_film: Path, tmp_path: Path
) -> None:
    scene = tmp_path / "scene"
    job_id = submit_training(server, tiny_film, scene, **LONG)
    server.wait_for_step(job_id, 5)
    (worker,) = server.workers()
    os.kill(worker.pid, signal.SIGKILL)
    job = server.wait_for(job_id, "failed")
    assert job["error"]["code"] == "worker"
    assert "SIGKILL" in job["error"]["message"] and "resume" in job["error"]["message"]
    assert server.get("/v1/health").ok
    assert server.post(f"/v1/jobs/{job_id}/resume").json()["error"] is None
    server.wait_for_step(job_id, 5)
    server.post(f"/v1/jobs/{job_id}/cancel")
    server.wait_for(job_id, "cancelled")


def test_a_job_with_bad_parameters_is_never_queued(server: Any, tiny_film: Path, tmp_path: Path) -> None:
    good = {"capture": str(tiny_film), "scene": str(tmp_path / "scene")}
    for changes, sentence in (
        ({"capture": str(tmp_path / "none")}, "there is no such file or folder"),
        ({"capture": "relative"}, "absolute"),
        ({"scene": "relative"}, "absolute"),
        ({"method": "none"}, "there is no method 'none'"),
        ({"preset": "none"}, "no preset 'none'"),
        ({"options": {"none": 1}}, "no option 'none'"),
        ({"steps": 10, "minutes": 1.0}, "give one of"),
        ({"stepz": 10}, "stepz"),
    ):
        answer = server.post("/v1/jobs", {"kind": "train", "params": {**good, **changes}})
        assert answer.status_code in (400, 422) and sentence in answer.json()["error"]["message"]
    answer = server.post("/v1/jobs", {"kind": "dance", "params": good})
    assert answer.status_code == 422
    rendering = {"scene": str(tmp_path / "none"), "cameras": str(tmp_path / "none"), "out": str(tmp_path)}
    answer = server.post("/v1/jobs", {"kind": "render", "params": rendering})
    assert answer.status_code == 400 and answer.json()["error"]["code"] == "camera_file"
    assert all(job["state"] != "queued" for job in server.get("/v1/jobs").json()["jobs"])


def test_a_training_that_cannot_start_fails_with_its_sentence(
    server: Any, tiny_film: Path, tmp_path: Path
) -> None:
    job_id = submit_training(server, tiny_film, tmp_path / "scene", **TRAINING, test_cameras=["cam99"])
    job = server.wait_for(job_id, "failed")
    assert job["error"]["code"] == "capture" and "cam99" in job["error"]["message"]
    assert job["message"] == job["error"]["message"]


def test_jobs_survive_a_server_that_stops(
    start_server: Callable[..., Any], tiny_film: Path, tmp_path: Path
) -> None:
    first = start_server()
    running = submit_training(first, tiny_film, tmp_path / "running", **LONG)
    waiting = submit_training(first, tiny_film, tmp_path / "waiting", **TRAINING, steps=20)
    first.wait_for_step(running, 5)
    assert first.stop() == 0
    step = json.loads((tmp_path / "running" / "scene.json").read_text())["step"]
    assert step >= 5

    second = start_server()
    second.wait_for_step(running, step + 1)  # it went on from its checkpoint
    second.post(f"/v1/jobs/{running}/cancel")
    assert second.wait_for(waiting, "done", "failed")["state"] == "done"


def test_jobs_survive_a_server_that_is_killed(
    start_server: Callable[..., Any], tiny_film: Path, tmp_path: Path
) -> None:
    first = start_server()
    job_id = submit_training(first, tiny_film, tmp_path / "scene", **LONG)
    first.wait_for_step(job_id, 5)
    (worker,) = first.workers()
    first.process.kill()
    first.process.wait()
    worker.wait(60.0)  # it does not outlive its server
    step = json.loads((tmp_path / "scene" / "scene.json").read_text())["step"]
    assert step >= 5  # it saw that the server was gone, and wrote a checkpoint
    second = start_server()
    second.wait_for_step(job_id, step + 1)
    second.post(f"/v1/jobs/{job_id}/cancel")
    second.wait_for(job_id, "cancelled")


def test_a_restart_finds_the_queue_as_it_was(
    start_server: Callable[..., Any], tiny_film: Path, tmp_path: Path
) -> None:
    """Order, priorities and what is paused survive a server that is killed."""
    first = start_server()
    running, usual, urgent, held = (
        submit_training(first, tiny_film, tmp_path / name, **LONG)
        for name in ("running", "usual", "urgent", "held")
    )
    first.post(f"/v1/jobs/{held}/pause")
    first.post(f"/v1/jobs/{urgent}/priority", {"priority": 7})
    first.wait_for(running, "running")
    first.process.kill()
    first.process.wait()
    second = start_server()
    second.wait_for(urgent, "running")
    states = {
        job_id: (second.job(job_id)["state"], second.job(job_id)["priority"]) for job_id in (usual, held)
    }
    assert states == {usual: ("queued", 0), held: ("paused", 0)}
    assert second.job(running)["state"] == "queued" and second.job(urgent)["priority"] == 7
    for job_id in (running, usual, held, urgent):
        second.post(f"/v1/jobs/{job_id}/cancel")
    second.wait_for(urgent, "cancelled")


def test_a_rendering_streams_its_frames(
    server: Any, trained_scene: Path, tiny_camera_file: Path, tmp_path: Path
) -> None:
    params = {"scene": str(trained_scene), "out": str(tmp_path), "cameras": str(tiny_camera_file)}
    job_id = server.submit("render", **params)["id"]
    frames = [event["data"] for event in server.events(job_id) if event["event"] == "frame"]
    assert [frame["name"] for frame in frames] == ["0001", "0002", "0003"]
    job = server.job(job_id)
    assert job["state"] == "done" and (job["result"]["rendered"], job["result"]["kept"]) == (3, 0)
    for frame in frames:
        file = Path(frame["path"])
        assert file == tmp_path / f"{frame['name']}.exr"
        for name in (frame["name"], file.name):
            answer = server.get(f"/v1/jobs/{job_id}/frames/{name}")
            assert answer.content == file.read_bytes() and answer.headers["content-type"] == "image/x-exr"

    # The camera file's content does as well as its path; frames that exist are kept on request.
    (tmp_path / "0002.exr").unlink()
    content = json.loads(tiny_camera_file.read_text())
    again = server.submit("render", **{**params, "cameras": content, "overwrite": False})["id"]
    result = server.wait_for(again, "done", "failed")["result"]
    assert (result["rendered"], result["kept"]) == (1, 2)


def test_a_rendering_that_goes_on_keeps_its_own_frames_only(
    server: Any, trained_scene: Path, tiny_camera_file: Path, tmp_path: Path
) -> None:
    """Frames of the rendering before are made anew, also by a job that was interrupted."""
    old = time.time() - 100.0
    for name in ("0001", "0002", "0003"):
        shutil.copy(
            _a_frame(server, trained_scene, tiny_camera_file, tmp_path / "other"), tmp_path / f"{name}.exr"
        )
        os.utime(tmp_path / f"{name}.exr", (old, old))
    params = {"scene": str(trained_scene), "out": str(tmp_path), "cameras": str(tiny_camera_file)}
    job_id = server.submit("render", **params)["id"]
    server.post(f"/v1/jobs/{job_id}/cancel")
    state = server.wait_for(job_id, "cancelled", "done")["state"]
    before = {file: file.stat().st_mtime for file in tmp_path.glob("*.exr")}
    if state == "cancelled":
        server.post(f"/v1/jobs/{job_id}/resume")
        server.wait_for(job_id, "done")
    for file, written in before.items():
        now = file.stat().st_mtime
        assert now > old and (written == old or now == written)


def _a_frame(server: Any, scene: Path, cameras: Path, folder: Path) -> Path:
    if not (folder / "0001.exr").is_file():
        params = {"scene": str(scene), "out": str(folder), "cameras": str(cameras)}
        server.wait_for(server.submit("render", **params)["id"], "done")
    return folder / "0001.exr"


def test_the_queue_goes_by_priority_and_can_be_changed(
    server: Any, tiny_film: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    running = submit_training(server, tiny_film, tmp_path / "running", **LONG)
    server.wait_for_step(running, 1)
    usual = submit_training(server, tiny_film, tmp_path / "usual", **TRAINING, steps=2)
    urgent = submit_training(server, tiny_film, tmp_path / "urgent", **TRAINING, steps=2)
    state = ["--state-dir", str(server.state_dir), "--json"]
    assert main(["jobs", urgent, "--priority", "5", *state]) == 0
    assert json.loads(capsys.readouterr().out)["priority"] == 5
    assert server.job(running)["state"] == "running"  # it is not interrupted
    assert main(["jobs", running, "--cancel", *state]) == 0
    assert server.wait_for(urgent, "done")["started"] <= server.wait_for(usual, "done")["started"]
    capsys.readouterr()
    assert main(["jobs", *state]) == 0
    assert {usual, urgent} <= {job["id"] for job in json.loads(capsys.readouterr().out)["jobs"]}
    assert main(["jobs", "none", "--pause", *state]) == 1
    assert "there is no job 'none'" in json.loads(capsys.readouterr().out)["error"]["message"]


def test_only_finished_frames_of_the_job_itself_are_served(
    server: Any, trained_scene: Path, tiny_camera_file: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (tmp_path / "secret.exr").write_bytes(b"secret")
    (out / "old.exr").write_bytes(b"of another job")
    os.utime(out / "old.exr", (1.0, 1.0))
    params = {"scene": str(trained_scene), "out": str(out), "cameras": str(tiny_camera_file)}
    job_id = server.submit("render", **params)["id"]
    server.wait_for(job_id, "done")
    assert server.get(f"/v1/jobs/{job_id}/frames/0001").ok
    for name in ("0004", "old", "old.exr", "..%2Fsecret", "..%2Fsecret.exr", "%2E%2E", "..%5Csecret"):
        answer = server.get(f"/v1/jobs/{job_id}/frames/{name}")
        assert answer.status_code == 404, (name, answer.text)


def test_jobs_are_listed_by_client(
    server: Any, trained_scene: Path, tiny_camera_file: Path, tmp_path: Path
) -> None:
    params = {"scene": str(trained_scene), "out": str(tmp_path), "cameras": str(tiny_camera_file)}
    mine = server.post("/v1/jobs", {"kind": "render", "params": params, "client_id": "mine"}).json()["id"]
    listed = [job["id"] for job in server.get("/v1/jobs", params={"client_id": "mine"}).json()["jobs"]]
    assert listed == [mine]
    server.wait_for(mine, "done")
