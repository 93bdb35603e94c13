"""Kill -9 at random points: the server, the worker that trains or renders, or the Blender that asked for it.

python -m benchmarks.kills CAPTURE [--kills 50] [--blender PYTHON --zip ZIP] [--out out/benchmarks]

Every round starts a training or a rendering, kills one of the three after a random time, does what the
answer says (start a server again, resume the job), and waits for the end. Then it must hold that

- the job is done, and a failed one in between said in words how to go on;
- a training's weights are those of an uninterrupted one of the same seed, bit by bit;
- frames that were finished at the kill are the same files, and all frames are there and whole;
- whatever could be read at any moment was whole: a reader opens scene and frames all along.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import psutil

from neural_render_addon.errors import AddonError
from neural_render_addon.service.client import Client
from neural_render_server.camera_path import CameraPath
from neural_render_server.captures.detect import open_capture

from . import report
from .kill_checks import check_frames, check_leftovers, check_scene, reading
from .server import COMMAND

PATIENCE = 600.0
STEPS, SEED, FRAMES = 60, 3, 24
OPTIONS = {"preset": "small", "seed": SEED}
VICTIMS = ("server", "worker", "client")
KINDS = ("train", "render")


class KilledServer:
    """A server that is started again with the same state folder after it was killed."""

    def __init__(self, state_dir: Path) -> None:
        self.state_dir = state_dir
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen([*COMMAND, str(self.state_dir)], stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        ready = json.loads(self.process.stdout.readline())
        self.token = str(ready["token"])
        self.client = Client("127.0.0.1", ready["port"], self.token)

    def worker(self) -> psutil.Process | None:
        children = psutil.Process(self.process.pid).children()
        module = "neural_render_server.service.worker"
        return next((child for child in children if module in child.cmdline()), None)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()


@dataclass
class Round:
    """What one kill did."""

    victim: str
    kind: str
    delay: float
    state_at_kill: str = ""
    done_at_kill: float = 0.0
    remedy: str = ""
    faults: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Stage:
    """What all rounds share. ``seconds`` are how long an undisturbed job of each kind takes."""

    capture: Path
    reference: Path
    cameras: dict[str, Any]
    folder: Path
    seconds: dict[str, float]
    blender: Sequence[str] = ()
    extension: str = ""


def parameters(stage: Stage, kind: str, folder: Path) -> dict[str, Any]:
    if kind == "train":
        return {"capture": str(stage.capture), "scene": str(folder / "scene"), "steps": STEPS, **OPTIONS}
    return {"scene": str(stage.reference), "cameras": stage.cameras, "out": str(folder / "frames")}


def finish(client: Client, job_id: str) -> Any:
    end = time.monotonic() + PATIENCE
    while not (job := client.job(job_id)).is_final:
        if time.monotonic() > end:
            raise TimeoutError(f"job {job_id} is {job.state} after {PATIENCE:.0f} s: {job.message}")
        time.sleep(0.05)
    return job


def prepare(
    server: KilledServer, capture: Path, folder: Path, blender: Sequence[str], extension: str
) -> Stage:
    """Train and render once undisturbed: what the killed ones must equal, and how long they take."""
    reference = folder / "reference" / "scene"
    cameras = _cameras(capture)
    stage = Stage(capture, reference, cameras, folder, {}, blender, extension)
    for kind in KINDS:
        start = time.monotonic()
        job = server.client.submit(kind, parameters(stage, kind, folder / "reference"))
        done = finish(server.client, job.id)
        if done.state != "done":
            raise RuntimeError(done.error)
        stage.seconds[kind] = time.monotonic() - start
    return stage


def _cameras(capture: Path) -> dict[str, Any]:
    """A camera file of the capture's first camera over its time."""
    opened = open_capture(capture)
    entry = opened.cameras[0].to_json()
    entry.pop("name", None)
    frames = [{**entry, "time": opened.duration * k / FRAMES, "name": f"{k + 1:04d}"} for k in range(FRAMES)]
    return CameraPath.from_json({"frames": frames}, "kills").to_json()


def play(server: KilledServer, stage: Stage, victim: str, kind: str, chance: random.Random) -> Round:
    """One job, one kill."""
    folder = Path(tempfile.mkdtemp(prefix=f"{kind}-", dir=stage.folder))
    told = Round(victim, kind, chance.uniform(0.0, stage.seconds[kind]))
    with reading(folder, told.faults):
        watcher, job_id = _begin(server, stage, kind, folder, with_client=victim == "client")
        time.sleep(told.delay)
        job = server.client.job(job_id)
        told.state_at_kill, told.done_at_kill = job.state, job.progress
        finished = {file: file.stat().st_mtime_ns for file in (folder / "frames").glob("[!.]*")}
        if victim == "server":
            server.process.kill()
            server.process.wait()
            server.start()
        elif victim == "worker":
            worker = server.worker()
            if worker is not None:
                with suppress(psutil.NoSuchProcess):
                    worker.kill()
        elif watcher is not None:
            watcher.kill()
            watcher.wait()
        told.remedy = _see_through(server, job_id, told.faults)
    if watcher is not None and watcher.poll() is None:
        watcher.kill()
    if kind == "train":
        told.faults += check_scene(folder / "scene", stage.reference)
    else:
        names = [f"{frame['name']}.exr" for frame in stage.cameras["frames"]]
        told.faults += check_frames(folder / "frames", names, finished)
    told.faults += check_leftovers(folder)
    return told


