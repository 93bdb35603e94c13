"""How soon the server is ready, and how soon it stops a training.

python -m benchmarks.startup CAPTURE [--out DIR]

Measured from the start of the process: until its ready line, until its first answer to ``GET /v1/health``
(what the add-on waits for), and until it knows its device, for which torch is imported in the background.
A cancel is measured from the request to the job's last state, in the middle of a training.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from neural_render_addon.service.client import Client

from . import report
from .server import COMMAND, running_server

POLL_SECONDS = 0.02
RUNS = 5


def wait_for(is_so: Callable[[], bool]) -> None:
    while not is_so():
        time.sleep(POLL_SECONDS)


def start_once() -> dict[str, float]:
    """Seconds from the process's start to each of its signs of life, and its CPU seconds by then."""
    with tempfile.TemporaryDirectory(prefix="neural-render-") as folder:
        start = time.perf_counter()
        process = subprocess.Popen([*COMMAND, folder], stdout=subprocess.PIPE, text=True)
        try:
            assert process.stdout is not None
            ready = json.loads(process.stdout.readline())
            seconds = {"ready line": time.perf_counter() - start}
            client = Client(ready["host"], ready["port"], ready["token"])
            client.health()
            seconds["first health"] = time.perf_counter() - start
            times = psutil.Process(process.pid).cpu_times()
            seconds["CPU seconds until then"] = times.user + times.system
            wait_for(lambda: client.health().device != "unknown")
            seconds["device known"] = time.perf_counter() - start
            return seconds
        finally:
            process.terminate()
            process.wait()


def cancel_once(client: Client, capture: Path, folder: Path) -> float:
    """Seconds from the cancel of a running training to its last state."""
    params = {
        "capture": str(capture.absolute()),
        "scene": str(folder / "scene"),
        "minutes": 10,
        "overwrite": True,
    }
    job = client.submit("train", params)
    wait_for(lambda: client.job(job.id).raw["metrics"].get("step", 0) > 10)
    start = time.perf_counter()
    client.cancel(job.id)
    wait_for(lambda: client.job(job.id).is_final)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("capture", type=Path)
    parser.add_argument("--out", type=Path, default=Path("out/benchmarks"))
    arguments = parser.parse_args()
    starts = [start_once() for _ in range(RUNS)]
    values: dict[str, list[float]] = {name: [run[name] for run in starts] for name in starts[0]}
    with tempfile.TemporaryDirectory(prefix="neural-render-") as folder, running_server() as ready:
        client = Client(ready["host"], ready["port"], ready["token"])
        values["cancel of a training"] = [
            cancel_once(client, arguments.capture, Path(folder)) for _ in range(3)
        ]
    rows: list[dict[str, Any]] = [
        {"what": name, "median s": statistics.median(found), "slowest s": max(found), "runs": len(found)}
        for name, found in values.items()
    ]
    report.write(
        arguments.out, "startup", "Server start and cancel", rows, "python -m benchmarks.startup CAPTURE"
    )


if __name__ == "__main__":
    main()
