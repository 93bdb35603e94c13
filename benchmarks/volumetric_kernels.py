"""The volumetric kernels in numba against their torch references, in one run, and a whole training step.

python -m benchmarks.volumetric_kernels [--out DIR] [--points N] [--memory-steps N]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch

from neural_render_server.cameras import Camera
from neural_render_server.kernels import hash_encoding, hash_encoding_reference
from neural_render_server.kernels.compositing import composite
from neural_render_server.kernels.hash_layout import geometric_layout, initial_table
from neural_render_server.kernels.march_steps import MarchSteps
from neural_render_server.kernels.ray_marching import march
from neural_render_server.kernels.volume_dispatch import reference_kernels
from neural_render_server.methods.instant_ngp import InstantNgpMethod
from neural_render_server.methods.registry import make_config

from . import report

Measured = tuple[float, float]  # wall and CPU seconds


class OrbitViews:
    """Training views of a coloured ball in the air, drawn here so that the benchmark needs no files."""

    times = np.zeros(1)
    has_alpha = True
    points = None
    near_far = None
    shutters = None

    def __init__(self, count: int = 20, size: int = 100) -> None:
        self.camera_indices = np.arange(count)
        self.timestep_indices = np.zeros(count, dtype=np.int64)
        self.view_times = np.zeros(count)
        self.cameras = [_orbit_camera(2 * np.pi * k / count, size) for k in range(count)]
        self._images = [_ball(camera) for camera in self.cameras]

    def __len__(self) -> int:
        return len(self.cameras)

    def rgb(self, index: int) -> Any:
        return self._images[index][..., :3]

    def alpha(self, index: int) -> Any:
        return self._images[index][..., 3]

    def mask(self, index: int) -> None:
        return None


def _orbit_camera(angle: float, size: int) -> Camera:
    back = np.array([np.cos(angle), np.sin(angle), 0.4])
    back /= np.linalg.norm(back)
    right = np.cross([0.0, 0.0, 1.0], back)
    right /= np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3] = np.stack([right, np.cross(back, right), back, 4.0 * back], axis=1)
    return Camera(size, size, 1.4 * size, 1.4 * size, size / 2, size / 2, pose)


def _ball(camera: Camera) -> Any:
    origins, directions = camera.rays()
    a, b = (directions**2).sum(-1), (directions * origins).sum(-1)
    root = b * b - a * ((origins**2).sum(-1) - 1.0)
    hit = origins + ((-b - np.sqrt(np.maximum(root, 0.0))) / a)[..., None] * directions
    color = 0.5 + 0.3 * hit + 0.2 * np.sign(np.sin(9.0 * hit))
    rgba = np.concatenate([np.clip(color, 0, 1), (root > 0)[..., None]], axis=-1)
    return (rgba * 255).astype(np.uint8)


def measured(function: Callable[[], object], repeats: int) -> Measured:
    """The fastest of ``repeats`` calls after one to warm up: wall and CPU seconds, each its least."""
    function()
    wall, cpu = [], []
    for _ in range(repeats):
        wall_start, cpu_start = time.perf_counter(), time.process_time()
        function()
        wall.append(time.perf_counter() - wall_start)
        cpu.append(time.process_time() - cpu_start)
    return min(wall), min(cpu)


def row(work: str, numba: Measured, torch_: Measured) -> dict[str, Any]:
    return {
        "work": work,
        "numba wall ms": 1e3 * numba[0],
        "torch wall ms": 1e3 * torch_[0],
        "numba CPU ms": 1e3 * numba[1],
        "torch CPU ms": 1e3 * torch_[1],
        "times faster (wall)": torch_[0] / numba[0],
        "times faster (CPU)": torch_[1] / numba[1],
    }


def hash_rows(points: int) -> list[dict[str, Any]]:
    layout = geometric_layout(3, 16, 2, 19, 16, 2048)
    generator = torch.Generator().manual_seed(0)
    table = initial_table(layout, generator)
    positions = torch.rand(points, 3, generator=generator)
    upstream = torch.randn(points, layout.width, generator=generator)
    gradient = torch.zeros_like(table)
    forward = measured(lambda: hash_encoding.encode(positions, table, layout), 5)
    backward = measured(
        lambda: hash_encoding.accumulate_table_gradient(positions, upstream, layout, gradient), 5
    )
    torch_forward = measured(lambda: hash_encoding_reference.encode(positions, table, layout), 2)
    scattered = measured(
        lambda: hash_encoding_reference.accumulate_table_gradient(positions, upstream, layout, gradient), 2
    )
    leaf = table.clone().requires_grad_()
    encoded = hash_encoding_reference.encode(positions, leaf, layout)

    def naive() -> None:
        leaf.grad = None
        encoded.backward(upstream, retain_graph=True)  # type: ignore[no-untyped-call]

    def naive_both() -> None:
        leaf.grad = None
        own = hash_encoding_reference.encode(positions, leaf, layout)
        own.backward(upstream)  # type: ignore[no-untyped-call]

    return [
        row("hash forward, 16 levels of 2, T = 2^19", forward, torch_forward),
        row("hash backward, against autograd's forward and backward", backward, measured(naive_both, 2)),
        row("hash backward, against autograd's backward alone", backward, measured(naive, 2)),
        row("hash backward, against 1-D scatter", backward, scattered),
    ]


def march_row() -> dict[str, Any]:
    generator = torch.Generator().manual_seed(0)
    count = 4096
    origins = torch.randn(count, 3, generator=generator)
    origins = 0.5 + 2.0 * origins / origins.norm(dim=-1, keepdim=True)
    directions = 0.3 + 0.4 * torch.rand(count, 3, generator=generator) - origins
    ticks = (torch.arange(128) + 0.5) / 128 - 0.5
    x, y, z = torch.meshgrid(ticks, ticks, ticks, indexing="ij")
    occupied = (torch.sqrt(x * x + y * y + z * z) - 0.35).abs()[None] < 0.03  # a shell
    near, far = torch.full((count,), 0.5), torch.full((count,), 1.6)
    jitter = torch.rand(count, generator=generator)

    def run() -> None:
        march(origins, directions, near, far, jitter, occupied, MarchSteps())

    numba = measured(run, 5)
    with reference_kernels():
        return row("occupancy march, 128^3", numba, measured(run, 2))


def composite_row() -> dict[str, Any]:
    generator = torch.Generator().manual_seed(0)
    counts = torch.randint(20, 110, (4096,), generator=generator)
    bounds = torch.cat([torch.zeros(1, dtype=torch.int64), counts.cumsum(0)])
    total = int(bounds[-1])
    thickness = (torch.rand(total, generator=generator) * 0.2).requires_grad_()
    colors = torch.rand(total, 3, generator=generator).requires_grad_()
    distances = torch.rand(total, generator=generator)

    def run() -> None:
        thickness.grad = colors.grad = None
        color, opacity, depth = composite(thickness, colors, distances, bounds)
        (color.sum() + opacity.sum() + depth.sum()).backward()

    numba = measured(run, 5)
    with reference_kernels():
        return row("composite forward and backward", numba, measured(run, 3))


def new_training(samples: int, log2_table_size: int) -> tuple[InstantNgpMethod, OrbitViews]:
    torch.manual_seed(0)
    views = OrbitViews()
    options = {"samples": samples, "log2_table_size": log2_table_size}
    method = InstantNgpMethod(make_config(InstantNgpMethod, "small", options), torch.device("cpu"))
    method.initialise(views, 0, lambda message, fraction: None)
    return method, views


def a_million_samples(method: InstantNgpMethod, views: OrbitViews, steps: int) -> Measured:
    """Wall and CPU seconds a million samples of whole training steps."""
    samples, wall, cpu = 0.0, time.perf_counter(), time.process_time()
    for _ in range(steps):
        samples += method.train_step(views, 0.0)["samples"]
    return (time.perf_counter() - wall) / samples * 1e6, (time.process_time() - cpu) / samples * 1e6


def training_row() -> dict[str, Any]:
    """One training, with our kernels and the references in turn: the machine is faster and slower meanwhile.

    Between steps 64 and 128 the occupancy grid is updated every 4 steps.
    """
    method, views = new_training(2**16, 19)
    a_million_samples(method, views, 72)
    numba, torch_ = [], []
    for _ in range(3):
        numba.append(a_million_samples(method, views, 12))
        with reference_kernels():
            torch_.append(a_million_samples(method, views, 4))
    return row("instant-ngp training, 1 M samples", _middle(numba), _middle(torch_))


def _middle(measures: list[Measured]) -> Measured:
    return sorted(wall for wall, _ in measures)[1], sorted(cpu for _, cpu in measures)[1]


def memory_row(steps: int) -> dict[str, Any]:
    """Resident memory after 5 % of the steps and at the end; batches are small, so that many steps fit."""
    method, views = new_training(2**12, 15)
    process = psutil.Process()
    early = 0
    for step in range(steps):
        method.train_step(views, step / steps)
        if step == steps // 20:
            early = process.memory_info().rss
    end = process.memory_info().rss
    return {
        "steps": steps,
        "MB after 5 %": early / 1e6,
        "MB at the end": end / 1e6,
        "growth %": 100.0 * (end / early - 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("out/benchmarks"))
    parser.add_argument("--points", type=int, default=2**18)
    parser.add_argument("--memory-steps", type=int, default=0)
    arguments = parser.parse_args()
    command = "python -m benchmarks.volumetric_kernels"
    rows = [*hash_rows(arguments.points), march_row(), composite_row(), training_row()]
    report.write(arguments.out, "volumetric_kernels", "Volumetric kernels", rows, command)
    if arguments.memory_steps:
        memory = [memory_row(arguments.memory_steps)]
        report.write(
            arguments.out, "volumetric_memory", "Memory of a long instant-ngp training", memory, command
        )


if __name__ == "__main__":
    main()
