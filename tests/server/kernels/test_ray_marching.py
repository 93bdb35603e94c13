"""Marching: numba finds the very steps that looking at every step finds."""

from __future__ import annotations

import math

import pytest
import torch

from neural_render_server.kernels import ray_marching_reference as reference
from neural_render_server.kernels.march_steps import MarchSteps
from neural_render_server.kernels.ray_marching import march

DOUBLE = torch.float64


def rays(count: int, seed: int, spread: float) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    origins = 0.5 + spread * torch.randn(count, 3, generator=generator, dtype=DOUBLE)
    targets = torch.rand(count, 3, generator=generator, dtype=DOUBLE)
    return origins, (targets - origins) * (0.5 + torch.rand(count, 1, generator=generator, dtype=DOUBLE))


@pytest.mark.parametrize(
    ("cascades", "cone"), [(1, 0.0), (3, 1.0 / 64.0), (3, 0.0)], ids=["bounded", "unbounded", "fixed steps"]
)
def test_numba_equals_torch(cascades: int, cone: float) -> None:
    rays_o, rays_d = rays(600, 0, 1.0)
    generator = torch.Generator().manual_seed(1)
    occupied = torch.rand(cascades, 16, 16, 16, generator=generator) < 0.3
    occupied[:, 3:9, 3:9] = False  # a large empty part to leap over
    near = torch.full((600,), 0.05, dtype=DOUBLE)
    far = torch.full((600,), 4.0, dtype=DOUBLE)
    far[::7] = 0.5
    jitter = torch.rand(600, generator=generator, dtype=DOUBLE)
    steps = MarchSteps(least=0.01, longest=0.2 if cone else 0.01, cone=cone, most=60)
    ours = march(rays_o, rays_d, near, far, jitter, occupied, steps)
    theirs = reference.march(rays_o, rays_d, near, far, jitter, occupied, steps)
    assert torch.equal(ours[0], theirs[0])
    assert ours[0][-1] > 3000 and ours[0].diff().max() == 60
    torch.testing.assert_close(ours[1], theirs[1], rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(ours[2], theirs[2], rtol=1e-9, atol=1e-9)


def test_single_precision_finds_nearly_the_same_steps() -> None:
    rays_o, rays_d = rays(2000, 2, 1.0)
    occupied = torch.rand(1, 32, 32, 32, generator=torch.Generator().manual_seed(3)) < 0.5
    near, far = torch.zeros(2000, dtype=DOUBLE), torch.full((2000,), 5.0, dtype=DOUBLE)
    arguments = (rays_o, rays_d, near, far, torch.zeros(2000, dtype=DOUBLE))
    exact = march(*arguments, occupied, MarchSteps())
    single = march(*(a.float() for a in arguments), occupied, MarchSteps())
    difference = (exact[0].diff() - single[0].diff()).abs().sum()
    assert difference <= 1e-3 * exact[0][-1]


def test_a_full_cube_is_stepped_through_evenly() -> None:
    rays_o = torch.tensor([[-1.0, 0.5, 0.5]], dtype=DOUBLE)
    rays_d = torch.tensor([[2.0, 0.0, 0.0]], dtype=DOUBLE)  # twice as long: t runs half as far
    occupied = torch.ones(1, 8, 8, 8, dtype=torch.bool)
    zero, far = torch.zeros(1, dtype=DOUBLE), torch.full((1,), 9.0, dtype=DOUBLE)
    bounds, starts, lengths = march(rays_o, rays_d, zero, far, zero, occupied, MarchSteps(0.01, 0.01))
    assert bounds.tolist() == [0, 100]
    torch.testing.assert_close(lengths, torch.full((100,), 0.005, dtype=DOUBLE))
    torch.testing.assert_close(starts[0].item(), 0.5)
    torch.testing.assert_close(starts[-1].item(), 0.995)


def test_steps_grow_with_distance_beyond_the_innermost_cube() -> None:
    rays_o = torch.tensor([[0.5, 0.5, 0.5]], dtype=DOUBLE)
    rays_d = torch.tensor([[1.0, 0.0, 0.0]], dtype=DOUBLE)
    occupied = torch.ones(5, 8, 8, 8, dtype=torch.bool)
    zero, far = torch.zeros(1, dtype=DOUBLE), torch.full((1,), 99.0, dtype=DOUBLE)
    steps = MarchSteps(longest=16 * math.sqrt(3) / 128, cone=1 / 256)
    _, starts, lengths = march(rays_o, rays_d, zero, far, zero, occupied, steps)
    assert starts[-1] < 8.0 < starts[-1] + lengths[-1] + 0.1  # the outermost cube's side
    far_ones = starts > 2.0
    torch.testing.assert_close(lengths[far_ones], starts[far_ones] / 256)


def test_nothing_occupied_gives_no_samples() -> None:
    rays_o, rays_d = rays(5, 4, 1.0)
    near, far = torch.zeros(5, dtype=DOUBLE), torch.full((5,), 9.0, dtype=DOUBLE)
    bounds, starts, _ = march(
        rays_o, rays_d, near, far, near, torch.zeros(1, 8, 8, 8, dtype=torch.bool), MarchSteps()
    )
    assert bounds.tolist() == [0] * 6 and len(starts) == 0
