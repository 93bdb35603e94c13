"""Peak memory of a training through the service, over all its processes.

python -m benchmarks.memory CAPTURE [--minutes M] [--out DIR]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil
import requests

from . import report

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
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "neural_render_server.cli", "serve", "--state-dir", folder, "--stay"]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            assert server.stdout is not None
            ready = json.loads(server.stdout.readline())
            url, headers = (
                f"http://{ready['host']}:{ready['port']}/v1",
                {"Authorization": f"Bearer {ready['token']}"},
            )
            params = {"capture": str(capture.resolve()), "scene": f"{folder}/scene", "minutes": minutes}
            body = {"kind": "train", "params": {**params, "downscale": downscale}}
            job = requests.post(f"{url}/jobs", json=body, headers=headers, timeout=30).json()
            peak, samples, start = 0, [], time.monotonic()
            while job["state"] in ("queued", "running"):
                used = tree_bytes(server.pid)
                peak = max(peak, used)
                samples.append([round(time.monotonic() - start, 1), used])
                time.sleep(SAMPLE_SECONDS)
                job = requests.get(f"{url}/jobs/{job['id']}", headers=headers, timeout=30).json()
            if job["state"] != "done":
                raise SystemExit(f"the training {job['state']}: {job['error']}")
            return {
                "capture": capture.name,
                "downscale": downscale,
                "minutes": minutes,
                "peak MB, all processes": peak / 1e6,
                "MB at the end": samples[-1][1] / 1e6,
                "PSNR": job["result"]["metrics"]["psnr"],
            }
        finally:
            server.terminate()
            server.wait(timeout=20)


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
