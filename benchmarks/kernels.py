"""CPU milliseconds of the Gaussian kernels and of their torch reference, in one run.

python -m benchmarks.kernels [--scene SCENE] [--out DIR]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file

from neural_render_server.camera_path import CameraPath
from neural_render_server.cameras import Camera
from neural_render_server.kernels import layout
from neural_render_server.kernels.backend import Backend, LossWeights
from neural_render_server.kernels.cpu import CpuBackend
from neural_render_server.kernels.reference import ReferenceBackend
from neural_render_server.scene import Scene

from . import report

WIDTH, HEIGHT, COUNT = 320, 240, 30_000
REPEATS, REFERENCE_REPEATS = 15, 1


def wall_of_gaussians() -> tuple[torch.Tensor, layout.View]:
    """A closed scene like a trained one: most Gaussians on a wall that fills the picture, some before it."""
    random = np.random.default_rng(0)
    rows = np.zeros((COUNT, layout.WIDTH), np.float32)
    rows[:, 0] = random.uniform(-2.8, 2.8, COUNT)
    rows[:, 1] = random.uniform(-2.1, 2.1, COUNT)
    rows[:, 2] = np.where(random.random(COUNT) < 0.7, 0.0, random.uniform(0.0, 2.0, COUNT))
    rows[:, layout.EXTENT] = 7.0
    rows[:, layout.OPACITY] = random.normal(1.0, 1.5, COUNT)
    rows[:, layout.SCALE] = np.log(0.02) + random.normal(0, 0.4, (COUNT, 3))
    rows[:, layout.ROTATION] = random.normal(0, 1, (COUNT, 4))
    rows[:, layout.COLOR] = random.random((COUNT, 3))
    camera_to_world = np.eye(4)
    camera_to_world[2, 3] = 4.5
    camera = Camera(WIDTH, HEIGHT, 266.0, 266.0, WIDTH / 2, HEIGHT / 2, camera_to_world)
    return torch.from_numpy(rows), layout.make_view(camera, 0.0, 0.1)


def trained_gaussians(scene: Path) -> tuple[torch.Tensor, layout.View]:
    """The first ``COUNT`` Gaussians of a trained scene and its first camera, at the benchmark's size."""
    rows = load_file(Scene(scene).model_file)["gaussians"][:COUNT].contiguous()
    camera = CameraPath.load(Scene(scene).cameras_file).frames[0].camera.scaled(WIDTH, HEIGHT)
    return rows, layout.make_view(camera, 0.0, 0.1)


def milliseconds(work: Callable[[], Any], repeats: int) -> float:
    """Least CPU milliseconds of ``repeats`` calls, after one that may compile."""
    work()
    best = float("inf")
    for _ in range(repeats):
        start = time.process_time()
        work()
        best = min(best, time.process_time() - start)
    return 1e3 * best


def stages(backend: Backend, rows: torch.Tensor, view: layout.View, repeats: int) -> dict[str, float]:
    """CPU milliseconds of every stage of an iteration."""
    truth, used = torch.rand(HEIGHT, WIDTH, 3), torch.ones(HEIGHT, WIDTH, dtype=torch.bool)
    weights = LossWeights(ssim=0.2, transmittance=0.1, ssim_stride=2)
    moments, steps = torch.zeros(len(rows), 2, layout.WIDTH), torch.zeros(len(rows), dtype=torch.int32)
    rates = torch.zeros(layout.WIDTH)

    def forward() -> Any:
        return backend.render(rows, view)

    def loss() -> Any:
        return backend.loss(drawn, truth, used, torch.zeros(3), weights)

    drawn = forward()
    scored = loss()
    found = backend.gradients(rows, view, scored)

    def iteration() -> None:
        drawn = backend.render(rows, view)
        scored = backend.loss(drawn, truth, used, torch.zeros(3), weights)
        backend.adam(rows, moments, steps, backend.gradients(rows, view, scored), rates)

    times = {
        "render with depth": milliseconds(lambda: backend.render(rows, view, with_depth=True), repeats),
        "forward": milliseconds(forward, repeats),
        "loss": milliseconds(loss, repeats),
        "Adam": milliseconds(lambda: backend.adam(rows, moments, steps, found, rates), repeats),
        "iteration": milliseconds(iteration, repeats),
    }
    times["backward"] = times["iteration"] - times["forward"] - times["loss"] - times["Adam"]
    return times


def measure(scene: Path | None) -> list[dict[str, Any]]:
    rows, view = wall_of_gaussians() if scene is None else trained_gaussians(scene)
    fast = stages(CpuBackend(), rows, view, REPEATS)
    slow = stages(ReferenceBackend(), rows, view, REFERENCE_REPEATS)
    return [
        {
            "stage": name,
            "numba, CPU ms": fast[name],
            "torch, CPU ms": slow[name],
            "ratio": slow[name] / fast[name],
        }
        for name in ("render with depth", "forward", "loss", "backward", "Adam", "iteration")
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scene", type=Path, help="a trained scene; without, random Gaussians on a wall")
    parser.add_argument("--out", type=Path, default=Path("out/benchmarks"))
    arguments = parser.parse_args()
    title = f"Kernels: {COUNT} Gaussians at {WIDTH}x{HEIGHT}, every pixel, least of {REPEATS} calls"
    command = "python -m benchmarks.kernels" + (" --scene SCENE" if arguments.scene else "")
    report.write(arguments.out, "kernels", title, measure(arguments.scene), command)


if __name__ == "__main__":
    main()
