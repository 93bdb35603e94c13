"""A server whose own disk is full for a while: it says so, loses no job, and works on."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from bad_disks import full_disk

TRAINING = {"preset": "small", "options": {"count": 1500}}


@pytest.mark.skipif(sys.platform != "linux", reason="limits another process, which is Linux's prlimit")
def test_jobs_outlive_a_full_disk(server: Any, tiny_film: Path, tmp_path: Path) -> None:
    def submit(name: str, steps: int) -> Any:
        params = {"capture": str(tiny_film), "scene": str(tmp_path / name), "steps": steps, **TRAINING}
        return server.post("/v1/jobs", {"kind": "train", "params": params})

    job_id = submit("first", 60).json()["id"]
    queued = submit("second", 2).json()["id"]
    server.wait_for_step(job_id, 1)
    (worker,) = server.workers()
    with full_disk(pid=server.process.pid):  # the worker, which was started before, writes on
        refused = submit("third", 2)
        assert refused.status_code == 503 and "free some space" in refused.json()["error"]["message"]
        assert server.get("/v1/health").ok
        worker.wait(120.0)
        assert server.job(job_id)["state"] == "running"  # that it is done could not be stored yet
        assert server.post(f"/v1/jobs/{queued}/priority", {"priority": 3}).status_code == 503
    assert server.wait_for(job_id, "done", "failed")["state"] == "done"
    assert server.wait_for(queued, "done", "failed")["state"] == "done"
    assert {job["id"] for job in server.get("/v1/jobs").json()["jobs"]} == {job_id, queued}
