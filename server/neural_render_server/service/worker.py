"""The worker process: one training, rendering, meshing or solve, told and telling over JSON lines.

It is started by the service as ``python -m neural_render_server.service.worker``. The first line of
its stdin is the job ``{kind, params, resume, started, frame_cache}``, each further one a command
``{"command": "cancel" | "pause" | "resume"}``. Its stdout carries the events ``{"event": kind, "data":
{...}}`` and as the last line ``{"end": "done" | "failed" | "cancelled", ...}``. It ends by itself when stdin
ends, which is when the service has died.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import IO, Any

from ..errors import Cancelled, NeuralRenderError
from ..progress import Control, Event
from .error_bodies import error_code

# A worker whose service has died gets this long to write its checkpoint.
_ORPHAN_SECONDS = 10.0

# Progress and metrics may come at every step; more than this often nobody can read.
_THROTTLE_SECONDS = 0.2
_THROTTLED = ("progress", "metrics")


class EventWriter:
    """Writes events as JSON lines; of progress and metrics only the newest every 0.2 s."""

    def __init__(self, out: IO[str]) -> None:
        self._out = out
        self._lock = threading.Lock()
        self._written: dict[str, float] = {}
        self._held_back: dict[str, Event] = {}

    def event(self, event: Event) -> None:
        now = time.monotonic()
        if event.kind in _THROTTLED and now - self._written.get(event.kind, 0.0) < _THROTTLE_SECONDS:
            older = self._held_back.get(event.kind)
            data = {**older.data, **event.data} if older else event.data
            self._held_back[event.kind] = Event(event.kind, data)
            return
        older = self._held_back.pop(event.kind, None)
        self._written[event.kind] = now
        self._write({"event": event.kind, "data": {**older.data, **event.data} if older else event.data})

    def end(self, outcome: str, **more: Any) -> None:
        for event in self._held_back.values():
            self._write({"event": event.kind, "data": event.data})
        self._held_back.clear()
        self._write({"end": outcome, **more})

    def _write(self, line: dict[str, Any]) -> None:
        with self._lock:
            print(json.dumps(line, default=str), file=self._out, flush=True)


def run_job(job: dict[str, Any], writer: EventWriter, control: Control) -> dict[str, Any]:
    """Do the job and return its result.

    Raises:
        NeuralRenderError: bad input, or cancelled.
    """
    if job["kind"] == "train":
        from ..training.options import TrainOptions
        from ..training.trainer import train

        options = TrainOptions.from_json(resumed_params(job))
        return train(options, writer.event, control)
    if job["kind"] == "mesh":
        from .mesh_params import MeshParams, run_mesh

        return run_mesh(MeshParams.model_validate(job["params"]), writer.event, control)
    if job["kind"] == "solve":
        from ..solving.options import SolveOptions
        from ..solving.solve import solve

        return solve(SolveOptions.from_json(job["params"]), writer.event, control)
    from .render_params import RenderParams, run_render

    # The frames that an earlier start finished are kept, older ones of the folder are not.
    keep_since = job["started"] if job["resume"] else None
    return run_render(
        RenderParams.model_validate(job["params"]),
        writer.event,
        control,
        Path(job["frame_cache"]),
        keep_since,
    )


def resumed_params(job: dict[str, Any]) -> dict[str, Any]:
    """The training's parameters, made to go on from the checkpoint an interrupted start of it left.

    A checkpoint older than the job's first start belongs to another training of the same folder.
    """
    from ..scene import Scene

    params = dict(job["params"])
    if not job["resume"] or params.get("resume"):
        return params
    scene = Scene(Path(params["scene"]))
    for checkpoint in (scene.checkpoint_file, scene.previous_checkpoint_file):
        if checkpoint.is_file() and checkpoint.stat().st_mtime >= job["started"]:
            params.update(resume=True, overwrite=False)
    return params


def _follow_commands(commands: IO[str], control: Control) -> None:
    actions = {"cancel": control.cancel, "pause": control.pause, "resume": control.resume}
    for line in commands:
        action = actions.get(json.loads(line).get("command"))
        if action is not None:
            action()
    _end_soon(control)


def _end_soon(control: Control) -> None:
    """The service is gone: stop after the present step, and whatever happens end."""
    control.cancel()
    timer = threading.Timer(_ORPHAN_SECONDS, os._exit, [1])
    timer.daemon = True
    timer.start()


def _end_with_parent(control: Control) -> None:
    """Ask Linux for a SIGTERM when the service dies, in case this process holds its own stdin open."""
    signal.signal(signal.SIGTERM, lambda number, frame: _end_soon(control))
    if sys.platform == "linux":
        import ctypes

        pr_set_pdeathsig = 1  # linux/prctl.h
        ctypes.CDLL(None, use_errno=True).prctl(pr_set_pdeathsig, signal.SIGTERM, 0, 0, 0)


def main() -> int:
    control = Control()
    _end_with_parent(control)
    # Only our lines go to the real stdout; what libraries print joins stderr.
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    # Ctrl-C in the service's terminal reaches the whole group; the service decides what to do.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    writer = EventWriter(out)
    job = json.loads(sys.stdin.readline())
    threading.Thread(target=_follow_commands, args=(sys.stdin, control), daemon=True).start()
    try:
        result = run_job(job, writer, control)
    except Cancelled:
        writer.end("cancelled")
    except NeuralRenderError as error:
        writer.end("failed", error={"code": error_code(error), "message": str(error)})
    except MemoryError:
        message = "there was not enough memory; close other programs, or use a higher downscale"
        writer.end("failed", error={"code": "memory", "message": message})
    else:
        writer.end("done", result=result)
    return 0


if __name__ == "__main__":
    sys.exit(main())
