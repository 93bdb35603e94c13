"""Properties of step functions along a ray, over random ones."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from neural_render_server.methods.volumetric import stepfun

SEEDS = st.integers(0, 2**31 - 1)


def random_step_function(seed: int, rows: int = 3, count: int = 9) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.rand(rows, count, generator=generator, dtype=torch.float64) + 0.01
    edges = torch.cat([torch.zeros(rows, 1, dtype=torch.float64), torch.cumsum(lengths, -1)], -1)
    weights = torch.rand(rows, count, generator=generator, dtype=torch.float64)
    weights *= torch.rand(rows, count, generator=generator) > 0.3  # empty intervals too
    weights[:, 4] += 0.1
    return edges / edges[:, -1:], weights


@settings(max_examples=30, deadline=None)
@given(SEEDS)
def test_samples_have_the_step_functions_quantiles(seed: int) -> None:
    edges, weights = random_step_function(seed)
    quantiles = stepfun.stratified(3, 2000, None, torch.float64, edges.device)
    points = stepfun.sample(edges, weights, quantiles)
    assert (points.diff(dim=-1) >= 0).all()
    for row in range(3):
        share = torch.histogram(points[row], bins=edges[row])[0] / points.shape[1]
        torch.testing.assert_close(share, weights[row] / weights[row].sum(), atol=2e-3, rtol=0)


@settings(max_examples=30, deadline=None)
@given(SEEDS)
def test_sampled_intervals_are_ascending_and_inside(seed: int) -> None:
    edges, weights = random_step_function(seed)
    jitter = torch.rand(3, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    intervals = stepfun.sample_intervals(edges, weights, 16, jitter)
    assert intervals.shape == (3, 17)
    assert (intervals.diff(dim=-1) >= 0).all()
    assert (intervals >= 0).all() and (intervals <= 1).all()


def test_rows_without_mass_are_sampled_evenly() -> None:
    edges = torch.linspace(0, 1, 5).expand(1, 5)
    points = stepfun.sample(
        edges, torch.zeros(1, 4), stepfun.stratified(1, 4, None, torch.float32, edges.device)
    )
    torch.testing.assert_close(points, torch.tensor([[0.125, 0.375, 0.625, 0.875]]))


@settings(max_examples=30, deadline=None)
@given(SEEDS)
def test_mass_is_kept_when_intervals_are_cut_or_joined(seed: int) -> None:
    edges, weights = random_step_function(seed)
    finer = torch.sort(torch.cat([edges, 0.5 * (edges[:, 1:] + edges[:, :-1])], -1), -1).values
    mass = stepfun.mass_between(edges, weights, finer)
    torch.testing.assert_close(mass.sum(-1), weights.sum(-1))
    torch.testing.assert_close(mass.reshape(3, -1, 2).sum(-1), weights)


@settings(max_examples=30, deadline=None)
@given(SEEDS, st.floats(1e-3, 0.5))
def test_blur_keeps_the_integral_and_is_a_box_filter(seed: int, half_width: float) -> None:
    edges, weights = random_step_function(seed)
    pdf = weights / edges.diff(dim=-1)
    knots, values = stepfun.blur(edges, pdf, half_width)
    everything = torch.tensor([[-1.0, 2.0]], dtype=torch.float64).expand(3, 2)
    torch.testing.assert_close(stepfun.mass_of_linear(knots, values, everything)[:, 0], weights.sum(-1))
    # at any place the blurred value is the mean of the step function within the box
    places = torch.linspace(-0.2, 1.2, 57, dtype=torch.float64).expand(3, 57).contiguous()
    for place in places.split(1, dim=-1):
        window = torch.cat([place - half_width, place + half_width], -1)
        mean = stepfun.mass_between(edges, weights, window)[:, 0] / (2 * half_width)
        blurred = stepfun.interpolate(place, knots, values)[:, 0]
        outside = (place[:, 0] < knots[:, 0]) | (place[:, 0] > knots[:, -1])
        torch.testing.assert_close(torch.where(outside, 0.0, blurred), mean, atol=1e-8, rtol=1e-8)


@settings(max_examples=20, deadline=None)
@given(SEEDS)
def test_distortion_is_the_mean_distance_of_all_pairs(seed: int) -> None:
    edges, weights = random_step_function(seed)
    middles = 0.5 * (edges[:, 1:] + edges[:, :-1])
    pairs = (middles[:, :, None] - middles[:, None]).abs() * weights[:, :, None] * weights[:, None]
    expected = pairs.sum((-1, -2)) + (weights**2 * edges.diff(dim=-1)).sum(-1) / 3
    torch.testing.assert_close(stepfun.distortion_loss(edges, weights), expected.mean())


@settings(max_examples=20, deadline=None)
@given(SEEDS)
def test_the_interlevel_loss_is_zero_where_the_proposal_bounds_the_field(seed: int) -> None:
    edges, weights = random_step_function(seed)
    proposal_edges = edges[:, ::3].contiguous()
    bounding = stepfun.mass_between(edges, weights, proposal_edges)
    assert stepfun.interlevel_loss(edges, weights, proposal_edges, bounding) < 1e-25
    assert stepfun.interlevel_loss(edges, weights, proposal_edges, 0.2 * bounding) > 0.0


def test_the_overlap_bound_sums_the_touched_intervals() -> None:
    edges = torch.tensor([[0.0, 1.0, 2.0, 3.0]])
    weights = torch.tensor([[1.0, 10.0, 100.0]])
    bound = stepfun.overlap_bound(edges, weights, torch.tensor([[0.2, 0.8, 1.5, 3.0]]))
    torch.testing.assert_close(bound, torch.tensor([[1.0, 11.0, 110.0]]))


def test_the_blurred_loss_moves_smoothly_as_the_proposal_slides() -> None:
    """Zip-NeRF, section 3.1: a small slide changes the loss by little; the plain loss jumps."""
    edges = torch.tensor([[0.0, 0.48, 0.52, 1.0]], dtype=torch.float64)
    weights = torch.tensor([[0.0, 1.0, 0.0]], dtype=torch.float64)
    shifts = torch.linspace(-0.2, 0.2, 801, dtype=torch.float64)

    def losses(blurred: bool) -> torch.Tensor:
        values = []
        for shift in shifts:
            proposal_edges = torch.tensor([[0.0, 0.45, 0.55, 1.0]], dtype=torch.float64)
            proposal_edges[:, 1:3] += shift
            proposal = torch.tensor([[0.05, 0.9, 0.05]], dtype=torch.float64)
            loss = (
                stepfun.blurred_interlevel_loss(edges, weights, proposal_edges, proposal, 0.03)
                if blurred
                else stepfun.interlevel_loss(edges, weights, proposal_edges, proposal)
            )
            values.append(float(loss))
        return torch.tensor(values)

    smooth, plain = losses(True), losses(False)
    assert plain.diff().abs().max() > 0.3 * plain.max()
    assert smooth.diff().abs().max() < 0.03 * smooth.max()


def test_the_blurred_loss_is_zero_where_the_proposal_bounds_the_blurred_histogram() -> None:
    edges, weights = random_step_function(1)
    proposal_edges = torch.linspace(-0.1, 1.1, 13, dtype=torch.float64).expand(3, 13).contiguous()
    knots, values = stepfun.blur(edges, weights / edges.diff(dim=-1), 0.05)
    bounding = stepfun.mass_of_linear(knots, values, proposal_edges)
    assert stepfun.blurred_interlevel_loss(edges, weights, proposal_edges, bounding, 0.05) < 1e-20
    assert stepfun.blurred_interlevel_loss(edges, weights, proposal_edges, 0.5 * bounding, 0.05) > 1e-4


@pytest.mark.parametrize("loss", [stepfun.interlevel_loss, None])
def test_only_the_proposal_gets_gradient(loss: object) -> None:
    edges, weights = random_step_function(2)
    weights.requires_grad_()
    proposal = (0.1 * torch.ones(3, 4, dtype=torch.float64)).requires_grad_()
    proposal_edges = torch.linspace(0, 1, 5, dtype=torch.float64).expand(3, 5).contiguous()
    if loss is None:
        value = stepfun.blurred_interlevel_loss(edges, weights, proposal_edges, proposal, 0.03)
    else:
        value = stepfun.interlevel_loss(edges, weights, proposal_edges, proposal)
    value.backward()
    assert weights.grad is None
    assert proposal.grad is not None and proposal.grad.abs().sum() > 0
