"""Milliseconds a rendered frame of a trained scene, by size and by crop.

python -m benchmarks.rendering SCENE [--out DIR]
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np

from neural_render_server.camera_path import CameraPath
from neural_render_server.cameras import Camera
from neural_render_server.crop import Crop, CropShape
from neural_render_server.rendering.frames import FrameRenderer
from neural_render_server.rendering.images import encode_exr
from neural_render_server.rendering.passes import PassOptions
from neural_render_server.scene import Scene

from . import report

SIZES = ((320, 240), (960, 540), (1920, 1080))
FRAMES = 12
CROPPED_SIZE = (960, 540)


def at_size(camera: Camera, width: int, height: int) -> Camera:
    """The camera with another picture size and the same vertical field of view."""
    scaled = camera.scaled(round(camera.width * height / camera.height), height)
    wider = scaled.width
    return Camera(
        width,
        height,
        scaled.fl_x,
        scaled.fl_y,
        scaled.cx + (width - wider) / 2,
        scaled.cy,
        scaled.camera_to_world,
    )


def measure(scene_path: Path) -> list[dict[str, Any]]:
    """One row a size: medians over frames of different times, kernels compiled beforehand."""
    renderer = FrameRenderer(scene_path)
    camera = CameraPath.load(Scene(scene_path).cameras_file).frames[0].camera
    times, options = renderer.info.times, PassOptions()
    rows = []
    for width, height in SIZES:
        sized = at_size(camera, width, height)
        renderer.render(sized, times[0], options)
        wall, cpu, exr = [], [], []
        for index in range(FRAMES):
            wall_start, cpu_start = time.perf_counter(), time.process_time()
            passes = renderer.render(sized, times[index * len(times) // FRAMES], options)
            wall.append(1e3 * (time.perf_counter() - wall_start))
            cpu.append(1e3 * (time.process_time() - cpu_start))
            exr_start = time.process_time()
            encode_exr(passes)
            exr.append(1e3 * (time.process_time() - exr_start))
        median = statistics.median
        row = {"size": f"{width}x{height}", "wall ms": median(wall), "CPU ms": median(cpu)}
        rows.append({**row, "CPU ms to encode the EXR": median(exr)})
    return rows


def crops(renderer: FrameRenderer) -> dict[str, Crop | None]:
    """Boxes around what the scene holds, by the part of each side that they keep, and a ball taken out."""
    low, high = renderer.method.bounds
    middle, half = (low + high) / 2, (high - low) / 2
    boxes = {
        f"box, {part:.0%} of each side": Crop.box(
            (middle - part * half).tolist(), (middle + part * half).tolist()
        )
        for part in (3.0, 0.5, 0.2)
    }
    ball = np.eye(4)
    ball[:3, :3] *= 0.25 * half.max()
    ball[:3, 3] = middle
    return {"none": None, **boxes, "a ball removed": Crop((CropShape("sphere", ball, "remove"),))}


def measure_crops(scene_path: Path) -> list[dict[str, Any]]:
    """One row a crop: of frames one after another, so that other work on the machine meets all alike."""
    renderer = FrameRenderer(scene_path)
    camera = at_size(CameraPath.load(Scene(scene_path).cameras_file).frames[0].camera, *CROPPED_SIZE)
    found = crops(renderer)
    milliseconds: dict[str, list[float]] = {name: [] for name in found}
    for index in range(FRAMES + 1):
        for name, crop in found.items():
            start = time.process_time()
            renderer.render(camera, renderer.info.times[0], PassOptions(crop=crop))
            if index:  # kernels are compiled in the first
                milliseconds[name].append(1e3 * (time.process_time() - start))
    whole = statistics.median(milliseconds["none"])
    return [
        {"crop": name, "CPU ms": statistics.median(own), "times": statistics.median(own) / whole}
        for name, own in milliseconds.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scene", type=Path)
    parser.add_argument("--out", type=Path, default=Path("out/benchmarks"))
    arguments = parser.parse_args()
    count = Scene(arguments.scene).read_info().config.get("gaussians")
    title = f"A frame with colour and depth ({count or 'automatic count of'} Gaussians)"
    report.write(
        arguments.out, "rendering", title, measure(arguments.scene), "python -m benchmarks.rendering SCENE"
    )
    title = f"A frame of {CROPPED_SIZE[0]}x{CROPPED_SIZE[1]}, cropped"
    rows = measure_crops(arguments.scene)
    report.write(arguments.out, "crops", title, rows, "python -m benchmarks.rendering SCENE")


if __name__ == "__main__":
    main()
