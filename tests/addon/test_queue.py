"""The Queue panel's operators: the order, priority, pause, resume, cancel; two Blenders and one server."""

import json
import subprocess
import sys
import time

import bpy
import pytest

from neural_render_addon.service.client import Client
from tests.addon.conftest import EXTENSION, REPOSITORY, RunningServer, use_server

PATIENCE = 180.0
LONG = {"preset": "small", "steps": 1_000_000, "options": {"count": 1500}}


def client_of(server: RunningServer) -> Client:
    return Client("127.0.0.1", server.port, server.token)


def wait_for(client: Client, job_id: str, is_good) -> None:
    end = time.monotonic() + PATIENCE
    while not is_good(job := client.job(job_id)):
        assert time.monotonic() < end, job
        time.sleep(0.05)


def listed() -> list[tuple[str, str, int]]:
    """What the panel shows, read anew."""
    bpy.ops.neural_render.queue_watch()
    return [(job.name, job.state, job.priority) for job in bpy.context.window_manager.neural_render.jobs]


def test_the_queue_is_listed_and_changed(empty_scene, own_server, tiny, tmp_path):
    use_server(own_server)
    client, operators = client_of(own_server), bpy.ops.neural_render
    jobs = [
        client.submit("train", {"capture": str(tiny / "n3dv"), "scene": str(tmp_path / name), **LONG}).id
        for name in ("first", "second", "third")
    ]
    first, second, third = jobs
    wait_for(client, first, lambda job: job.metrics.get("step", 0) > 0)
    assert listed() == [(first, "RUNNING", 0), (second, "QUEUED", 0), (third, "QUEUED", 0)]
    manager = bpy.context.window_manager.neural_render
    assert [job.target for job in manager.jobs] == [str(tmp_path / n) for n in ("first", "second", "third")]

    manager.active_job = 2
    assert operators.job_sooner() == {"FINISHED"}  # the active job; the list is read anew
    assert [(job.name, job.priority) for job in manager.jobs] == [(first, 0), (third, 1), (second, 0)]
    assert manager.active_job == 1  # it stays chosen
    operators.job_later(job_id=third)
    operators.job_later(job_id=third)
    assert listed()[1:] == [(second, "QUEUED", 0), (third, "QUEUED", -1)]

    assert operators.job_pause(job_id=first) == {"FINISHED"}
    assert listed()[-1] == (first, "PAUSED", 0)
    operators.job_resume(job_id=first)
    assert listed()[0] == (first, "RUNNING", 0)
    assert operators.job_cancel(job_id=second) == {"FINISHED"}
    assert operators.job_forget(job_id=second) == {"FINISHED"}
    assert second not in [name for name, _, _ in listed()]
    with pytest.raises(RuntimeError, match="cancel it before deleting it"):
        operators.job_forget(job_id=first)
    operators.job_cancel(job_id=third)
    operators.job_cancel(job_id=first)
    wait_for(client, first, lambda job: job.is_final)
    assert [state for _, state, _ in listed()] == ["CANCELLED", "CANCELLED"]


def test_what_cannot_be_done_is_told(empty_scene, own_server):
    use_server(own_server)
    assert listed() == []
    with pytest.raises(RuntimeError, match="No job is chosen; press Watch Queue"):
        bpy.ops.neural_render.job_cancel()
    with pytest.raises(RuntimeError, match="there is no job 'none'"):
        bpy.ops.neural_render.job_cancel(job_id="none")


TRAIN = """
import json, os, sys, tempfile
os.environ["BLENDER_USER_RESOURCES"] = tempfile.mkdtemp(dir=sys.argv[6])
import bpy
zip, state_dir, capture, folder = sys.argv[1:5]
bpy.ops.extensions.package_install_files(filepath=zip, repo="user_default", enable_on_install=True)
bpy.context.preferences.addons[sys.argv[5]].preferences.state_dir = state_dir
bpy.ops.neural_render.import_capture(filepath=capture, use_clips=False, set_scene=True)
train = bpy.context.scene.neural_render.train
train.budget, train.steps, train.preset, train.folder = "STEPS", 1_000_000, "small", folder
bpy.ops.neural_render.train()
"""


def test_a_blender_that_closes_leaves_its_job_to_the_one_that_watches(
    empty_scene, own_server, built_zip, tiny, tmp_path
):
    """Two real Blenders: the other one trains and is killed; the server and the job stay for this one."""
    use_server(own_server)
    client = client_of(own_server)
    bpy.ops.neural_render.queue_watch()  # this Blender is known to the server
    arguments = [built_zip, own_server.state_dir, tiny / "n3dv", tmp_path / "scenes", EXTENSION, tmp_path]
    other = subprocess.Popen(
        [sys.executable, "-c", TRAIN, *map(str, arguments)], cwd=REPOSITORY, stdout=subprocess.DEVNULL
    )
    end = time.monotonic() + PATIENCE
    while not (jobs := client.jobs()):
        assert other.poll() is None and time.monotonic() < end
        time.sleep(0.05)
    (job,) = jobs
    wait_for(client, job.id, lambda job: job.metrics.get("step", 0) > 0)
    other.kill()
    other.wait()
    step = client.job(job.id).metrics["step"]
    wait_for(client, job.id, lambda job: job.metrics.get("step", 0) > step)
    assert listed() == [(job.id, "RUNNING", 0)]
    bpy.ops.neural_render.job_cancel(job_id=job.id)
    wait_for(client, job.id, lambda job: job.state == "cancelled")
    scene = next((tmp_path / "scenes").rglob("scene.json"))
    assert json.loads(scene.read_text())["step"] >= 0
