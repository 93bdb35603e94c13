"""Where rays are sampled, against the projection's definition and the tiny film's known world."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny_capture
import torch

from neural_render_server.cameras import Camera
from neural_render_server.captures.detect import open_capture
from neural_render_server.captures.frames import Frames
from neural_render_server.errors import OptionError
from neural_render_server.methods.nerf.space import (
    BoundedSpace,
    NdcSpace,
    choose_space,
    mean_pose,
    space_from_tensors,
)
from neural_render_server.methods.volumetric.bounds import SceneBounds, scene_bounds


@pytest.fixture(scope="module")
def film(tiny_film: Path) -> Iterator[Frames]:
    capture = open_capture(tiny_film)
    with Frames(capture, capture.train_indices) as frames:
        yield frames


@pytest.fixture(scope="module")
def bounds(film: Frames) -> SceneBounds:
    return scene_bounds(film, lambda message, fraction: None)


def rays_of(camera: Camera) -> tuple[torch.Tensor, torch.Tensor]:
    origins, directions = (torch.from_numpy(a.reshape(-1, 3)[::37].copy()).double() for a in camera.rays())
    return origins, directions


def test_a_films_arc_is_sampled_in_ndc_and_depth_is_planar(film: Frames, bounds: SceneBounds) -> None:
    """Every sample is the NDC image (NeRF, appendix C) of the point its planar depth says."""
    space = choose_space("nerf", "auto", film, bounds)
    assert isinstance(space, NdcSpace)
    for camera in film.cameras:
        origins, directions = rays_of(camera)
        rays = space.rays(origins, directions)
        assert (rays.near == 0).all() and (rays.far == 1).all()
        t = torch.linspace(0.0, 0.9 - 1.0 / space.deepest, 20, dtype=torch.float64).expand(len(origins), 20)
        depth = rays.planar_depth(t)
        world = origins[:, None] + depth[..., None] * directions[:, None]
        x, y, z = (
            world @ torch.from_numpy(space.to_rig[:, :3]).T + torch.from_numpy(space.to_rig[:, 3])
        ).unbind(-1)
        expected = torch.stack([-space.focal[0] * x / z, -space.focal[1] * y / z, 1.0 + 2.0 / z], dim=-1)
        torch.testing.assert_close(rays.points(t), expected)
        assert (depth.diff(dim=-1) > 0).all()
        truth = torch.from_numpy(tiny_capture.trace(camera.camera_to_world, 0.0)[1].reshape(-1)[::37])
        assert (depth[:, 0] < truth).all()  # the near plane cuts nothing off
        beyond = rays.planar_depth(torch.ones_like(t))[:, 0]
        assert (beyond > truth).all() and torch.isfinite(beyond).all()


def test_a_camera_beyond_the_near_plane_looks_only_forward(film: Frames, bounds: SceneBounds) -> None:
    space = choose_space("nerf", "auto", film, bounds)
    pose = np.eye(4)
    pose[:3] = film.cameras[0].camera_to_world[:3]
    pose[:3, 3] += 2.5 * film.cameras[0].forward
    origins, directions = rays_of(replace(film.cameras[0], camera_to_world=pose))
    rays = space.rays(origins, directions)
    assert (rays.near > 0).all()
    torch.testing.assert_close(
        rays.planar_depth(rays.near[:, None]), torch.zeros(len(origins), 1, dtype=torch.float64)
    )
    backwards = space.rays(origins, -directions)
    assert (backwards.near >= backwards.far).all()  # NDC holds nothing behind the rig


def test_rigs_that_look_all_round_are_bounded(film: Frames, bounds: SceneBounds) -> None:
    around = [
        tiny_capture.camera_to_world(np.array([4 * np.sin(a), 4 * np.cos(a), 1.0]), np.zeros(3))
        for a in np.linspace(0, 2 * np.pi, 7, endpoint=False)
    ]
    cameras = [
        replace(camera, camera_to_world=pose) for camera, pose in zip(film.cameras, around, strict=True)
    ]
    assert mean_pose(cameras) is None
    ring = _Ring(film, cameras)
    space = choose_space("nerf", "auto", ring, bounds)  # type: ignore[arg-type]
    assert isinstance(space, BoundedSpace) and not space.is_object
    with pytest.raises(OptionError, match="space=bounded"):
        choose_space("nerf", "ndc", ring, bounds)  # type: ignore[arg-type]


class _Ring:
    """The film's views with other cameras."""

    def __init__(self, film: Frames, cameras: list[Camera]) -> None:
        self.cameras, self.camera_indices = cameras, film.camera_indices
        self.near_far, self.has_alpha = film.near_far, False


@pytest.mark.parametrize("is_object", [True, False])
def test_bounded_rays_span_the_box_or_the_depths(film: Frames, bounds: SceneBounds, is_object: bool) -> None:
    space = BoundedSpace(bounds, is_object)
    origins, directions = rays_of(film.cameras[0])
    rays = space.rays(origins, directions)
    shares = torch.linspace(0.0, 1.0, 9, dtype=torch.float64).expand(len(origins), 9)
    t = rays.spaced(shares)
    assert torch.equal(rays.planar_depth(t), t)
    world = origins[:, None] + t[..., None] * directions[:, None]
    center = torch.from_numpy(bounds.center)
    torch.testing.assert_close(rays.points(t) * bounds.radius + center, world)
    if is_object:
        hit = rays.near < rays.far
        low, high = torch.from_numpy(bounds.minimum), torch.from_numpy(bounds.maximum)
        assert hit.any()
        assert ((world[hit] >= low - 1e-6) & (world[hit] <= high + 1e-6)).all()
        torch.testing.assert_close(t.diff(dim=-1)[:, :-1], t.diff(dim=-1)[:, 1:])
    else:
        torch.testing.assert_close(t[:, [0, -1]], torch.tensor([[1.0, 8.0]]).double().expand(len(t), 2))
        disparity = (1.0 / t).diff(dim=-1)
        torch.testing.assert_close(disparity[:, :-1], disparity[:, 1:])


def test_spaces_are_restored_from_their_tensors(film: Frames, bounds: SceneBounds) -> None:
    origins, directions = rays_of(film.cameras[1])
    for kind in ("ndc", "bounded"):
        space = choose_space("nerf", kind, film, bounds)
        again = space_from_tensors(space.tensors(), bounds)
        assert type(again) is type(space)
        assert torch.equal(again.rays(origins, directions).origins, space.rays(origins, directions).origins)
