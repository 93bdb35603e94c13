"""Milliseconds a rendered frame, by size, of a trained scene.

python -m benchmarks.rendering SCENE [--out DIR]
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path
from typing import Any

from neural_render_server.camera_path import CameraPath
from neural_render_server.cameras import Camera
from neural_render_server.rendering.frames import FrameRenderer
from neural_render_server.rendering.images import encode_exr
from neural_render_server.rendering.passes import PassOptions
from neural_render_server.scene import Scene

from . import report

SIZES = ((320, 240), (960, 540), (1920, 1080))
FRAMES = 12


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


if __name__ == "__main__":
    main()
