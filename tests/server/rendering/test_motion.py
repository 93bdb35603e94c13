"""The pass ``motion``: what is seen to move has its velocity, through every kind of camera."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import gaussian_scene
import numpy as np
import pytest
from fog import fog
from gaussian_scene import Ball

from neural_render_server.cameras import Camera
from neural_render_server.crop import Crop
from neural_render_server.rendering.frames import FrameRenderer
from neural_render_server.rendering.images import read_exr, write_exr
from neural_render_server.rendering.motion import FieldMotion, Look, displacement
from neural_render_server.rendering.passes import PassOptions, render_passes

MOTION = PassOptions(("combined", "depth", "motion"))
# gaussian_scene.moving_ball: filmed 24 times a second for two seconds
VELOCITY, STEP = np.array([1.2, -0.9, 1.5]), 1.0 / 24.0


def camera(**changes: object) -> Camera:
    pose = np.eye(4)
    pose[:3, 3] = 0.0, 0.0, 4.0
    return replace(Camera(96, 72, 80.0, 80.0, 48.0, 36.0, pose), **changes)


@pytest.fixture(scope="module")
def ball(tmp_path_factory: pytest.TempPathFactory) -> FrameRenderer:
    return FrameRenderer(gaussian_scene.moving_ball(tmp_path_factory.mktemp("ball")))


def across(seen_by: Camera, velocity: np.ndarray) -> np.ndarray:
    """(H, W, 3) a velocity's part that a picture shows: the rest is along the pixel's ray."""
    rays_d = seen_by.rays()[1].astype(np.float64)
    if seen_by.camera_model == "EQUIRECTANGULAR":
        return velocity - (rays_d @ velocity)[..., None] * rays_d
    return velocity - (velocity @ seen_by.forward) * rays_d


CAMERAS = {
    "perspective": camera(),
    "orthographic": camera(camera_model="ORTHOGRAPHIC", fl_x=30.0, fl_y=30.0),
    "distorted": camera(camera_model="OPENCV", distortion=(0.05, 0.0, 0.0, 0.0)),
    "around": camera(
        width=384,
        height=192,
        cx=192,
        cy=96,
        camera_model="EQUIRECTANGULAR",
        fl_x=192 / np.pi,
        fl_y=192 / np.pi,
    ),
}


def error_of(ball: FrameRenderer, seen_by: Camera, time: float, options: PassOptions = MOTION) -> float:
    """The median error on the ball, as a share of its speed."""
    passes = ball.render(seen_by, time, options)
    seen = passes["combined"][..., 3] > 0.99
    assert seen.sum() > 50
    straight = replace(seen_by, camera_model="PINHOLE") if seen_by.distortion else seen_by
    truth = across(straight, VELOCITY)
    error = np.linalg.norm(passes["motion"] - truth, axis=-1)
    assert (passes["motion"][passes["combined"][..., 3] == 0.0] == 0.0).all()
    return float(np.median(error[seen]) / np.linalg.norm(truth[seen], axis=-1).mean())


@pytest.mark.parametrize("name", CAMERAS)
def test_a_moving_ball_has_its_velocity_wherever_it_is_seen(name: str, ball: FrameRenderer) -> None:
    assert error_of(ball, CAMERAS[name], 4 * STEP) < 0.05


@pytest.mark.parametrize("steps", [0.0, 0.1, 3.4, 3.9])
def test_so_it_is_between_timesteps_and_at_the_captures_ends(steps: float, ball: FrameRenderer) -> None:
    assert error_of(ball, camera(), steps * STEP) < 0.05


def test_neighbours_stay_within_the_capture(ball: FrameRenderer) -> None:
    def neighbours(time: float, *times: float) -> list[float]:
        return FieldMotion(ball.method, times, "srgb").neighbours(time)

    film = 0.0, 1.0, 2.0, 3.0
    assert neighbours(1.5, *film) == [0.5, 2.5]
    assert neighbours(0.0, *film) == [1.0]
    assert neighbours(0.1, *film) == [1.1]
    assert neighbours(0.5, *film) == [0.0, 1.5]
    assert neighbours(3.0, *film) == [2.0]
    assert neighbours(0.5, 0.0, 1.0) == [0.0, 1.0]


def test_a_large_picture_and_its_windows_have_the_same(ball: FrameRenderer) -> None:
    """Bands of a frame, put together, are the frame; that is larger than what flow is taken from."""
    large = camera().scaled(768, 576)
    assert large.width * large.height > ball.method.motion_pixels
    whole = ball.render(large, 4 * STEP, MOTION)["motion"]
    assert error_of(ball, large, 4 * STEP) < 0.05
    for top, rows in ((200, 100), (300, 37)):
        band = replace(large, height=rows, cy=large.cy - top, window=(0, top, 768, 576))
        part = ball.render(band, 4 * STEP, MOTION)["motion"]
        assert np.array_equal(part, whole[top : top + rows])


def test_what_a_crop_leaves_moves_as_before(ball: FrameRenderer) -> None:
    upper = replace(MOTION, crop=Crop.box([-9, 0.05, -9], [9, 9, 9]))
    assert error_of(ball, camera(), 4 * STEP, upper) < 0.1


@pytest.fixture(scope="module")
def two_balls(tmp_path_factory: pytest.TempPathFactory) -> FrameRenderer:
    """One that stands beside one that moves."""
    balls = [
        Ball((-0.9, 0.0, 0.0), 0.6, (0.5, 0.5, 0.5), texture=0.4),
        Ball((0.9, 0.0, 0.0), 0.6, (0.5, 0.5, 0.5), velocity=(0.0, 1.5, 0.0), texture=0.4),
    ]
    folder = tmp_path_factory.mktemp("balls")
    return FrameRenderer(gaussian_scene.write(folder, balls, [step * STEP for step in range(10)]))


def test_what_rests_beside_it_rests(two_balls: FrameRenderer) -> None:
    passes = two_balls.render(camera(), STEP, MOTION)
    speed = np.linalg.norm(passes["motion"], axis=-1)
    opaque = passes["combined"][..., 3] > 0.99
    left = opaque & (np.arange(96) < 46)
    right = opaque & (np.arange(96) > 50)
    assert speed[left].max() == 0.0
    assert np.median(speed[right]) == pytest.approx(1.5, rel=0.05)


def test_light_that_changes_is_no_motion() -> None:
    """A wall that gets brighter from one side on; flow by itself sees it move."""
    random = np.random.default_rng(0).random((9, 12, 3)).astype(np.float32)
    wall = 0.4 + 0.05 * np.kron(random, np.ones((8, 8, 1), np.float32))
    light = np.linspace(1.0, 1.4, 96, dtype=np.float32)[None, :, None]
    depth = np.full((72, 96), 4.0, np.float32)
    moved, believed = displacement(camera(), Look(wall, depth), Look(wall * light, depth))
    assert np.abs(moved).mean() > 10 * np.abs(believed * moved).mean()


@pytest.mark.parametrize("times", [[0.0], [0.0, STEP, 2 * STEP]])
def test_a_field_that_stands_still_has_exactly_none(times: list[float], tmp_path: Path) -> None:
    still = [Ball((0.0, 0.0, 0.0), 0.8, (0.5, 0.5, 0.5), texture=0.4)]
    passes = FrameRenderer(gaussian_scene.write(tmp_path / "still", still, times)).render(
        camera(), 0.6 * STEP, MOTION
    )
    assert passes["combined"][..., 3].max() > 0.99
    assert (passes["motion"] == 0.0).all()


def test_a_method_in_which_nothing_moves_is_not_looked_at() -> None:
    """Without a ``FieldMotion``, as ``FrameRenderer`` does."""
    passes = render_passes(fog(), camera(), 0.3, MOTION, "linear")
    assert fog().motion_pixels == 0
    assert passes["combined"][..., 3].max() > 0.5
    assert (passes["motion"] == 0.0).all()


def test_a_file_keeps_it(ball: FrameRenderer, tmp_path: Path) -> None:
    passes = ball.render(camera(), STEP, MOTION)
    path = tmp_path / "frame.exr"
    write_exr(path, passes)
    assert np.abs(passes["motion"]).max() > 1.0
    assert np.array_equal(read_exr(path)["motion"], passes["motion"])
