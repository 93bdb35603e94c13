"""Many clients asking for frames at once, while a training goes on.

python -m benchmarks.load CAPTURE SCENE [--clients 16] [--frames 400] [--width 64] [--out DIR]

Every client asks for its next frame as soon as it has its last. Fair is: no client gets far more frames than
another, and no frame waits while many that were asked for later are answered. Memory is that of the server's
own process, without workers: after a warm-up of a tenth of the frames, then at every tenth, through which a
straight line tells how much a thousand frames add.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import psutil

from neural_render_addon.service.client import Client
from neural_render_server.camera_path import CameraPath
from neural_render_server.scene import Scene

from . import report
from .rendering import at_size
from .server import running_server


@dataclass
class Asked:
    """What one client saw: when it asked and when it had each frame, in seconds, and errors."""

    spans: list[tuple[float, float]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


class Load:
    """``clients`` threads that share ``frames`` requests. ``memory``: the server's bytes at every tenth."""

    def __init__(self, ready: dict[str, Any], scene: Path, clients: int, frames: int, width: int) -> None:
        self._ready, self._scene = ready, scene
        self._server = psutil.Process(int(ready["pid"]))
        self._left = frames
        self._tenth = max(1, frames // 10)
        self.memory: list[int] = []
        self._lock = threading.Lock()
        first = CameraPath.load(Scene(scene).cameras_file).frames[0]
        self._camera = at_size(
            first.camera, width, round(width * first.camera.height / first.camera.width)
        ).to_json()
        self.asked = [Asked() for _ in range(clients)]

    def run(self) -> float:
        """Returns the seconds it took."""
        start = time.perf_counter()
        threads = [threading.Thread(target=self._ask, args=(asked,)) for asked in self.asked]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return time.perf_counter() - start

    def _take(self) -> bool:
        with self._lock:
            if self._left >= 0 and self._left % self._tenth == 0:
                self.memory.append(self._server.memory_info().rss)
            self._left -= 1
            return self._left >= 0

    def _ask(self, asked: Asked) -> None:
        client = Client(self._ready["host"], self._ready["port"], self._ready["token"])
        while self._take():
            start = time.perf_counter()
            try:
                client.render(str(self._scene), self._camera, 0.0)
            except Exception as error:
                asked.errors.append(str(error))
            asked.spans.append((start, time.perf_counter()))


def overtaken(spans: npt.NDArray[np.float64]) -> int:
    """The most frames that were asked for later than one frame and answered before it. ``spans`` (N, 2)."""
    asked, answered = spans.T
    return max(int(((asked > start) & (answered < end)).sum()) for start, end in spans)


def measure(capture: Path, scene: Path, clients: int, frames: int, width: int) -> dict[str, Any]:
    """Ask for ``frames`` frames by ``clients`` clients beside a training; the training must go on."""
    with tempfile.TemporaryDirectory() as folder, running_server() as ready:
        client = Client(ready["host"], ready["port"], ready["token"])
        target = {"capture": str(capture.resolve()), "scene": f"{folder}/scene", "preset": "small"}
        job = client.submit("train", {**target, "minutes": 600.0})
        while not client.job(job.id).metrics.get("step"):
            time.sleep(0.2)
        Load(ready, scene, clients, max(clients, frames // 10), width).run()
        step = client.job(job.id).metrics["step"]
        load = Load(ready, scene, clients, frames, width)
        seconds = load.run()
        after = client.job(job.id)
        if after.state != "running":
            raise SystemExit(f"the training is {after.state}: {after.error}")
        spans = np.array([span for asked in load.asked for span in asked.spans])
        waits = np.sort(spans[:, 1] - spans[:, 0])
        counts = [len(asked.spans) for asked in load.asked]
        memory = np.array(load.memory) / 1e6
        client.cancel(job.id)
        while not client.job(job.id).is_final:
            time.sleep(0.2)
    return {
        "clients": clients,
        "frames": frames,
        "errors": sum(len(asked.errors) for asked in load.asked),
        "frames a second": frames / seconds,
        "wait ms, median": 1e3 * float(np.median(waits)),
        "wait ms, 99 of 100": 1e3 * float(np.quantile(waits, 0.99)),
        "wait ms, longest": 1e3 * float(waits[-1]),
        "least frames of a client": min(counts),
        "most": max(counts),
        "overtaken by at most": overtaken(spans),
        "memory MB, from tenth to tenth": " ".join(f"{megabytes:.0f}" for megabytes in memory),
        "MB that 1000 frames add": 1e3 * float(np.polyfit(np.linspace(0, frames, len(memory)), memory, 1)[0]),
        "training steps meanwhile": after.metrics["step"] - step,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("capture", type=Path, help="what is trained meanwhile")
    parser.add_argument("scene", type=Path, help="a trained scene folder to render")
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--frames", type=int, default=400)
    parser.add_argument("--width", type=int, default=64, help="of a frame, in pixels")
    parser.add_argument("--out", type=Path, default=Path("out/benchmarks"))
    given = parser.parse_args()
    row = measure(given.capture, given.scene.resolve(), given.clients, given.frames, given.width)
    command = f"python -m benchmarks.load CAPTURE SCENE --clients {given.clients} --frames {given.frames}"
    report.write(given.out, "load", "Many clients while a training goes on", [row], command)


if __name__ == "__main__":
    main()
