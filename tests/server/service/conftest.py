"""Real servers in processes of their own, over real sockets."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests

# Generous: other programs share the machine on which tests run.
PATIENCE = 120.0


class RunningServer:
    """``neural-render serve`` with a state folder; ``ready`` is its ready line."""

    def __init__(self, state_dir: Path, *arguments: str) -> None:
        self.state_dir = state_dir
        self.process = start_serve(state_dir, *(arguments or ("--parent-pid", str(os.getpid()))))
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            _, errors = self.process.communicate(timeout=PATIENCE)
            raise AssertionError(f"the server did not start: {errors}")
        self.ready = json.loads(line)
        self.url = f"http://127.0.0.1:{self.ready['port']}"
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.headers["Authorization"] = f"Bearer {self.ready['token']}"

    def get(self, path: str, **more: Any) -> requests.Response:
        return self.session.get(self.url + path, timeout=PATIENCE, **more)

    def post(self, path: str, body: Any = None, **more: Any) -> requests.Response:
        return self.session.post(self.url + path, json=body, timeout=PATIENCE, **more)

    def submit(self, kind: str, **params: Any) -> dict[str, Any]:
        answer = self.post("/v1/jobs", {"kind": kind, "params": params})
        assert answer.status_code == 200, answer.text
        job: dict[str, Any] = answer.json()
        return job

    def job(self, job_id: str) -> dict[str, Any]:
        job: dict[str, Any] = self.get(f"/v1/jobs/{job_id}").json()
        return job

    def wait_for(self, job_id: str, *states: str) -> dict[str, Any]:
        """The job once it is in one of ``states``."""
        job: dict[str, Any] = wait_until(lambda: self.job(job_id), lambda job: job["state"] in states)
        return job

    def wait_for_step(self, job_id: str, step: int) -> dict[str, Any]:
        """The running training once it has done ``step`` steps."""
        job: dict[str, Any] = wait_until(
            lambda: self.job(job_id),
            lambda job: (
                (job["state"] == "running" and job["metrics"].get("step", 0) >= step)
                or job["state"] not in ("queued", "running")
            ),
        )
        assert job["state"] == "running", job
        return job

    def events(self, job_id: str, last_event_id: int | None = None) -> Iterator[dict[str, Any]]:
        """The job's server-sent events as ``{id, event, data}``, until the stream ends."""
        headers = {} if last_event_id is None else {"Last-Event-ID": str(last_event_id)}
        with self.get(f"/v1/jobs/{job_id}/events", headers=headers, stream=True) as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            event: dict[str, Any] = {}
            for line in answer.iter_lines(chunk_size=1, decode_unicode=True):
                if not line and event:
                    yield event
                    event = {}
                elif line and not line.startswith(":"):
                    key, _, value = line.partition(": ")
                    event[key] = json.loads(value) if key in ("data", "id") else value

    def workers(self) -> list[psutil.Process]:
        children = psutil.Process(self.process.pid).children(recursive=True)
        return [child for child in children if "neural_render_server.service.worker" in child.cmdline()]

    def stop(self) -> int:
        """End it as a service manager does, and wait; returns its exit code."""
        self.session.close()
        self.process.terminate()
        self.process.communicate(timeout=PATIENCE)
        return self.process.returncode


def start_serve(state_dir: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "neural_render_server.cli", "serve", "--state-dir", str(state_dir)]
    return subprocess.Popen([*command, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_until(ask: Callable[[], Any], is_good: Callable[[Any], bool]) -> Any:
    """Ask again and again until the answer is good; fails after ``PATIENCE`` seconds."""
    end = time.monotonic() + PATIENCE
    while not is_good(answer := ask()):
        assert time.monotonic() < end, f"waited in vain; last answer: {answer}"
        time.sleep(0.05)
    return answer


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[Callable[..., RunningServer]]:
    """Starts servers, by default with the same state folder, and ends them after the test."""
    started: list[RunningServer] = []

    def start(*arguments: str, state_dir: Path = tmp_path / "state") -> RunningServer:
        started.append(RunningServer(state_dir, *arguments))
        return started[-1]

    yield start
    for server in started:
        if server.process.poll() is None:
            server.stop()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """One server for all tests of a module that leave it running."""
    running = RunningServer(tmp_path_factory.mktemp("service") / "state")
    yield running
    running.stop()


@pytest.fixture(scope="session")
def trained_scene(tiny_film: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scene trained on the tiny film for a few steps."""
    from neural_render_server.progress import Control
    from neural_render_server.training.options import TrainOptions
    from neural_render_server.training.trainer import train

    scene = tmp_path_factory.mktemp("trained") / "scene"
    options = TrainOptions(str(tiny_film), str(scene), preset="small", steps=30, options={"count": 1500})
    train(options, lambda event: None, Control())
    return scene
