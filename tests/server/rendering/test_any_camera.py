"""Orthographic and equirectangular cameras of Gaussians, against perspective ones that must agree."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from neural_render_server.cameras import Camera
from neural_render_server.errors import OptionError
from neural_render_server.kernels import layout
from neural_render_server.kernels.cpu import CpuBackend
from neural_render_server.kernels.reference import ReferenceBackend
from neural_render_server.methods.gaussians import GaussiansConfig, GaussiansMethod
from neural_render_server.methods.gaussians.model import Gaussians
from neural_render_server.rendering.any_camera import render_camera


def balls(positions: np.ndarray, size: float) -> GaussiansMethod:
    """Opaque round Gaussians of random colours."""
    rows = torch.zeros((len(positions), layout.WIDTH))
    rows[:, layout.POSITION] = torch.from_numpy(positions.astype(np.float32))
    rows[:, layout.EXTENT], rows[:, layout.OPACITY] = 9.0, 4.0
    rows[:, layout.SCALE], rows[:, 12] = math.log(size), 1.0
    rows[:, layout.COLOR] = torch.rand(len(positions), 3, generator=torch.Generator().manual_seed(2))
    rows[:, layout.HARMONICS] = 0.1 * torch.randn(
        len(positions), 9, generator=torch.Generator().manual_seed(3)
    )
    method = GaussiansMethod(GaussiansConfig(), torch.device("cpu"))
    method._model = Gaussians(rows, len(positions), torch.zeros(3), False, 0.0, 1.0, 4.0, 1e6)
    return method


def from_behind(distance: float) -> np.ndarray:
    pose = np.eye(4)
    pose[2, 3] = distance
    return pose


def test_an_orthographic_picture_is_that_of_a_very_long_lens() -> None:
    method = balls(np.random.default_rng(0).uniform(-1, 1, (40, 3)), 0.07)
    flat = Camera(64, 48, 20.0, 22.0, 31.0, 25.0, from_behind(5.0), camera_model="ORTHOGRAPHIC")
    away = 3e3
    long = Camera(64, 48, 20.0 * away, 22.0 * away, 31.0, 25.0, from_behind(away))
    ortho, perspective = (render_camera(method, camera, 0.0, None) for camera in (flat, long))
    assert ortho.opacity.max() > 0.9
    assert np.abs(ortho.opacity - perspective.opacity).max() < 2e-2
    assert np.abs(ortho.color - perspective.color).max() < 2e-2
    solid = ortho.opacity > 0.5
    assert np.abs(ortho.depth - (perspective.depth - away + 5.0))[solid].max() < 2e-2


def test_both_backends_draw_the_same_orthographic_picture() -> None:
    rows = balls(np.random.default_rng(1).uniform(-1, 1, (30, 3)), 0.1).model.alive
    camera = Camera(40, 30, 13.0, 13.0, 20.0, 15.0, from_behind(4.0), camera_model="ORTHOGRAPHIC")
    view = layout.make_view(camera, 0.0, 0.01)
    ours, truth = (backend.render(rows, view) for backend in (CpuBackend(), ReferenceBackend()))
    assert float(truth.transmittance.min()) < 0.3
    assert torch.allclose(ours.color, truth.color, atol=3e-3)


def test_a_panorama_shows_the_balls_where_they_are() -> None:
    """One ball in each of many directions is seen at its longitude, latitude and distance."""
    angles = [(0.0, 0.0), (0.9, 0.3), (-1.5, -0.6), (2.6, 0.5), (-2.9, -0.2), (0.3, 1.3), (1.0, -1.25)]
    pose = np.eye(4)
    pose[:3, :3] = [[0, 0, 1], [1, 0, 0], [0, 1, 0]]
    pose[:3, 3] = 0.4, -0.2, 0.1
    local = np.array(
        [[math.cos(b) * math.sin(a), math.sin(b), -math.cos(b) * math.cos(a)] for a, b in angles]
    )
    method = balls(3.0 * local @ pose[:3, :3].T + pose[:3, 3], 0.08)
    pixels = 200 / (2 * math.pi)
    camera = Camera(200, 100, pixels, pixels, 100.0, 50.0, pose, camera_model="EQUIRECTANGULAR")
    frame = render_camera(method, camera, 0.0, None)
    for longitude, latitude in angles:
        column, row = pixels * longitude + 100.0, 50.0 - pixels * latitude
        rows, columns = np.indices((100, 200)) + 0.5
        # Within 0.25 radians around the ball, weighted by opacity; meridians meet towards the poles.
        near = (np.abs(rows - row) < 8) & (np.abs(columns - column) < 8 / math.cos(latitude))
        weight = frame.opacity * near
        assert frame.opacity[int(row), int(column)] > 0.7
        assert (weight * columns).sum() / weight.sum() == pytest.approx(column, abs=0.25)
        # A splat has one planar depth; half a pixel aside, its distance along the ray is up to 2% another.
        assert frame.depth[int(row), int(column)] == pytest.approx(3.0, abs=0.06)
    window = replace(
        camera, width=50, height=30, cx=camera.cx - 90, cy=camera.cy - 20, window=(90, 20, 200, 100)
    )
    part = render_camera(method, window, 0.0, None)
    assert np.abs(part.opacity - frame.opacity[20:50, 90:140]).max() < 1e-5


def test_a_method_without_orthographic_cameras_says_so() -> None:
    method = balls(np.zeros((1, 3)), 0.1)
    method.other_cameras = ()  # type: ignore[misc]
    camera = Camera(8, 8, 1.0, 1.0, 4.0, 4.0, np.eye(4), camera_model="ORTHOGRAPHIC")
    with pytest.raises(OptionError, match="orthographic"):
        render_camera(method, camera, 0.0, None)
