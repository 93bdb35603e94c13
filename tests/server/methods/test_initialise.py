"""The start of the Gaussians, on a small scene of textured planes."""

from __future__ import annotations

import numpy as np
import pytest
from ball_views import Views
from textured_scene import (
    ARC,
    FOCAL,
    FPS,
    HEIGHT,
    SPEED,
    SQUARE_SIZE,
    WALL,
    WIDTH,
    film,
    look_at,
    moving_film,
    quiet,
    render,
)

from neural_render_server.cameras import Camera
from neural_render_server.captures.capture import PointCloud
from neural_render_server.errors import Cancelled
from neural_render_server.methods.gaussians.cloud import GaussianCloud
from neural_render_server.methods.gaussians.initialise import initial_gaussians

COUNT = 1500


def start(views: Views, count: int = COUNT, kind: str = "plane-sweep", seed: int = 0) -> GaussianCloud:
    cloud = initial_gaussians(views, count, seed, quiet, kind, 1)  # type: ignore[arg-type]
    for name in ("positions", "time_centers", "time_extents", "velocities", "scales", "opacities", "colors"):
        values = getattr(cloud, name)
        assert values.dtype == np.float32 and np.isfinite(values).all(), name
        assert len(values) == len(cloud) <= count
    assert (cloud.scales > 0).all() and (cloud.time_extents > 0).all()
    assert cloud.colors.min() >= 0 and cloud.colors.max() <= 1
    return cloud


@pytest.fixture(scope="module")
def moving_views() -> Views:
    return moving_film()


@pytest.fixture(scope="module")
def moving_cloud(moving_views: Views) -> GaussianCloud:
    return start(moving_views)


def test_static_points_lie_on_the_wall(moving_cloud: GaussianCloud) -> None:
    positions = moving_cloud.positions[moving_cloud.is_static]
    assert len(positions) > 500
    assert np.median(np.abs(positions[:, 1] - WALL)) < 0.05
    assert np.mean(np.abs(positions[:, 1] - WALL) < 0.3) > 0.9


def test_moving_points_lie_on_the_square_at_their_time_and_move_with_it(moving_cloud: GaussianCloud) -> None:
    moving = ~moving_cloud.is_static
    positions, times = moving_cloud.positions[moving], moving_cloud.time_centers[moving]
    assert np.count_nonzero(moving) > 300
    assert set(np.unique((times * FPS).round().astype(int))) == set(range(5))
    assert np.median(np.abs(positions[:, 1])) < 0.05
    assert np.median(np.abs(positions[:, 0] - SPEED * times)) < 0.4 * SQUARE_SIZE
    np.testing.assert_allclose(np.median(moving_cloud.velocities[moving], axis=0), [SPEED, 0, 0], atol=0.4)
    assert (moving_cloud.velocities[~moving] == 0).all()


def test_points_have_the_colours_a_held_out_camera_sees(moving_cloud: GaussianCloud) -> None:
    pose = look_at([0.3, -2.9, 0.05], [0.0, 0.5, 0.0])
    held_out = Camera(WIDTH, HEIGHT, FOCAL, FOCAL, WIDTH / 2, HEIGHT / 2, pose)
    image, _ = render(held_out, 0.0)
    first = moving_cloud.time_centers < 0.5 / FPS
    pixels, depth = held_out.project(moving_cloud.positions[first])
    inside = (depth > 0) & (pixels >= 0).all(axis=1) & (pixels < [WIDTH, HEIGHT]).all(axis=1)
    column, row = pixels[inside].astype(int).T
    error = np.abs(image[row, column] / 255.0 - moving_cloud.colors[first][inside])
    assert np.median(error) < 0.06


def test_same_seed_same_start_and_another_seed_another(
    moving_views: Views, moving_cloud: GaussianCloud
) -> None:
    again, other = start(moving_views), start(moving_views, seed=1)
    np.testing.assert_array_equal(again.positions, moving_cloud.positions)
    np.testing.assert_array_equal(again.velocities, moving_cloud.velocities)
    assert not np.array_equal(other.positions, moving_cloud.positions)


