"""The published methods against each other, on real budgets: docs/results.md's tables, plots and pictures.

python -m benchmarks.published CAPTURES [chair|antialiasing|fox|dynerf|moving] [--only RUN]
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import matplotlib
import numpy as np

from neural_render_server.captures.capture import Capture, SplitOptions
from neural_render_server.captures.detect import open_capture
from neural_render_server.captures.frames import Frames
from neural_render_server.methods.base import Method
from neural_render_server.methods.volumetric.importance_sampler import ImportanceSampler
from neural_render_server.training.budget import Budget
from neural_render_server.training.scoring import (
    mean_scores,
    rendered_image,
    score_views,
    true_image,
)

from . import report
from .curves import make_method, silent, train_curve

matplotlib.use("Agg")
from matplotlib import pyplot

# Shares of a budget at which a run is scored.
MARKS = (0.1, 0.3, 0.6, 1.0)
# Held-out views scored on the way; all of them are at the end.
SCORED_ON_THE_WAY = 2
# Every so manieth test view is scored at 1/scale of the capture's size for anti-aliasing: large ones take
# minutes.
SKIPPED = {1: 12, 2: 8, 4: 2, 8: 1}
COMMAND = "python -m benchmarks.published CAPTURES"


_only: set[str] = set()


@dataclass(frozen=True)
class Run:
    """A method as it is trained."""

    name: str
    method: str
    budget: Budget
    preset: str = "small"
    options: dict[str, Any] = field(default_factory=dict)


# instant-ngp's table is the larger for 400 x 400 pixels; the rest is the preset.
LARGER_TABLE = {"log2_table_size": 17}


def train(
    run: Run, capture: Capture, downscale: float, marks: Sequence[float] = MARKS
) -> tuple[Method, list[dict[str, Any]]]:
    """The trained method and its curve."""
    print(f"==> {run.name}", flush=True)
    method = make_method(run.method, run.preset, run.options)
    few = capture.test_indices[:: max(1, len(capture.test_indices) // SCORED_ON_THE_WAY)]
    with (
        Frames(capture, capture.train_indices, downscale) as views,
        Frames(capture, few, downscale) as seldom,
        Frames(capture, capture.test_indices, downscale) as all_of_them,
    ):

        def score(trained: Method, mark: float) -> dict[str, Any]:
            scores = {"PSNR, few views": mean_scores(score_views(trained, capture, seldom, silent))["psnr"]}
            if mark >= 1.0:
                scores |= mean_scores(score_views(trained, capture, all_of_them, silent))
            return scores

        curve = train_curve(method, views, score, run.budget, marks)
    return method, [{"run": run.name, **row} for row in curve]


def wanted(run: Run) -> bool:
    """Whether this run was asked for."""
    return not _only or run.name in _only


def keep(out: Path, name: str, title: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Put a run's rows in the place of its earlier ones in the table ``name``; all the table's rows."""
    file = out / f"{name}.json"
    earlier = json.loads(file.read_text())["rows"] if file.is_file() else []
    rows = [row for row in earlier if row["run"] != rows[0]["run"]] + rows
    report.write(out, name, title, rows, f"{COMMAND} {name}")
    return rows


def picture(method: Method, capture: Capture, downscale: float, path: Path, views: int = 2) -> None:
    """Truth beside render of some held-out views."""
    chosen = capture.test_indices[:: max(1, len(capture.test_indices) // views)][:views]
    with Frames(capture, chosen, downscale) as frames:
        tiles = [
            tile
            for k in range(len(frames))
            for tile in (true_image(frames, k), rendered_image(method, frames, k))
        ]
    row = np.concatenate(tiles, axis=1)[..., ::-1]
    cv2.imwrite(str(path), (row * 255.0 + 0.5).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, 90])


def plot(rows: Sequence[dict[str, Any]], title: str, path: Path) -> None:
    """PSNR over wall seconds: of a few views along each run, and of all of them at its end."""
    figure, axis = pyplot.subplots(figsize=(7, 4.4))
    for name in dict.fromkeys(row["run"] for row in rows):
        own = [row for row in rows if row["run"] == name]
        few = [(row["wall s"], row["PSNR, few views"]) for row in own if row.get("PSNR, few views")]
        (line,) = axis.plot(*zip(*few, strict=True), "o-", markersize=4, label=f"{name}, few views")
        end = [(row["wall s"], row["psnr"]) for row in own if row.get("psnr")]
        axis.plot(
            *zip(*end, strict=True), "*", markersize=13, color=line.get_color(), label=f"{name}, all views"
        )
    axis.set(title=title, xlabel="wall seconds on two cores", ylabel="PSNR of held-out views, dB")
    axis.grid(alpha=0.3)
    axis.legend(ncols=3, fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.14))
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def chair(captures: Path, out: Path) -> None:
    """Three methods at 400x400, the same six minutes each."""
    capture, budget = open_capture(captures / "chair"), Budget(seconds=360.0)
    for run in (
        Run("instant-ngp", "instant-ngp", budget, options=LARGER_TABLE),
        Run("zip-nerf", "zip-nerf", budget),
        Run("nerf", "nerf", budget),
    ):
        if wanted(run):
            method, curve = train(run, capture, 2.0)
            picture(method, capture, 2.0, out / f"chair_{run.method}.jpg")
            rows = keep(out, "chair", "chair, 400x400, 25 test views", curve)
            plot(rows, "chair, 400x400", out / "chair.png")