def _begin(
    server: KilledServer, stage: Stage, kind: str, folder: Path, with_client: bool
) -> tuple[subprocess.Popen[str] | None, str]:
    """Start the job, by a process of a client where that is to be killed; that process, and the job."""
    known = {job.id for job in server.client.jobs()}
    if not with_client:
        return None, server.client.submit(kind, parameters(stage, kind, folder)).id
    if stage.blender and kind == "train":
        task = {"zip": stage.extension, "state_dir": str(server.state_dir), "kind": kind, "steps": STEPS}
        task |= {"capture": str(stage.capture), "scene": str(folder / "scene"), "seed": SEED}
        command = [*stage.blender, str(Path(__file__).with_name("kill_client.py")), json.dumps(task)]
    else:
        body = json.dumps({"kind": kind, "params": parameters(stage, kind, folder)})
        program = "import json,sys; from benchmarks.kills import follow; follow(*sys.argv[1:])"
        address = [server.client.address, server.token]
        command = [sys.executable, "-c", program, *address, body]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, text=True)
    end = time.monotonic() + PATIENCE
    while not (new := [job.id for job in server.client.jobs() if job.id not in known]):
        if process.poll() is not None or time.monotonic() > end:
            raise RuntimeError(f"the client {command[0]} ended before its job began")
        time.sleep(0.05)
    return process, new[0]


def follow(address: str, token: str, body: str) -> None:
    """What a client does: submit a job and listen to its events."""
    host, _, port = address.rpartition(":")
    client = Client(host, int(port), token)
    asked = json.loads(body)
    for _ in client.events(client.submit(asked["kind"], asked["params"]).id):
        pass


def _see_through(server: KilledServer, job_id: str, faults: list[str]) -> str:
    """Wait for the job's end, doing once what a failed one says; returns what it said."""
    job = finish(server.client, job_id)
    if job.state == "done":
        return ""
    said = job.error
    if "resume" not in said:
        faults.append(f"the failed job does not say how to go on: {said}")
    server.client.resume(job_id)
    job = finish(server.client, job_id)
    if job.state != "done":
        faults.append(f"the resumed job is {job.state}: {job.error}")
    return str(said)


def run(
    capture: Path, kills: int, folder: Path, seed: int = 0, blender: Sequence[str] = (), extension: str = ""
) -> list[Round]:
    """All victims in both kinds of work, in turn, each at a random moment."""
    chance = random.Random(seed)
    pairs = list(product(VICTIMS, KINDS))
    server = KilledServer(folder / "state")
    try:
        stage = prepare(server, capture, folder, blender, extension)
        rounds = []
        for number in range(kills):
            victim, kind = pairs[number % len(pairs)]
            rounds.append(play(server, stage, victim, kind, chance))
            told = rounds[-1]
            moment = f"{told.delay:.2f} s ({told.state_at_kill}, {told.done_at_kill:.0%})"
            outcome = "; ".join(told.faults) or "as it should be"
            print(f"{number + 1:3}: {kind}, {victim} killed after {moment}: {outcome}", flush=True)
        return rounds
    finally:
        with suppress(AddonError, psutil.Error):
            server.stop()


def summary(rounds: Sequence[Round]) -> list[dict[str, Any]]:
    rows = []
    for victim, kind in product(VICTIMS, KINDS):
        own = [told for told in rounds if (told.kind, told.victim) == (kind, victim)]
        rows.append(
            {
                "killed": victim,
                "work": kind,
                "times": len(own),
                "while it ran": sum(told.state_at_kill == "running" for told in own),
                "told to resume": sum(bool(told.remedy) for told in own),
                "faults": sum(bool(told.faults) for told in own),
            }
        )
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("capture", type=Path)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--blender", default="", help="Python of a bpy wheel: its Blender is the training's client"
    )
    parser.add_argument("--zip", default="", help="the built extension, for --blender")
    parser.add_argument("--out", type=Path, default=Path("out/benchmarks"))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="neural-render-kills-") as folder:
        blender = [given.blender] if given.blender else []
        extension = str(Path(given.zip).resolve())
        rounds = run(given.capture.resolve(), given.kills, Path(folder), given.seed, blender, extension)
    command = f"python -m benchmarks.kills {given.capture.name} --kills {given.kills} --seed {given.seed}"
    report.write(given.out, "kills", "Killed at a random moment", summary(rounds), command)
    return int(any(told.faults for told in rounds))


if __name__ == "__main__":
    sys.exit(main())
