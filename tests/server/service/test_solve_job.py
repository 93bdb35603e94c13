"""Solving cameras through a real server: progress, cancel, resume, and what is refused beforehand."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import psutil
import pytest
from textured_room import room_picture, room_rig


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    for index, pose in enumerate(room_rig(6)):
        cv2.imwrite(str(folder / f"photo{index}.png"), room_picture(pose)[..., ::-1])
    return folder


def test_a_solve_is_cancelled_within_two_seconds_killed_and_resumed(
    server: Any, photos: Path, tmp_path: Path
) -> None:
    out = tmp_path / "room.capture"
    job_id = server.submit("solve", footage=str(photos), out=str(out), features=1500)["id"]
    end = time.monotonic() + 240.0
    while not (solvers := _solvers(server)):
        assert time.monotonic() < end, server.job(job_id)
        time.sleep(0.02)
    server.post(f"/v1/jobs/{job_id}/cancel")
    server.wait_for(job_id, "cancelled")
    gone, alive = psutil.wait_procs(solvers, timeout=60.0)
    assert gone and not alive and not (out / "transforms.json").exists()

    # Killed in the middle, the worker takes the solver with it, and the job says how to go on.
    assert server.post(f"/v1/jobs/{job_id}/resume").json()["error"] is None
    while not (solvers := _solvers(server)):
        assert time.monotonic() < end, server.job(job_id)
        time.sleep(0.02)
    server.workers()[0].kill()
    job = server.wait_for(job_id, "failed")
    assert "resume the job to go on from the stages already finished" in job["error"]["message"]
    assert not psutil.wait_procs(solvers, timeout=60.0)[1]

    server.post(f"/v1/jobs/{job_id}/resume")
    job = server.wait_for(job_id, "done", "failed")
    assert job["state"] == "done", job["error"]
    result = job["result"]
    assert result["capture"] == str(out) and len(result["registered"]) == 6 and result["missing"] == []
    told = [event["data"] for event in server.events(job_id) if event["event"] == "progress"]
    assert any("Matching photos" in data["message"] for data in told)
    capture = server.post("/v1/captures/inspect", {"path": str(out)}).json()
    assert len(capture["cameras"]) == 6 and capture["points"] > 100

    # What the artist aligns is kept in the capture, one step after the other.
    half = np.diag([0.5, 0.5, 0.5, 1.0]).tolist()
    for expected in (0.5, 0.25):
        answer = server.post("/v1/captures/align", {"path": str(out), "matrix": half}).json()
        assert answer["alignment"][0][0] == expected
    aligned = server.post("/v1/captures/inspect", {"path": str(out)}).json()
    before, after = (np.array(c["cameras"][0]["transform_matrix"])[:3, 3] for c in (capture, aligned))
    assert after == pytest.approx(0.25 * before)


def _solvers(server: Any) -> list[psutil.Process]:
    """The processes of pycolmap below the server's workers."""
    found = []
    for worker in server.workers():
        found += [child for child in worker.children() if child.is_running()]
    return found


def test_what_cannot_be_solved_is_refused_before_it_is_queued(
    server: Any, photos: Path, tmp_path: Path
) -> None:
    good = {"footage": str(photos), "out": str(tmp_path / "out")}
    for changes, sentence in (
        ({"footage": str(tmp_path / "none")}, "there is no such file or folder"),
        ({"footage": "relative"}, "absolute"),
        ({"out": str(photos)}, "no solved capture"),
        ({"frames": 1}, "at least 2"),
        ({"lens": "glass"}, "lens"),
    ):
        answer = server.post("/v1/jobs", {"kind": "solve", "params": {**good, **changes}})
        assert answer.status_code in (400, 422) and sentence in answer.text, answer.text
    mirrored = np.diag([-1.0, 1.0, 1.0, 1.0]).tolist()
    answer = server.post("/v1/captures/align", {"path": str(photos), "matrix": mirrored})
    assert answer.status_code == 400 and answer.json()["error"]["code"] == "capture"
