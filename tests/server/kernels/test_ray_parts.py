"""Rays cut into parts by shapes: where the cuts lie, and what belongs to each part."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from neural_render_server.crop import Crop, CropShape
from neural_render_server.kernels.ray_parts import RayParts, ray_parts


def shape(kind: str, role: str, matrix: np.ndarray) -> CropShape:
    return CropShape(kind, matrix, role)  # type: ignore[arg-type]


def random_shapes(random: np.random.Generator, roles: Sequence[str]) -> tuple[CropShape, ...]:
    """Boxes and ellipsoids of any rotation, shear and place around the origin."""
    found = []
    for index, role in enumerate(roles):
        matrix = np.eye(4)
        matrix[:3, :3] = random.normal(0.0, 0.7, (3, 3))
        matrix[:3, 3] = random.normal(0.0, 0.4, 3)
        found.append(shape("box" if index % 2 else "sphere", role, matrix))
    return tuple(found)


def contains(own: CropShape, points: np.ndarray) -> np.ndarray:
    place = points @ own.to_shape[:3, :3].T + own.to_shape[:3, 3]
    return (np.abs(place) <= 1).all(-1) if own.kind == "box" else (place**2).sum(-1) <= 1


def shares_of_points(parts: RayParts, depths: torch.Tensor) -> np.ndarray:
    return parts.shares(depths, torch.zeros_like(depths)).numpy()


def test_every_point_of_every_ray_is_in_the_parts_it_should_be_in() -> None:
    random = np.random.default_rng(3)
    roles = ("keep", "remove", "keep", "matte", "remove", "matte")
    rays_o = torch.from_numpy(random.normal(0.0, 2.0, (200, 3)).astype(np.float32))
    rays_d = torch.from_numpy(random.normal(0.0, 0.4, (200, 3)).astype(np.float32)) - rays_o
    depths = torch.from_numpy(random.uniform(0.0, 2.0, (200, 50)).astype(np.float32))
    split = torch.from_numpy(random.uniform(0.0, 2.0, 200).astype(np.float32))
    points = (rays_o[:, None] + depths[..., None] * rays_d[:, None]).numpy()
    for count in range(1, len(roles) + 1):
        shapes = random_shapes(random, roles[:count])
        shares = shares_of_points(ray_parts(Crop(shapes, with_mattes=True), rays_o, rays_d, split), depths)
        inside = [contains(own, points) for own in shapes]
        told = list(zip(inside, roles, strict=False))
        keeps = np.any([own for own, role in told if role == "keep"], axis=0)
        removes = np.any([own & (role == "remove") for own, role in told], axis=0)
        kept = keeps & ~removes
        mattes = [own & kept for own, role in told if role != "remove"]
        expected = np.array([kept, kept & (depths <= split[:, None]).numpy(), *mattes])
        assert expected.any(axis=(1, 2)).sum() > 1 and shares.shape == expected.shape
        # a point nearer to an outline than float32 tells may fall on either side
        assert (shares != expected).mean() < 2e-4


def test_an_interval_belongs_in_parts() -> None:
    """A ray along x through the unit ball at x = 3 and the box from 2.5 to 5: overlaps by hand."""
    box = Crop.box((2.5, -1, -1), (5, 1, 1)).shapes[0].matrix
    ball = np.eye(4)
    ball[0, 3] = 3.0
    crop = Crop((shape("sphere", "keep", ball), shape("box", "matte", box)), with_mattes=True)
    origin, direction = torch.zeros(1, 3), torch.tensor([[1.0, 0.0, 0.0]])
    parts = ray_parts(crop, origin, direction)
    assert (float(parts.near), float(parts.far)) == (2.0, 4.0)
    # intervals of length 1 that start at 1.25, 2, 2.25, 3.5 and 4.5
    shares = parts.shares(torch.tensor([[1.25, 2.0, 2.25, 3.5, 4.5]]), torch.ones(1, 5))
    np.testing.assert_allclose(shares[0, 0], [0.25, 1.0, 1.0, 0.5, 0.0], atol=1e-6)  # kept: the ball
    np.testing.assert_allclose(shares[1, 0], [0.25, 1.0, 1.0, 0.5, 0.0], atol=1e-6)  # the ball's matte
    np.testing.assert_allclose(shares[2, 0], [0.0, 0.5, 0.75, 0.5, 0.0], atol=1e-6)  # the box's


def test_what_misses_every_kept_shape_is_nowhere_and_a_removed_one_leaves_the_rest() -> None:
    ball = np.eye(4)
    away, through = torch.tensor([[5.0, 0.0, -4.0]]), torch.tensor([[0.0, 0.0, -4.0]])
    ahead = torch.tensor([[0.0, 0.0, 1.0]])
    depths = torch.tensor([[0.5, 4.0, 100.0]])
    for role, origin, expected in (
        ("keep", away, [0, 0, 0]),
        ("keep", through, [0, 1, 0]),
        ("remove", away, [1, 1, 1]),
        ("remove", through, [1, 0, 1]),
    ):
        parts = ray_parts(Crop((shape("sphere", role, ball),)), origin, ahead)
        np.testing.assert_array_equal(shares_of_points(parts, depths)[0, 0], expected)
        assert bool(parts.near < parts.far) == (max(expected) == 1)
