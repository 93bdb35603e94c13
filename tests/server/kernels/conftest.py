"""A small random scene of Gaussians and cameras that look at it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from neural_render_server.cameras import Camera
from neural_render_server.kernels import layout


def random_gaussians(count: int, seed: int = 0, size: float = 0.08) -> torch.Tensor:
    """(count, 28) rows in a cube of side 3 around the origin; about half of them live only a while."""
    random = np.random.default_rng(seed)
    rows = np.zeros((count, layout.WIDTH), np.float32)
    rows[:, layout.POSITION] = random.uniform(-1.5, 1.5, (count, 3))
    rows[:, layout.VELOCITY] = random.normal(0, 0.05, (count, 3))
    rows[:, layout.TIME] = random.uniform(-3, 3, count)
    rows[:, layout.EXTENT] = np.where(random.random(count) < 0.5, 7.0, random.uniform(0, 1.5, count))
    rows[:, layout.OPACITY] = random.normal(0, 1.5, count)
    rows[:, layout.SCALE] = np.log(size) + random.normal(0, 0.4, (count, 3))
    rows[:, layout.ROTATION] = random.normal(0, 1, (count, 4))
    rows[:, layout.COLOR] = random.random((count, 3))
    rows[:, layout.HARMONICS] = random.normal(0, 0.1, (count, 9))
    return torch.from_numpy(rows)


def camera_at(distance: float, width: int = 70, height: int = 50, focal: float = 60.0) -> Camera:
    """Looking down -z at the origin, principal point off the middle."""
    camera_to_world = np.eye(4)
    camera_to_world[2, 3] = distance
    return Camera(width, height, focal, focal * 1.1, width / 2 + 3, height / 2 - 2, camera_to_world)


@pytest.fixture
def gaussians() -> Callable[..., torch.Tensor]:
    return random_gaussians


@pytest.fixture
def camera() -> Callable[..., Camera]:
    return camera_at
