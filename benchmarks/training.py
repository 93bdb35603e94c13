"""PSNR of held-out views over the CPU seconds of training, with ablations; table, JSON and plot.

python -m benchmarks.training CAPTURE [--test-cameras cam00] [--seconds 60 120 300] [--out DIR]
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import matplotlib
import torch

from neural_render_server.captures.capture import Capture, SplitOptions
from neural_render_server.captures.detect import open_capture
from neural_render_server.captures.frames import Frames
from neural_render_server.methods.base import Method
from neural_render_server.methods.gaussians import GaussiansConfig, GaussiansMethod
from neural_render_server.training.budget import Budget
from neural_render_server.training.scoring import mean_scores, score_views

from . import report
from .curves import silent, train_curve

matplotlib.use("Agg")
from matplotlib import pyplot

# Shares of a run's budget at which it is scored.
MARKS = (0.25, 0.5, 0.75, 1.0)
# Every so many held-out views are scored.
SCORE_EVERY = 1
ABLATIONS: dict[str, dict[str, Any]] = {
    "random start": {"start": "random"},
    "no velocity": {"velocity": False},
}


def train(
    capture: Capture, views: Frames, truth: Frames, seconds: float, seed: int, options: dict[str, Any]
) -> list[dict[str, Any]]:
    """Train for ``seconds`` of CPU time, initialisation included and scoring excluded; scores on the way."""
    method = GaussiansMethod(GaussiansConfig(**options), torch.device("cpu"))

    def score(trained: Method, _mark: float) -> dict[str, Any]:
        return {"Gaussians": method.model.count, **mean_scores(score_views(trained, capture, truth, silent))}

    return train_curve(method, views, score, Budget(cpu_seconds=seconds), MARKS, seed)


def compile_kernels(views: Frames) -> None:
    """A few steps, so that compiling counts in no run."""
    method = GaussiansMethod(GaussiansConfig(count=500), torch.device("cpu"))
    method.initialise(views, 0, silent)
    for _ in range(3):
        method.train_step(views, 0.5)
    camera = views.cameras[int(views.camera_indices[0])]
    method.render(camera, 0.0)


def plot(curves: dict[str, list[dict[str, Any]]], path: Path) -> None:
    figure, axes = pyplot.subplots(1, 2, figsize=(11, 4.2), sharex=True)
    for axis, key, title in zip(axes, ("psnr", "psnr_moving"), ("full frame", "moving region"), strict=True):
        for name, curve in curves.items():
            style = "o--" if name.split(",")[0] in ABLATIONS else "o-"
            points = [(row["CPU s"], row[key]) for row in curve if key in row]
            axis.plot(*zip(*points, strict=True), style, label=name, markersize=4) if points else None
        axis.set(title=f"Held-out views, {title}", xlabel="CPU seconds of training", ylabel="PSNR, dB")
        axis.grid(alpha=0.3)
    axes[0].legend()
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    pyplot.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("capture", type=Path)
    parser.add_argument("--test-cameras", nargs="+", default=["cam00"])
    parser.add_argument("--timesteps", type=int, help="only the first so many")
    parser.add_argument("--seconds", type=float, nargs="+", default=[60.0, 120.0, 300.0])
    parser.add_argument("--ablation-seconds", type=float, default=60.0, help="0 leaves the ablations out")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("out/benchmarks"))
    arguments = parser.parse_args()

    span = (0, arguments.timesteps) if arguments.timesteps else None
    capture = open_capture(
        arguments.capture, SplitOptions(test_cameras=arguments.test_cameras, timesteps=span)
    )
    runs: dict[str, tuple[float, dict[str, Any]]] = {
        f"default, {seconds:g} s": (seconds, {}) for seconds in arguments.seconds
    }
    if arguments.ablation_seconds > 0:
        for name, options in ABLATIONS.items():
            runs[f"{name}, {arguments.ablation_seconds:g} s"] = (arguments.ablation_seconds, options)
    curves = {}
    with (
        Frames(capture, capture.train_indices) as views,
        Frames(capture, capture.test_indices[::SCORE_EVERY]) as truth,
    ):
        compile_kernels(views)
        for name, (seconds, options) in runs.items():
            curves[name] = train(capture, views, truth, seconds, arguments.seed, options)
            print(name, curves[name][-1], flush=True)
    rows = [{"run": name, **row} for name, curve in curves.items() for row in curve]
    title = f"Training on {capture.name}, {len(capture.times)} timesteps"
    report.write(arguments.out, "training", title, rows, "python -m benchmarks.training CAPTURE")
    plot(curves, arguments.out / "training.png")


if __name__ == "__main__":
    main()
