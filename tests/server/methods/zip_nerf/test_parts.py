"""Zip-NeRF's multisampling, down-weighting, spacing and grids against their definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from neural_render_server.kernels.multisampling import SAMPLES
from neural_render_server.methods.zip_nerf.grid import MultisampledGrid, doubling_layout, down_weights
from neural_render_server.methods.zip_nerf.multisampling import (
    Hexagons,
    multisample,
    multisample_distances,
)
from neural_render_server.methods.zip_nerf.spacing import (
    EXPONENT,
    RaySpacing,
    inverse_power_transform,
    power_transform,
)

CPU = torch.device("cpu")


def frustum_moments(t0: float, t1: float) -> tuple[float, float, float]:
    """Mean and variance of a cone's volume along its axis, and the mean of t^2, by integrals of t^2 dt."""

    def integral(power: int) -> float:
        return (t1 ** (power + 1) - t0 ** (power + 1)) / (power + 1)

    mean = integral(3) / integral(2)
    return mean, integral(4) / integral(2) - mean**2, integral(4) / integral(2)


@settings(max_examples=40, deadline=None)
@given(st.floats(0.0, 20.0), st.floats(0.01, 20.0))
def test_the_six_distances_have_the_frustums_mean_and_variance(t0: float, length: float) -> None:
    t1 = t0 + length
    t = multisample_distances(torch.tensor([[t0, t1]], dtype=torch.float64))[0, 0]
    mean, variance, _ = frustum_moments(t0, t1)
    assert t.mean().item() == pytest.approx(mean, rel=1e-12)
    assert t.var(unbiased=False).item() == pytest.approx(variance, rel=1e-5)
    assert (t.diff() > 0).all()


@pytest.mark.parametrize("training", [True, False])
def test_the_six_points_have_the_frustums_moments_in_space(training: bool) -> None:
    """On the axis in the mean, and as far from it as a cone's volume is: r^2 E[t^2] / 2 in two directions."""
    rays_o = torch.tensor([[1.0, 2.0, 3.0]], dtype=torch.float64)
    rays_d = torch.tensor([[0.3, -0.2, -1.0]], dtype=torch.float64)
    edges = torch.tensor([[1.0, 1.5, 4.0]], dtype=torch.float64)
    radius = 0.1
    random = np.random.default_rng(0) if training else None
    angles = Hexagons.draw(1, 2, random).angles(CPU).double()
    means, stds = multisample(rays_o, rays_d, torch.tensor([radius], dtype=torch.float64), edges, angles)
    assert means.shape == (1, 2, SAMPLES, 3)
    forward = rays_d[0] / rays_d[0].norm()
    for index in range(2):
        mean, _, square = frustum_moments(float(edges[0, index]), float(edges[0, index + 1]))
        torch.testing.assert_close(means[0, index].mean(dim=0), rays_o[0] + mean * rays_d[0])
        offsets = means[0, index] - rays_o[0]
        aside = offsets - (offsets @ forward)[:, None] * forward
        spread = (aside**2).sum(dim=-1).mean().item()
        assert spread == pytest.approx(0.5 * radius**2 * square, rel=1e-6)
        torch.testing.assert_close(stds[0, index], 0.5 * aside.norm(dim=-1))


def test_hexagons_turn_and_reverse() -> None:
    still = Hexagons.draw(1, 3, None).angles(CPU)[0]
    assert torch.equal(still[0], still[2])
    torch.testing.assert_close(still[1], still[0].flip(0) + math.pi / 6)
    drawn = Hexagons.draw(400, 1, np.random.default_rng(1)).angles(CPU)[:, 0]
    forwards = torch.isclose(
        (drawn[:, 1] - drawn[:, 0]) % (2 * math.pi), torch.tensor(2 * math.pi / 3), atol=1e-4
    )
    assert 0.4 < forwards.float().mean() < 0.6
    assert torch.histc(drawn[:, 0] % (2 * math.pi), 8, 0, 2 * math.pi).min() > 20


