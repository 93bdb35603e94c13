"""hash4d on the tiny film: it learns what moves, stores what stands still once, and resumes exactly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_capture
import torch

from neural_render_server.captures.detect import open_capture
from neural_render_server.captures.frames import Frames
from neural_render_server.errors import CaptureError
from neural_render_server.methods.hash4d import Hash4dMethod
from neural_render_server.methods.hash4d.motion_hull import motion_hull
from neural_render_server.methods.registry import make_config
from neural_render_server.methods.volumetric.bounds import scene_bounds
from neural_render_server.methods.volumetric.box import CascadeBox
from neural_render_server.training.metrics import psnr

SMALL: dict[str, Any] = {
    "levels": 6,
    "moving_levels": 4,
    "log2_table_size": 12,
    "moving_log2_table_size": 12,
    "finest": 128,
    "moving_finest": 32,
    "width": 16,
    "color_layers": 1,
    "occupancy_resolution": 16,
    "gate_resolution": 24,
    "steps_across": 128,
    "samples": 4096,
}
STEPS = 350


def no_report(message: str, fraction: float) -> None:
    pass


def new_method() -> Hash4dMethod:
    return Hash4dMethod(make_config(Hash4dMethod, "small", SMALL), torch.device("cpu"))


def train(method: Hash4dMethod, views: Frames, steps: int, first: int = 0) -> None:
    if first == 0:
        method.initialise(views, 0, no_report)
    for step in range(first, steps):
        assert np.isfinite(method.train_step(views, step / steps)["loss"])


@pytest.fixture(scope="module")
def film(tiny_film: Path) -> Any:
    capture = open_capture(tiny_film)
    with Frames(capture, capture.train_indices) as frames:
        yield frames


@pytest.fixture(scope="module")
def trained(film: Frames) -> Hash4dMethod:
    method = new_method()
    train(method, film, STEPS)
    return method


def test_it_learns_the_moving_ball(trained: Hash4dMethod, film: Frames) -> None:
    camera = 3
    errors = []
    for step in (0, tiny_capture.TIMESTEPS - 1):
        view = np.flatnonzero((film.camera_indices == camera) & (film.timestep_indices == step))[0]
        truth = (film.rgb(int(view)) / 255.0).astype(np.float32)
        frame = trained.render(film.cameras[camera], float(film.times[step]))
        assert psnr(frame.color, truth) > 19.0
        errors.append((frame.color, truth))
    # each time's picture is nearer to its own truth than to the other's, where the two differ
    moved = np.abs(errors[0][1] - errors[1][1]).max(axis=-1) > 0.2
    assert moved.sum() > 50
    for index in (0, 1):
        own = np.abs(errors[index][0] - errors[index][1])[moved].mean()
        other = np.abs(errors[index][0] - errors[1 - index][1])[moved].mean()
        assert own < 0.6 * other


def test_still_space_has_no_moving_features(trained: Hash4dMethod) -> None:
    """Where the gate is closed, the field is the same at all times, bit for bit; where open, it is not."""
    field = trained._averaged
    places = torch.rand(4000, 3, generator=torch.Generator().manual_seed(0))
    early, late = (field.encode(places, torch.full((4000,), t)) for t in (0.0, 1.0))
    still = ~field.may_move(places)
    assert 0.05 < still.float().mean() < 0.999
    assert torch.equal(early[still], late[still])
    assert not torch.equal(early[~still], late[~still])


def test_the_motion_hull_holds_the_ball_and_not_the_whole_room(film: Frames) -> None:
    box = CascadeBox.around(scene_bounds(film, no_report), False)
    cells = 32
    hull = motion_hull(film, box, cells, no_report)
    low, high = box.corners
    for time in film.times:
        cell = ((tiny_capture.ball_position(float(time)) - low) / (high - low) * cells).astype(int)
        assert hull[tuple(cell)]
    assert hull.mean() < 0.5


def test_a_resumed_training_continues_bit_for_bit_across_stages(film: Frames) -> None:
    whole, parted = new_method(), new_method()
    train(whole, film, 30)
    parted.initialise(film, 0, no_report)
    for step in range(24):
        parted.train_step(film, step / 30)
    resumed = new_method()
    resumed.load(
        {k: v.clone() for k, v in parted.tensors().items()},
        {k: v.clone() for k, v in parted.optimizer_tensors().items()},
    )
    train(resumed, film, 30, first=24)
    for name, tensor in whole.tensors().items():
        assert torch.equal(tensor, resumed.tensors()[name]), name


def test_a_still_capture_is_refused_with_the_remedy(tiny_photos: Path) -> None:
    capture = open_capture(tiny_photos)
    with Frames(capture, capture.train_indices) as frames, pytest.raises(CaptureError, match="instant-ngp"):
        new_method().initialise(frames, 0, no_report)
