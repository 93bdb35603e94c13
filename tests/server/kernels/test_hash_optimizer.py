"""Adam for hash tables: numba against torch, and what no ray met stays as it is."""

from __future__ import annotations

import torch

from neural_render_server.kernels.hash_optimizer import AVERAGE_INTERVAL, AdamRates, adam
from neural_render_server.kernels.volume_dispatch import reference_kernels

RATES = AdamRates(1e-2, decay=1e-3)


def _train(steps: int, entries: int = 1003) -> list[torch.Tensor]:
    """Values, moments and average after ``steps`` on gradients that are 0 in most blocks."""
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(entries, 2, generator=generator)
    gradient, moments, averaged = torch.zeros(entries, 2), torch.zeros(2, entries, 2), values.clone()
    for step in range(1, steps + 1):
        met = torch.randint(0, entries, (entries // 40,), generator=generator)
        gradient[met] = torch.randn(len(met), 2, generator=generator)
        gradient[-1, 1] = 0.5
        adam(values, gradient, moments, averaged, step, RATES)
        assert not gradient.any()
    return [values, moments, averaged]


def test_numba_equals_torch() -> None:
    ours = _train(2 * AVERAGE_INTERVAL + 3)
    with reference_kernels():
        theirs = _train(2 * AVERAGE_INTERVAL + 3)
    for own, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(own, other, rtol=1e-5, atol=1e-6)


def test_without_zeros_it_is_torchs_adam() -> None:
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(50, 4, generator=generator)
    theirs = values.clone().requires_grad_()
    optimizer = torch.optim.Adam([theirs], 1e-2, (0.9, 0.99), 1e-15, RATES.decay)
    moments, averaged = torch.zeros(2, 50, 4), values.clone()
    for step in range(1, 6):
        gradient = torch.randn(50, 4, generator=generator)
        theirs.grad = gradient.clone()
        optimizer.step()
        adam(values, gradient, moments, averaged, step, RATES)
    torch.testing.assert_close(values, theirs.detach(), rtol=1e-5, atol=1e-6)


def test_an_entry_without_a_gradient_keeps_its_value_and_moments() -> None:
    values, moments, averaged = torch.ones(64, 2), torch.full((2, 64, 2), 0.5), torch.ones(64, 2)
    gradient = torch.zeros(64, 2)
    gradient[40, 1] = 1.0  # its block's other entries stay too
    adam(values, gradient, moments, averaged, 1, RATES)
    assert (values != 1.0).nonzero().tolist() == [[40, 1]]
    assert (moments != 0.5).nonzero().tolist() == [[0, 40, 1], [1, 40, 1]]


def test_the_average_follows_in_strides_and_converges() -> None:
    values, moments = torch.ones(32), torch.zeros(2, 32)
    averaged = torch.zeros(32)
    for step in range(1, 20 * AVERAGE_INTERVAL + 1):
        before = averaged.clone()
        adam(values, torch.zeros(32), moments, averaged, step, RATES)
        assert torch.equal(averaged, before) == bool(step % AVERAGE_INTERVAL)
        if step == AVERAGE_INTERVAL:
            torch.testing.assert_close(averaged, torch.full((32,), 1.0 - RATES.average**AVERAGE_INTERVAL))
    torch.testing.assert_close(averaged, values, rtol=0, atol=1e-3)
