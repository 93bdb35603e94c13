"""What a rolling shutter does to a film, and that training on it with its rows' times undoes it.

A ball flies fast before a wall; every camera reads each picture out from top to bottom, and sees the ball
high or low in it, early or late. The truth is what a global shutter saw, at a camera that was held out.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from ball_views import Views, ball_scene, camera_at

from neural_render_server.cameras import Camera
from neural_render_server.methods.gaussians import GaussiansConfig, GaussiansMethod
from neural_render_server.methods.volumetric.rays import Pixels, RayGatherer
from neural_render_server.rolling_shutter import RollingShutter

# The ball crosses 0.25 units between timesteps and 0.4 (6 pixels) in one readout.
TIMES = np.arange(5) / 8.0
SHUTTER = RollingShutter(down=0.2)


def read_out(camera: Camera, time: float, shutter: RollingShutter) -> np.ndarray:
    """(H, W, 3) uint8 as a sensor reads it that takes each row at its own time."""
    rows = []
    for row in range(camera.height):
        delay = shutter.delays(np.zeros(1, np.float32), np.array([row + 0.5], np.float32), 1, camera.height)
        rows.append(ball_scene(camera, time + float(delay[0]))[0][row])
    return np.stack(rows)


def film() -> Views:
    cameras = [camera_at(angle) for angle in np.linspace(-0.5, 0.5, 7)]
    # Every second one is tilted up, the others down, so that the ball is read out late, or early.
    cameras = [replace(camera, cy=camera.cy + (-1) ** index * 13) for index, camera in enumerate(cameras)]
    pairs = [(camera, step) for camera in range(len(cameras)) for step in range(len(TIMES))]
    return Views(
        cameras,
        TIMES,
        np.array([camera for camera, _ in pairs]),
        np.array([step for _, step in pairs]),
        [read_out(cameras[camera], TIMES[step], SHUTTER) for camera, step in pairs],
    )


def held_out_psnr(views: Views, steps: int = 250) -> float:
    """PSNR of the ball's surroundings, as a global shutter sees them from a camera that was not there."""
    method = GaussiansMethod(GaussiansConfig(count=1500), torch.device("cpu"))
    method.initialise(views, 0, lambda _message, _fraction: None)
    for step in range(steps):
        method.train_step(views, step / steps)
    camera, errors = camera_at(0.08), []
    for time in TIMES[1:-1]:
        truth = ball_scene(camera, time)[0] / 255.0
        moving = np.any([ball_scene(camera, near)[1] for near in (time - 0.1, time, time + 0.1)], axis=0)
        frame = method.render(camera, time)
        assert method.background is not None
        errors.append(np.mean((frame.over(method.background) - truth)[moving] ** 2))
    return float(-10 * np.log10(np.mean(errors)))


def test_gaussians_learn_what_a_global_shutter_would_have_seen() -> None:
    views = film()
    ignored = held_out_psnr(views)
    views.shutters = [SHUTTER] * len(views.cameras)
    assert held_out_psnr(views) > ignored + 1.2


def test_rays_of_a_row_have_its_time_and_pose() -> None:
    views = film()
    camera = views.cameras[0]
    turn, drift, step = np.array([0.02, -0.05, 0.03]), np.array([0.3, 0.1, -0.2]), 1e-3
    pixels = Pixels(np.zeros(3, np.int64), np.array([0, 24, 47]), np.array([5, 32, 60]))
    still = RayGatherer(views, torch.device("cpu")).gather(pixels, np.random.default_rng(0))
    views.shutters = [replace(SHUTTER, turn=tuple(turn), drift=tuple(drift))] * len(views.cameras)
    rolled = RayGatherer(views, torch.device("cpu")).gather(pixels, np.random.default_rng(0))
    delays = 0.2 * ((np.array([0, 24, 47]) + 0.5) / 48 - 0.5)
    assert rolled.times.numpy() == pytest.approx(TIMES[0] + delays, abs=1e-6)
    # A point on a ray, seen by the camera as it stands when the row is taken, falls on the ray's own pixel.
    for index, delay in enumerate(delays):
        point = rolled.rays_o[index].numpy() + 3.0 * rolled.rays_d[index].numpy()
        inside = camera.world_to_camera_opencv() @ [*point, 1.0]
        seen = inside[:3]
        for _ in range(round(abs(delay) / step)):
            seen = seen + np.sign(delay) * step * (np.cross(turn, seen) + drift)
        x = camera.fl_x * seen[0] / seen[2] + camera.cx
        y = camera.fl_y * seen[1] / seen[2] + camera.cy
        assert (x, y) == pytest.approx((pixels.columns[index] + 0.5, pixels.rows[index] + 0.5), abs=0.15)
    assert torch.allclose(still.rays_d[1], rolled.rays_d[1], atol=1e-3)  # the middle row is the frame's own
