"""The pass ``motion`` of a trained scene beside optical flow between its own pictures of two timesteps.

python -m benchmarks.motion SCENE [--out DIR]

Of pixels that move by more than two, on edges that flow can see; flow errs, too, most at outlines.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from neural_render_server.camera_path import CameraPath
from neural_render_server.cameras import Camera
from neural_render_server.methods.gaussians.motion import image_flow
from neural_render_server.rendering.colour import linear_to_srgb
from neural_render_server.rendering.frames import FrameRenderer
from neural_render_server.rendering.passes import Passes, PassOptions
from neural_render_server.scene import Scene

from . import report

FRAMES = 5
# Pixels, and the gradient of encoded grey, from which on flow is believed; below the last a pixel rests.
MOVING, EDGE, RESTING = 2.0, 0.1, 0.2

FloatArray = npt.NDArray[np.float64]


def encoded(passes: Passes) -> npt.NDArray[np.float32]:
    return np.clip(linear_to_srgb(passes["combined"][..., :3]), 0.0, 1.0).astype(np.float32)


def screen_motion(camera: Camera, passes: Passes, seconds: float) -> FloatArray:
    """(H, W, 2) pixels that each pixel's point moves right and down within ``seconds``."""
    rays_o, rays_d = camera.rays()
    points = (rays_o + rays_d * passes["depth"]).reshape(-1, 3)
    moved = points + seconds * passes["motion"].reshape(-1, 3)
    return (camera.project(moved)[0] - camera.project(points)[0]).reshape(camera.height, camera.width, 2)


def row(renderer: FrameRenderer, camera: Camera, time: float, seconds: float) -> dict[str, Any]:
    passes = renderer.render(camera, time, PassOptions(("combined", "depth", "motion")))
    first, second = encoded(passes), encoded(renderer.render(camera, time + seconds, PassOptions()))
    flow = image_flow(first, second)
    grey = cv2.cvtColor(first, cv2.COLOR_RGB2GRAY)
    edges = np.hypot(cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1)) > EDGE
    length = np.linalg.norm(flow, axis=-1)
    motion = screen_motion(camera, passes, seconds)
    moving, resting = (length > MOVING) & edges, length < RESTING

    def median(of: FloatArray, where: npt.NDArray[np.bool_]) -> float:
        return float(np.median(of[where])) if where.any() else float("nan")

    return {
        "seconds": time,
        "moving pixels": int(moving.sum()),
        "flow there, median": median(length, moving),
        "motion there": median(np.linalg.norm(motion, axis=-1), moving),
        "degrees between": median(turn(motion, flow), moving),
        "motion where flow rests": median(np.linalg.norm(motion, axis=-1), resting),
    }


def turn(first: FloatArray, second: npt.NDArray[np.float32]) -> FloatArray:
    """(H, W) degrees between two directions."""
    cross = first[..., 0] * second[..., 1] - first[..., 1] * second[..., 0]
    return np.abs(np.degrees(np.arctan2(cross, (first * second).sum(axis=-1))))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scene", type=Path)
    parser.add_argument("--out", type=Path, default=Path("out/benchmarks"))
    arguments = parser.parse_args()
    renderer = FrameRenderer(arguments.scene)
    camera = CameraPath.load(Scene(arguments.scene).cameras_file).frames[0].camera
    camera = camera.scaled(2 * camera.width, 2 * camera.height)
    times = renderer.info.times
    chosen = [times[index * (len(times) - 1) // FRAMES] for index in range(FRAMES)]
    rows = [row(renderer, camera, time, times[1] - times[0]) for time in chosen]
    title = f"Motion in pixels a timestep, at {camera.width}x{camera.height}"
    report.write(arguments.out, "motion", title, rows, "python -m benchmarks.motion SCENE")


if __name__ == "__main__":
    main()