def test_random_start_fills_the_depth_range_and_rests(moving_views: Views) -> None:
    cloud = start(moving_views, kind="random")
    assert len(cloud) == COUNT and (cloud.velocities == 0).all()
    distance = np.abs(cloud.positions[:, 1] + 3.0)
    assert distance.min() < 2.0 and distance.max() > 6.0


def test_depth_range_is_found_where_none_is_stated() -> None:
    cloud = start(film(ARC, 1))
    assert cloud.is_static.all() and len(cloud) == COUNT
    on_a_surface = np.minimum(np.abs(cloud.positions[:, 1] - WALL), np.abs(cloud.positions[:, 1]))
    assert np.median(on_a_surface) < 0.05


def test_transparent_pixels_give_no_points() -> None:
    cloud = start(film(ARC, 1, wall=False))
    assert len(cloud) > 300
    assert np.median(np.abs(cloud.positions[:, 1])) < 0.05
    assert np.abs(cloud.positions[:, [0, 2]]).max() < 0.75 * SQUARE_SIZE


def test_masked_pixels_give_no_points() -> None:
    views = film(ARC, 1)
    views.near_far = np.tile([1.5, 9.0], (len(ARC), 1))
    usable = np.zeros((HEIGHT, WIDTH), dtype=bool)
    usable[:, : WIDTH // 2] = True
    views.masks = [usable] * len(views)
    cloud = start(views)
    pixels, _ = views.cameras[2].project(cloud.positions)
    assert len(cloud) > 100
    # the cameras are turned towards the middle, so that their left halves are not quite the same
    assert np.mean(pixels[:, 0] < 0.7 * WIDTH) > 0.95


def test_sparse_points_of_the_capture_join_the_start() -> None:
    views = film(ARC[:1], 1)
    random = np.random.default_rng(3)
    positions = random.uniform([-1, WALL, -1], [1, WALL, 1], size=(400, 3)).astype(np.float32)
    views.points = PointCloud(positions, np.full((400, 3), 128, dtype=np.uint8))
    cloud = start(views, count=5000)
    nearest = np.linalg.norm(cloud.positions[:, None] - positions[None], axis=2).min(axis=0)
    assert nearest.max() < 1e-5


def test_few_cameras_wide_apart_get_a_hull_of_what_moves() -> None:
    views = film([[3.0, -1.2, 0.1], [-3.0, -1.2, 0.2], [0.0, -3.2, 0.3]], 4)
    cloud = start(views)
    moving = ~cloud.is_static
    assert len(cloud) > 1000 and np.count_nonzero(moving) > 200
    offsets = cloud.positions[moving] - np.array([SPEED, 0, 0]) * cloud.time_centers[moving, None]
    # the hull is fatter than the square, but around it
    assert np.median(np.abs(offsets), axis=0).max() < SQUARE_SIZE
    # nothing blocks a camera
    for camera in views.cameras:
        assert np.linalg.norm(cloud.positions - camera.position, axis=1).min() > 0.4


def test_one_moving_camera() -> None:
    path = [[x, -3.0, 0.3 * np.sin(3 * x)] for x in np.linspace(-1.0, 1.0, 10)]
    cloud = start(film(path, len(path), one_each=True))
    static = cloud.is_static
    assert np.count_nonzero(static) > 300 and np.count_nonzero(~static) > 50
    assert np.median(np.abs(cloud.positions[static, 1] - WALL)) < 0.1


def test_a_single_view_still_starts() -> None:
    assert len(start(film(ARC[:1], 1))) > 0


def test_cancelling_passes_through(moving_views: Views) -> None:
    def cancel(message: str, fraction: float) -> None:
        raise Cancelled("cancelled")

    with pytest.raises(Cancelled):
        initial_gaussians(moving_views, 100, 0, cancel, "plane-sweep", 1)