def antialiasing(captures: Path, out: Path, steps: int = 1500) -> None:
    """Trained at full resolution, tested there and at a half, a quarter and an eighth of it."""
    capture = open_capture(captures / "chair")
    for run in (
        Run("instant-ngp", "instant-ngp", Budget(steps=steps), options=LARGER_TABLE),
        Run("zip-nerf", "zip-nerf", Budget(steps=steps)),
    ):
        if not wanted(run):
            continue
        print(f"==> {run.name}", flush=True)
        method = make_method(run.method, run.preset, run.options)
        with Frames(capture, capture.train_indices) as views:
            row = {"run": run.name, **train_curve(method, views, lambda *_: {}, run.budget, (1.0,))[0]}
        for scale in SKIPPED:
            few = capture.test_indices[:: SKIPPED[scale]]
            with Frames(capture, few, float(scale)) as frames:
                row[f"1/{scale}"] = mean_scores(score_views(method, capture, frames, silent))["psnr"]
            print(row, flush=True)
        picture(method, capture, 8.0, out / f"antialiasing_{run.method}.jpg", views=4)
        keep(out, "antialiasing", "chair, trained at 800x800, tested at shares of it", [row])


def fox(captures: Path, out: Path) -> None:
    """A real capture, unbounded, every 8th photo held out."""
    capture = open_capture(captures / "fox", SplitOptions(every_nth_test=8))
    run = Run("instant-ngp", "instant-ngp", Budget(seconds=360.0), options=LARGER_TABLE)
    method, curve = train(run, capture, 4.0)
    picture(method, capture, 4.0, out / "fox_instant-ngp.jpg")
    keep(out, "fox", "fox, 270x480, every 8th held out", curve)


def dynerf(captures: Path, out: Path, steps: int = 1500) -> None:
    """DyNeRF's ablation at equal steps, and its weights as pictures."""
    capture = open_capture(captures / "stage", SplitOptions(test_cameras=["cam00"]))
    show_weights(capture, out / "dynerf_weights.png")
    runs = [Run("nerf-t", "nerf-t", Budget(steps=steps))]
    runs += [
        Run(f"dynerf, {kind}", "dynerf", Budget(steps=steps), options={"sampling": kind})
        for kind in ("none", "is*")
    ]
    for run in filter(wanted, runs):
        method, curve = train(run, capture, 2.0, marks=(0.5, 1.0))
        picture(method, capture, 2.0, out / f"{run.name.replace(', ', '_').replace('*', 'star')}.jpg")
        keep(out, "dynerf", f"stage, 160x120, cam00 held out, {steps} steps", curve)


def show_weights(capture: Capture, path: Path) -> None:
    """A training view, its weights by ISG and by IST, all between their least and greatest."""
    with Frames(capture, capture.train_indices) as views:
        view = len(views) // 2
        tiles = [views.rgb(view)[..., ::-1]]
        for kind in ("isg", "ist"):
            weights = ImportanceSampler(views, kind, silent).weights(view).astype(np.float32)
            grey = cv2.normalize(weights, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)  # type: ignore[call-overload]
            grey = cv2.resize(grey, tiles[0].shape[1::-1], interpolation=cv2.INTER_NEAREST)
            tiles.append(cv2.applyColorMap(grey, cv2.COLORMAP_VIRIDIS))
    cv2.imwrite(str(path), np.concatenate(tiles, axis=1))


def moving(captures: Path, out: Path) -> None:
    """hash4d beside the default method: five minutes of two cores each."""
    capture = open_capture(captures / "stage", SplitOptions(test_cameras=["cam00"]))
    for run in (
        Run("hash4d", "hash4d", Budget(seconds=300.0)),
        Run("gaussians", "gaussians", Budget(seconds=300.0), "default"),
    ):
        if wanted(run):
            method, curve = train(run, capture, 1.0)
            picture(method, capture, 1.0, out / f"moving_{run.name}.jpg")
            keep(out, "moving", "stage, cam00 held out, 5 minutes", curve)


CASES: dict[str, Callable[[Path, Path], None]] = {
    "chair": chair,
    "antialiasing": antialiasing,
    "fox": fox,
    "dynerf": dynerf,
    "moving": moving,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("captures", type=Path)
    parser.add_argument("cases", nargs="*", choices=[*CASES, []], default=list(CASES))
    parser.add_argument("--only", nargs="+", default=[], help="only these runs of the cases, by name")
    parser.add_argument("--out", type=Path, default=Path("out/published"))
    arguments = parser.parse_args()
    _only.update(arguments.only)
    arguments.out.mkdir(parents=True, exist_ok=True)
    for case in arguments.cases:
        CASES[case](arguments.captures, arguments.out)


if __name__ == "__main__":
    main()