def test_levels_fade_as_the_question_grows_coarser() -> None:
    resolutions = torch.tensor([16.0, 64.0, 256.0])
    weights = down_weights(torch.tensor([1e-9, 1 / 64.0, 10.0]), resolutions)
    torch.testing.assert_close(weights[0], torch.ones(3))
    expected = torch.tensor([math.erf(1 / (math.sqrt(8) * n / 64.0)) for n in (16, 64, 256)])
    torch.testing.assert_close(weights[1], expected)
    assert weights[2].max() < 0.01 and (weights[1].diff() < 0).all()


def test_a_grids_answer_is_the_mean_over_its_gaussians() -> None:
    grid = MultisampledGrid(doubling_layout(4, 16, 2, 12), torch.Generator().manual_seed(0))
    assert grid.layout.resolutions == ((4,) * 3, (8,) * 3, (16,) * 3)
    with torch.no_grad():
        grid.table.uniform_(-1.0, 1.0, generator=torch.Generator().manual_seed(1))
    generator = torch.Generator().manual_seed(2)
    means, stds = torch.rand(7, SAMPLES, 3, generator=generator), torch.full((7, SAMPLES), 0.05)
    together = grid(means, stds)
    alone = torch.stack([grid(means[:, [k]], stds[:, [k]]) for k in range(SAMPLES)]).mean(dim=0)
    torch.testing.assert_close(together, alone)
    assert together.shape == (7, grid.width) and grid.width == 3 * 2 + 3
    # very coarse questions find nothing but how coarse they are
    blurred = grid(means, torch.full_like(stds, 1e3))
    assert blurred[:, :6].abs().max() < 0.01 and (blurred[:, 6:] < 0).all()
    sharp = grid(means, torch.full_like(stds, 1e-9))
    torch.testing.assert_close(sharp[:, 6:], -blurred[:, 6:], rtol=1e-2, atol=0.0)


def test_weight_decay_is_normalised_by_level() -> None:
    """A level of few entries weighs as much as one of many."""
    grid = MultisampledGrid(doubling_layout(4, 16, 1, 12), torch.Generator())
    with torch.no_grad():
        for level in range(3):
            grid.table[grid.layout.offsets[level] : grid.layout.offsets[level + 1]] = level + 1.0
    torch.testing.assert_close(grid.mean_squares(), torch.tensor([1.0, 4.0, 9.0]))
    grid = grid.double()
    torch.autograd.gradcheck(lambda _: grid.mean_squares(), (grid.table,))


@settings(max_examples=30, deadline=None)
@given(st.floats(1e-3, 1e3), st.sampled_from([-1.5, -0.25, 0.5, 2.0]))
def test_the_power_transform_is_inverted(x: float, exponent: float) -> None:
    value = torch.tensor(x, dtype=torch.float64)
    y = power_transform(value, exponent)
    assert inverse_power_transform(y, exponent).item() == pytest.approx(x, rel=1e-6)
    slope = (power_transform(torch.tensor(1e-6, dtype=torch.float64), exponent) / 1e-6).item()
    assert slope == pytest.approx(1.0, rel=1e-4)  # near 0 it changes nothing


def test_spacing_reaches_from_near_to_far_and_spends_most_up_close() -> None:
    near, far = torch.tensor([0.2, 0.0]), torch.tensor([1e6, 4.0])
    s = torch.linspace(0, 1, 33).expand(2, 33)
    t = RaySpacing(near, far, is_linear=False).to_t(s)
    torch.testing.assert_close(t[:, 0], near, atol=1e-6, rtol=1e-5)
    assert t[1, -1].item() == pytest.approx(4.0, rel=1e-4)
    assert t[0, -1] > 1e4  # near the curve's limit float32 knows no distances
    assert torch.isfinite(t).all() and (t.diff(dim=-1) > 0).all()
    y = power_transform(2.0 * t[1].double(), EXPONENT)
    torch.testing.assert_close(y.diff(), y.diff().mean().expand(32), rtol=1e-3, atol=1e-6)
    linear = RaySpacing(near, far, is_linear=True).to_t(s)
    torch.testing.assert_close(linear[1], 4.0 * s[1])
