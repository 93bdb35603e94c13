"""Peak memory of a training through the service, over all its processes.

python -m benchmarks.memory CAPTURE [--minutes M] [--out DIR]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil
import requests

from . import report
from .server import running_server

SAMPLE_SECONDS = 0.5


def tree_bytes(pid: int) -> int:
    """Proportional set size of a process and its descendants: shared pages count once."""
    total = 0
    try:
        processes = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    except psutil.Error:
        return 0
    for process in processes:
        try:
            total += process.memory_full_info().pss
        except psutil.Error:
            continue
    return total


def measure(capture: Path, minutes: float, downscale: float) -> dict[str, Any]:
    """Train ``capture`` as a job of a server of its own and watch all processes."""
    with running_server() as ready, tempfile.TemporaryDirectory() as folder:
        url, headers = (
            f"http://{ready['host']}:{ready['port']}/v1",
            {"Authorization": f"Bearer {ready['token']}"},
        )
        params = {"capture": str(capture.resolve()), "scene": f"{folder}/scene", "minutes": minutes}
        body = {"kind": "train", "params": {**params, "downscale": downscale}}
        job = requests.post(f"{url}/jobs", json=body, headers=headers, timeout=120).json()
        peak = used = 0
        while job["state"] in ("queued", "running"):
            used = tree_bytes(int(ready["pid"]))
            peak = max(peak, used)
            time.sleep(SAMPLE_SECONDS)
            job = requests.get(f"{url}/jobs/{job['id']}", headers=headers, timeout=120).json()
        if job["state"] != "done":
            raise SystemExit(f"the training {job['state']}: {job['error']}")
        described = requests.post(
            f"{url}/captures/inspect",
            json={"path": params["capture"], "downscale": max(1.0, downscale)},
            headers=headers,
            timeout=120,
        ).json()
        return {
            "capture": capture.name,
            "timesteps": described["timesteps"],
            "size": f"{described['cameras'][0]['w']}x{described['cameras'][0]['h']}",
            "downscale": downscale,
            "decoded frames, MB": described["needs"]["frames"] / 1e6,
            "estimate before, MB": described["needs"]["memory"] / 1e6,
            "minutes": minutes,
            "steps": job["metrics"]["step"],
            "peak MB, all processes": peak / 1e6,
            "MB at the end": used / 1e6,
            "PSNR": job["result"]["metrics"]["psnr"],
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("capture", type=Path)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--downscale", type=float, default=1.0)
    parser.add_argument("--out", type=Path, default=Path("out/benchmarks"))
    arguments = parser.parse_args()
    row = measure(arguments.capture, arguments.minutes, arguments.downscale)
    report.write(
        arguments.out, "memory", "Memory of a training", [row], "python -m benchmarks.memory CAPTURE"
    )


if __name__ == "__main__":
    main()
