"""What stereo knows of surfaces and air, on textured planes, and what a training makes of it."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from ball_views import Views
from textured_scene import ARC, HEIGHT, SPEED, WALL, WIDTH, film, moving_film, quiet

from neural_render_server.methods.instant_ngp import InstantNgpMethod
from neural_render_server.methods.registry import make_config
from neural_render_server.methods.volumetric.rays import Pixels
from neural_render_server.methods.volumetric.stereo_depths import (
    StereoDepths,
    around_surfaces,
    find_stereo_depths,
)

CELL = 0.15


@pytest.fixture(scope="module")
def views() -> Views:
    return moving_film()


@pytest.fixture(scope="module")
def stereo(views: Views) -> StereoDepths:
    return find_stereo_depths(views, quiet)


def test_air_is_free_and_surfaces_are_not(stereo: StereoDepths) -> None:
    x, z = (axis.ravel() for axis in np.meshgrid(np.linspace(-1, 1, 9), np.linspace(-0.7, 0.7, 7)))

    def free(y: float) -> float:
        return float(stereo.is_air(np.stack([x, np.full_like(x, y), z], axis=-1), CELL).mean())

    assert free(WALL - 0.8) > 0.4  # not where the square may be
    assert free(WALL) == 0.0 and free(WALL + 0.8) == 0.0


def test_where_the_square_flies_nothing_is_free(stereo: StereoDepths) -> None:
    centers = np.stack([SPEED * np.arange(5) / 24.0, np.zeros(5), np.zeros(5)], axis=-1)
    assert not stereo.is_air(centers, CELL).any()


def test_rays_meet_the_wall_where_it_is(views: Views, stereo: StereoDepths) -> None:
    rows, columns = (axis.ravel() for axis in np.mgrid[0:HEIGHT, 0:WIDTH])
    for view in range(0, len(views), 5):
        camera = views.cameras[view // 5]
        found = stereo.surfaces(Pixels(np.full(len(rows), view), rows, columns), views)
        known = np.isfinite(found)
        origins, directions = (rays.reshape(-1, 3) for rays in camera.rays())
        wall = (WALL - origins[:, 1]) / directions[:, 1]  # rays have unit planar depth
        assert known.mean() > 0.25
        assert np.percentile(np.abs(found / wall - 1.0)[known], 99) < 0.05


def test_the_part_around_a_surface_is_a_stretch_of_the_ray() -> None:
    parts = around_surfaces(torch.tensor([2.0, float("inf")]))
    starts, lengths = torch.tensor([[0.0, 1.9, 2.5]] * 2), torch.tensor([[1.0, 0.2, 1.0]] * 2)
    kept, around = parts.shares(starts, lengths)
    assert torch.equal(kept, torch.ones(2, 3))
    assert torch.allclose(around, torch.tensor([[0.0, 1.0, 0.0], [0.0, 0.0, 0.0]]), atol=1e-5)


def test_what_alpha_or_nothing_tells_is_not_sought(views: Views) -> None:
    with_alpha = film(ARC, 2, wall=False)
    everything_moves = film(ARC, len(ARC), one_each=True)
    assert not find_stereo_depths(with_alpha, quiet).is_known
    assert not find_stereo_depths(everything_moves, quiet).is_known
    assert not StereoDepths({}).is_air(np.zeros((3, 3)), CELL).any()


def test_stereo_guides_the_training_which_resumes_to_the_same_weights(views: Views) -> None:
    still = film(ARC, 1)
    still.near_far = views.near_far
    options: dict[str, Any] = {"levels": 4, "log2_table_size": 10, "width": 16, "finest": 64}
    options |= {"occupancy_resolution": 16, "steps_across": 64, "samples": 4096}

    def new(**changes: Any) -> InstantNgpMethod:
        config = make_config(InstantNgpMethod, "small", options)
        return InstantNgpMethod(dataclasses.replace(config, **changes), torch.device("cpu"))

    def samples_a_ray(stereo_weight: float) -> float:
        method = new(stereo_weight=stereo_weight)
        method.initialise(still, 0, quiet)
        for step in range(60):
            report = method.train_step(still, step / 60)
        return report["samples"] / report["rays"]

    assert samples_a_ray(0.05) < 0.8 * samples_a_ray(0.0)

    whole = new()
    whole.initialise(still, 0, quiet)
    for step in range(4):
        if step == 2:
            tensors = {name: value.clone() for name, value in whole.tensors().items()}
            optimizer = {name: value.clone() for name, value in whole.optimizer_tensors().items()}
        whole.train_step(still, step / 4)
    resumed = new()
    resumed.load(tensors, optimizer)
    for step in (2, 3):
        resumed.train_step(still, step / 4)
    expected = whole.tensors()
    assert all(torch.equal(value, expected[name]) for name, value in resumed.tensors().items())
