"""The main job on real captures: train, score, look. Writes docs/results.md's table and pictures.

python -m benchmarks.results CAPTURES [--only stage,fox] [--cpu-seconds 300] [--out out/results]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from neural_render_server.cameras import Camera
from neural_render_server.captures.capture import Capture
from neural_render_server.captures.detect import open_capture
from neural_render_server.captures.frames import Frames
from neural_render_server.scene import Scene, load_method
from neural_render_server.training.options import TrainOptions
from neural_render_server.training.scoring import rendered_image, true_image, views_to_score

from . import report


@dataclass(frozen=True)
class Case:
    """One capture: how it is trained, and where between which two cameras the free view stands."""

    name: str
    arguments: tuple[str, ...]
    between: tuple[int, int]
    fraction: float
    note: str


CASES = (
    Case("stage", ("--test-cameras", "cam00"), (3, 4), 0.5, "18 cameras, 48 timesteps; cam00 held out"),
    Case(
        "walk4cam",
        ("--downscale", "4", "--test-timesteps", "12,37,62,87"),
        (0, 1),
        0.15,
        "4 cameras wide apart, 100 timesteps; 4 timesteps held out",
    ),
    Case(
        "board4cam",
        ("--downscale", "4", "--test-timesteps", "13,41,69,97"),
        (0, 2),
        0.15,
        "4 cameras, 111 timesteps, strong distortion; 4 timesteps held out",
    ),
    Case("fox", ("--downscale", "4", "--every-nth-test", "8"), (9, 11), 0.5, "50 photos; every 8th held out"),
    Case("chair", ("--downscale", "2"), (3, 4), 0.3, "100 RGBA views at 400x400; 25 test views"),
    Case(
        "lund_door",
        ("--downscale", "4", "--every-nth-test", "6"),
        (4, 5),
        0.5,
        "12 photos; every 6th held out",
    ),
)


def free_camera(first: Camera, second: Camera, fraction: float) -> Camera:
    """A camera part of the way from one to another: poses blended, axes made orthonormal again."""
    pose = (1.0 - fraction) * first.camera_to_world + fraction * second.camera_to_world
    left, _, right = np.linalg.svd(pose[:3, :3])
    pose[:3, :3] = left @ right
    return Camera(
        first.width, first.height, first.fl_x, first.fl_y, first.width / 2, first.height / 2, pose, "free"
    )


def picture_rows(capture: Capture, scene: Scene, options: TrainOptions, case: Case) -> np.ndarray:
    """One row: the truth and the field of two scored views, and the field from a camera nobody held."""
    method = load_method(scene)
    indices, _ = views_to_score(capture, "test")
    chosen = indices[[len(indices) // 3, 2 * len(indices) // 3]]
    with Frames(capture, chosen, downscale=options.downscale) as frames:
        pictures = []
        for index in range(len(frames)):
            pictures += [true_image(frames, index), rendered_image(method, frames, index)]
        first, second = case.between
        free = free_camera(frames.cameras[first], frames.cameras[second], case.fraction)
        time = float(frames.times[len(frames.times) // 2])
        behind = (1.0, 1.0, 1.0) if capture.has_alpha else (0.0, 0.0, 0.0)
        background = behind if method.background is None else method.background
        pictures.append(np.clip(method.render(free, time).over(background), 0.0, 1.0))
    height = 240
    sized = [
        cv2.resize(
            picture,
            (round(picture.shape[1] * height / picture.shape[0]), height),
            interpolation=cv2.INTER_AREA,
        )
        for picture in pictures
    ]
    return np.asarray((np.concatenate(sized, axis=1)[..., ::-1] * 255.0 + 0.5).astype(np.uint8))


def run(case: Case, captures: Path, out: Path, cpu_seconds: float) -> dict[str, Any]:
    """Train a case through the command line, score it, make its picture."""
    scene_path = out / "scenes" / case.name
    command = [sys.executable, "-m", "neural_render_server.cli", "train", str(captures / case.name)]
    command += [
        "--out",
        str(scene_path),
        "--cpu-seconds",
        str(cpu_seconds),
        "--overwrite",
        *case.arguments,
        "--json",
    ]
    trained = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    result = json.loads(trained.stdout.splitlines()[-1])
    if trained.returncode:
        raise SystemExit(f"{case.name}: {result['error']['message']}")
    scene = Scene(scene_path)
    options = TrainOptions.from_json(scene.read_info().training)
    capture = open_capture(captures / case.name, options.split)
    row = picture_rows(capture, scene, options, case)
    cv2.imwrite(str(out / f"{case.name}.jpg"), row, [cv2.IMWRITE_JPEG_QUALITY, 90])
    info, metrics = scene.read_info(), result["metrics"]
    return {
        "capture": case.name,
        "what": case.note,
        "size": f"{info.width}x{info.height}",
        "PSNR": metrics["psnr"],
        "SSIM": metrics["ssim"],
        "PSNR moving": metrics.get("psnr_moving"),
        "CPU s": result["cpu_seconds"],
        "wall s": result["seconds"],
        "steps": result["step"],
        "command": "neural-render train " + case.name + " " + " ".join(case.arguments),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("captures", type=Path)
    parser.add_argument("--only", default=",".join(case.name for case in CASES))
    parser.add_argument("--cpu-seconds", type=float, default=300.0)
    parser.add_argument("--out", type=Path, default=Path("out/results"))
    arguments = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for case in CASES:
        if case.name in arguments.only.split(","):
            rows.append(run(case, arguments.captures, arguments.out, arguments.cpu_seconds))
            report.write(
                arguments.out,
                "results",
                "The main job on real captures",
                rows,
                "python -m benchmarks.results CAPTURES",
            )


if __name__ == "__main__":
    main()
