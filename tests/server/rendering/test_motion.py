"""The pass ``motion``: the velocities of Gaussians, worked out by hand, through every kind of camera."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import gaussian_scene
import numpy as np
import pytest
import torch
from fog import fog

from neural_render_server.cameras import Camera
from neural_render_server.crop import Crop
from neural_render_server.errors import OptionError
from neural_render_server.kernels import layout
from neural_render_server.methods.gaussians.config import GaussiansConfig
from neural_render_server.methods.gaussians.method import GaussiansMethod
from neural_render_server.methods.gaussians.model import Gaussians
from neural_render_server.rendering.frames import FrameRenderer
from neural_render_server.rendering.images import read_exr, write_exr
from neural_render_server.rendering.passes import PassOptions, render_passes

MOTION = PassOptions(("combined", "depth", "motion"))
VELOCITY = (1.2, -0.9, 1.5)


def camera(**changes: object) -> Camera:
    pose = np.eye(4)
    pose[:3, 3] = 0.0, 0.0, 4.0
    return replace(Camera(96, 72, 80.0, 80.0, 48.0, 36.0, pose), **changes)


def method_of(rows: torch.Tensor, time_unit: float) -> GaussiansMethod:
    method = GaussiansMethod(GaussiansConfig(), torch.device("cpu"))
    model = Gaussians(rows, len(rows), torch.zeros(3), False, 0.0, time_unit, 4.0, 80.0)
    method.load(model.tensors(), None)
    return method


def disc(z: float, opacity: float, velocity: tuple[float, float, float]) -> torch.Tensor:
    """A wide Gaussian that faces the camera; ``velocity`` in capture units a timestep."""
    rows = torch.zeros((1, layout.WIDTH))
    rows[0, layout.POSITION] = torch.tensor([0.0, 0.0, z])
    rows[0, layout.VELOCITY] = torch.tensor(velocity)
    rows[0, layout.EXTENT], rows[0, layout.OPACITY] = 7.0, math.log(opacity / (1.0 - opacity))
    rows[0, layout.SCALE] = torch.log(torch.tensor([2.0, 2.0, 1e-3]))
    rows[0, layout.ROTATION.start] = 1.0
    return rows


CAMERAS = {
    "perspective": camera(),
    "orthographic": camera(camera_model="ORTHOGRAPHIC", fl_x=30.0, fl_y=30.0),
    "distorted": camera(camera_model="OPENCV", distortion=(0.05, 0.0, 0.0, 0.0)),
    "around": camera(camera_model="EQUIRECTANGULAR", fl_x=96 / (2 * np.pi), fl_y=96 / (2 * np.pi)),
    "a band": camera(height=20, window=(0, 30, 96, 72)),
}


@pytest.mark.parametrize("name", CAMERAS)
def test_a_moving_ball_has_its_velocity_wherever_it_is_seen(
    name: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    renderer = FrameRenderer(gaussian_scene.moving_ball(tmp_path_factory.mktemp("ball")))
    passes = renderer.render(CAMERAS[name], 0.1, MOTION)
    seen = passes["depth"][..., 0] < 1e9
    assert 0 < seen.sum() < seen.size
    error = np.abs(passes["motion"] - np.float32(VELOCITY)).max(axis=-1)
    # resampling between a pixel of the ball and an empty one
    assert np.quantile(error[seen], 0.95 if name in ("distorted", "around") else 1.0) < 1e-3
    assert (passes["motion"][~seen] == 0.0).all()


def test_what_is_seen_through_counts_by_its_weight_and_seconds_count() -> None:
    """Two sheets that move apart, timesteps of a half second: front 0.4 of the light, behind 0.6 x 0.5."""
    rows = torch.cat([disc(1.0, 0.4, (1.0, 0.0, 0.0)), disc(-1.0, 0.5, (-1.0, 0.0, 0.5))])
    method = method_of(rows, time_unit=0.5)
    before = method.render(camera(), 0.0).color
    passes = render_passes(method, camera(), 0.0, MOTION, "linear")
    weights = np.array([0.4, 0.6 * 0.5])
    expected = weights @ [[2.0, 0.0, 0.0], [-2.0, 0.0, 1.0]] / weights.sum()
    assert passes["motion"][36, 48] == pytest.approx(expected, abs=2e-2)
    only_behind = replace(MOTION, crop=Crop.box([-9, -9, -9], [9, 9, 0]))
    cut = render_passes(method, camera(), 0.0, only_behind, "linear")
    assert cut["motion"][36, 48] == pytest.approx([-2.0, 0.0, 1.0], abs=1e-4)
    assert np.array_equal(method.render(camera(), 0.0).color, before), "the colours are as they were"


def test_a_file_keeps_it(tmp_path: Path) -> None:
    passes = render_passes(method_of(disc(0.0, 0.5, VELOCITY), 1.0), camera(), 0.0, MOTION, "linear")
    path = tmp_path / "frame.exr"
    write_exr(path, passes)
    assert np.array_equal(read_exr(path)["motion"], passes["motion"])


def test_methods_that_know_no_velocity_say_zero() -> None:
    method = fog()
    passes = render_passes(method, camera(), 0.0, MOTION, "linear")
    assert (passes["motion"] == 0.0).all()
    with pytest.raises(OptionError, match="leave out the pass motion"):
        method.render_motion(camera(), 0.0)
