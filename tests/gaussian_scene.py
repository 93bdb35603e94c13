"""Trained scenes of known content, without a training: balls made of opaque, shining Gaussians.

``python gaussian_scene.py FOLDER [NAME]`` writes, in the server's Python, a scene that the add-on's tests
use: ``red_and_green`` those of light and proxy, ``moving_ball`` that of motion.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from neural_render_server.cameras import Camera
from neural_render_server.files import write_json
from neural_render_server.kernels import layout
from neural_render_server.methods.gaussians.model import Gaussians
from neural_render_server.scene import Scene, SceneInfo

WIDTH, HEIGHT, FOCAL = 96, 72, 80.0
DISTANCE = 4.0
# Timesteps of one second, long before another ball of the same place is seen.
EXTENT = 0.1
LOGIT = 8.0
# Of a texture, in radians a radius.
WAVE = 8.0


@dataclass(frozen=True)
class Ball:
    """``color`` is sRGB-encoded; the ball is there around ``time`` seconds, or always where it is None.

    It is at ``center`` at second 0, and moves with ``velocity`` (units a second). ``texture`` is how much its
    colour varies from place to place.
    """

    center: tuple[float, float, float]
    radius: float
    color: tuple[float, float, float]
    time: float | None = None
    velocity: tuple[float, float, float] = (0.0, 0.0, 0.0)
    texture: float = 0.0


def ball_rows(ball: Ball, count: int = 3000) -> torch.Tensor:
    """(count, 28) Gaussians evenly within the ball's surface (a Fibonacci lattice), as wide as their gaps.

    Together they are opaque up to about one and a half of their deviations: there the surface is.
    """
    deviation = 0.6 * ball.radius * math.sqrt(4.0 * math.pi / count)
    index = np.arange(count) + 0.5
    z, angle = 1.0 - 2.0 * index / count, math.pi * (1.0 + math.sqrt(5.0)) * index
    ring = np.sqrt(1.0 - z**2)
    surface = np.stack([ring * np.cos(angle), ring * np.sin(angle), z], axis=1)
    rows = torch.zeros((count, layout.WIDTH))
    rows[:, layout.POSITION] = torch.from_numpy(
        (ball.radius - 1.5 * deviation) * surface + np.array(ball.center)
    ).float()
    rows[:, layout.VELOCITY] = torch.tensor(ball.velocity)
    rows[:, layout.POSITION] += (ball.time or 0.0) * rows[:, layout.VELOCITY]
    rows[:, layout.TIME] = ball.time or 0.0
    rows[:, layout.EXTENT] = 7.0 if ball.time is None else math.log(EXTENT)
    rows[:, layout.OPACITY] = LOGIT
    rows[:, layout.SCALE] = math.log(deviation)
    rows[:, layout.ROTATION.start] = 1.0
    waves = np.sin(WAVE * surface[:, [1, 2, 0]]) * np.sin(WAVE * surface)
    rows[:, layout.COLOR] = torch.tensor(ball.color) + ball.texture * torch.from_numpy(waves).float()
    return rows


def rig(count: int = 8) -> list[Camera]:
    """Cameras on a circle around the origin, looking at it from a little above, z up."""
    cameras = []
    for index in range(count):
        angle = 2.0 * math.pi * index / count
        back = np.array([math.sin(angle), -math.cos(angle), 0.4 if index % 2 else -0.4])
        back /= np.linalg.norm(back)
        right = np.cross([0.0, 0.0, 1.0], back)
        right /= np.linalg.norm(right)
        pose = np.eye(4)
        pose[:3] = np.stack([right, np.cross(back, right), back, DISTANCE * back], axis=1)
        cameras.append(Camera(WIDTH, HEIGHT, FOCAL, FOCAL, WIDTH / 2, HEIGHT / 2, pose, f"cam{index:02d}"))
    return cameras


def write(folder: Path, balls: Sequence[Ball], times: Sequence[float] = (0.0, 2.0)) -> Path:
    rows = torch.cat([ball_rows(ball) for ball in balls])
    model = Gaussians(rows, len(rows), torch.zeros(3), False, 0.0, 1.0, DISTANCE, FOCAL)
    scene = Scene(folder)
    scene.write_model(model.tensors(), 1)
    low, high = model.bounds()
    info = SceneInfo(
        method="gaussians",
        preset="default",
        config={},
        training={},
        capture_format="none",
        is_dynamic=True,
        times=list(times),
        fps=1.0,
        width=WIDTH,
        height=HEIGHT,
        has_alpha=True,
        bounds={"min": low.tolist(), "max": high.tolist()},
        background=None,
        finished=True,
    )
    frames = [{**camera.to_json(), "time": 0.0} for camera in rig()]
    write_json(scene.cameras_file, {"w": WIDTH, "h": HEIGHT, "fps": 1.0, "frames": frames})
    scene.write_info(info)
    return folder


def red_and_green(folder: Path) -> Path:
    """A ball at x = +1.5: bright red at second 0, dark green at second 2."""
    place, radius = (1.5, 0.0, 0.0), 0.8
    return write(
        folder, [Ball(place, radius, (1.0, 0.1, 0.1), 0.0), Ball(place, radius, (0.05, 0.4, 0.05), 2.0)]
    )


def moving_ball(folder: Path) -> Path:
    """A ball of radius 0.8, filmed 24 times a second, that is at the origin at second 0."""
    ball = Ball((0.0, 0.0, 0.0), 0.8, (0.5, 0.5, 0.5), velocity=(1.2, -0.9, 1.5), texture=0.4)
    return write(folder, [ball], [step / 24.0 for step in range(49)])


if __name__ == "__main__":
    {"red_and_green": red_and_green, "moving_ball": moving_ball}[(*sys.argv[2:], "red_and_green")[0]](
        Path(sys.argv[1])
    )
