"""Kill -9 at random points: the server, the worker, the solver's own process, or the Blender that asked.

python -m benchmarks.kills CAPTURE [--footage PHOTOS] [--only solve] [--kills 50] [--blender PYTHON --zip ZIP]
    [--out out/benchmarks]

Every round starts a training, a rendering or (of ``--footage``) a solve, kills one of them after a random
time, does what the answer says (start a server again, resume the job), and waits for the end. Then it must
hold that

- the job is done, and a failed one in between said in words how to go on;
- a training's weights are those of an uninterrupted one of the same seed, bit by bit;
- frames that were finished at the kill are the same files, and all frames are there and whole;
- a solve places as many pictures as an uninterrupted one, and looked for no features twice;
- whatever could be read at any moment was whole: a reader opens scene, frames and capture all along.
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
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psutil

from neural_render_addon.errors import AddonError
from neural_render_addon.service.client import Client
from neural_render_server.camera_path import CameraPath
from neural_render_server.captures.detect import open_capture

from . import report
from .kill_checks import check_capture, check_frames, check_leftovers, check_scene, features_made, reading
from .server import COMMAND

PATIENCE = 600.0
STEPS, SEED, FRAMES = 60, 3, 24
OPTIONS = {"preset": "small", "seed": SEED}
# Enough for photos of a textured room.
FEATURES = 1500
# Who is killed in which work.
CASES = [(victim, kind) for victim in ("server", "worker", "client") for kind in ("train", "render")]
SOLVE_CASES = [(victim, "solve") for victim in ("server", "worker", "solver")]
SOLVER = "neural_render_server.solving.colmap_stage"


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

    def find(self, victim: str) -> psutil.Process | None:
        """Its worker, or the solver's process below that, if it lives."""
        module = SOLVER if victim == "solver" else "neural_render_server.service.worker"
        for child in psutil.Process(self.process.pid).children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                if module in child.cmdline():
                    return child
        return None

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
    """What all rounds share. ``seconds`` are how long an undisturbed job of each kind takes, ``placed`` how
    many pictures an undisturbed solve places.
    """

    capture: Path
    reference: Path
    cameras: dict[str, Any]
    folder: Path
    footage: Path | None = None
    blender: Sequence[str] = ()
    extension: str = ""
    seconds: dict[str, float] = field(default_factory=dict)
    placed: int = 0


def parameters(stage: Stage, kind: str, folder: Path) -> dict[str, Any]:
    if kind == "train":
        return {"capture": str(stage.capture), "scene": str(folder / "scene"), "steps": STEPS, **OPTIONS}
    if kind == "solve":
        return {"footage": str(stage.footage), "out": str(folder / "capture"), "features": FEATURES}
    return {"scene": str(stage.reference), "cameras": stage.cameras, "out": str(folder / "frames")}


def finish(client: Client, job_id: str) -> Any:
    end = time.monotonic() + PATIENCE
    while not (job := client.job(job_id)).is_final:
        if time.monotonic() > end:
            raise TimeoutError(f"job {job_id} is {job.state} after {PATIENCE:.0f} s: {job.message}")
        time.sleep(0.05)
    return job


def prepare(server: KilledServer, stage: Stage, kinds: Sequence[str]) -> Stage:
    """Do each kind of work once undisturbed: what the killed ones must equal, and how long they take."""
    placed = 0
    for kind in kinds:
        start = time.monotonic()
        job = server.client.submit(kind, parameters(stage, kind, stage.folder / "reference"))
        done = finish(server.client, job.id)
        if done.state != "done":
            raise RuntimeError(done.error)
        stage.seconds[kind] = time.monotonic() - start
        placed = len(done.result["registered"]) if kind == "solve" else placed
    return replace(stage, placed=placed)


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
        features = features_made(folder / "capture")
        if victim == "server":
            server.process.kill()
            server.process.wait()
            server.start()
        elif victim in ("worker", "solver"):
            process = server.find(victim)
            if process is not None:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
        elif watcher is not None:
            watcher.kill()
            watcher.wait()
        told.remedy = _see_through(server, job_id, told.faults)
    if watcher is not None and watcher.poll() is None:
        watcher.kill()
    if kind == "train":
        told.faults += check_scene(folder / "scene", stage.reference)
    elif kind == "solve":
        told.faults += check_capture(folder / "capture", stage.placed, features)
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
    if "resume" not in said and "solve again" not in said:
        faults.append(f"the failed job does not say how to go on: {said}")
    server.client.resume(job_id)
    job = finish(server.client, job_id)
    if job.state != "done":
        faults.append(f"the resumed job is {job.state}: {job.error}")
    return str(said)


def run(
    capture: Path,
    kills: int,
    folder: Path,
    seed: int = 0,
    footage: Path | None = None,
    only: str = "",
    blender: Sequence[str] = (),
    extension: str = "",
) -> list[Round]:
    """All victims in all kinds of work, in turn, each at a random moment; ``only`` of one kind."""
    chance = random.Random(seed)
    cases = [case for case in CASES + (SOLVE_CASES if footage else []) if not only or case[1] == only]
    server = KilledServer(folder / "state")
    try:
        reference = folder / "reference" / "scene"
        stage = Stage(capture, reference, _cameras(capture), folder, footage, blender, extension)
        # A rendering is of the scene that was trained.
        kinds = ["solve"] if only == "solve" else ["train", "render"] + (["solve"] if footage else [])
        stage = prepare(server, stage, kinds)
        rounds = []
        for number in range(kills):
            victim, kind = cases[number % len(cases)]
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
    for victim, kind in CASES + SOLVE_CASES:
        own = [told for told in rounds if (told.kind, told.victim) == (kind, victim)]
        if not own:
            continue
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
    parser.add_argument("--footage", type=Path, help="photos to solve, too")
    parser.add_argument("--only", choices=("train", "render", "solve"), default="")
    parser.add_argument(
        "--blender", default="", help="Python of a bpy wheel: its Blender is the training's client"
    )
    parser.add_argument("--zip", default="", help="the built extension, for --blender")
    parser.add_argument("--out", type=Path, default=Path("out/benchmarks"))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="neural-render-kills-") as folder:
        blender = [given.blender] if given.blender else []
        extension = str(Path(given.zip).resolve())
        capture, footage = given.capture.resolve(), given.footage and given.footage.resolve()
        what = (given.seed, footage, given.only, blender, extension)
        rounds = run(capture, given.kills, Path(folder), *what)
    command = f"python -m benchmarks.kills {given.capture.name} --kills {given.kills} --seed {given.seed}"
    command += f" --footage {footage.name}" if footage else ""
    command += f" --only {given.only}" if given.only else ""
    report.write(given.out, "kills", "Killed at a random moment", summary(rounds), command)
    return int(any(told.faults for told in rounds))


if __name__ == "__main__":
    sys.exit(main())
