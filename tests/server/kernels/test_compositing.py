"""Compositing of packed samples: numba against torch, gradients against finite differences."""

from __future__ import annotations

import torch

from neural_render_server.kernels import compositing_reference as reference
from neural_render_server.kernels.compositing import composite, kept_bounds, visible
from neural_render_server.methods.volumetric.quadrature import composite as composite_rows
from neural_render_server.methods.volumetric.quadrature import volume_weights


def packed(rays: int, most: int, dtype: torch.dtype, seed: int = 0) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(seed)
    counts = torch.randint(0, most, (rays,), generator=generator)
    counts[1] = 0
    bounds = torch.cat([torch.zeros(1, dtype=torch.int64), counts.cumsum(0)])
    total = int(bounds[-1])
    thickness = torch.rand(total, generator=generator, dtype=dtype).pow(4) * 3
    colors = torch.rand(total, 3, generator=generator, dtype=dtype)
    return thickness, colors, torch.rand(total, generator=generator, dtype=dtype), bounds


def test_numba_equals_torch_forward_and_backward() -> None:
    thickness, colors, distances, bounds = packed(2000, 60, torch.float32)
    results = []
    for function in (composite, reference.composite):
        leaves = thickness.clone().requires_grad_(), colors.clone().requires_grad_()
        rendered = function(leaves[0], leaves[1], distances, bounds)
        generator = torch.Generator().manual_seed(5)
        loss = sum((part * torch.rand(part.shape, generator=generator)).sum() for part in rendered)
        results.append((*rendered, *torch.autograd.grad(loss, leaves)))  # type: ignore[arg-type]
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=2e-6)
    assert not results[0][1][1]  # the ray without samples


def test_gradients_are_those_of_finite_differences() -> None:
    thickness, colors, distances, bounds = packed(8, 7, torch.float64)
    leaves = thickness.requires_grad_(), colors.requires_grad_()
    assert torch.autograd.gradcheck(lambda a, b: composite(a, b, distances, bounds), leaves)


def test_packed_and_rows_agree() -> None:
    density, colors = torch.rand(50, 20) * 9, torch.rand(50, 20, 3)
    lengths, distances = torch.rand(50, 20) * 0.1, torch.rand(50, 20).cumsum(-1)
    expected = composite_rows(volume_weights(density, lengths), colors, distances)
    bounds = torch.arange(51) * 20
    rendered = composite((density * lengths).ravel(), colors.reshape(-1, 3), distances.ravel(), bounds)
    for ours, theirs in zip(rendered, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


def test_what_is_hidden_is_told_and_taken_out() -> None:
    thickness, colors, distances, bounds = packed(500, 60, torch.float64, seed=2)
    kept = visible(thickness, bounds, 1e-2)
    assert torch.equal(kept, reference.visible(thickness, bounds, 1e-2))
    assert 0 < kept.sum() < len(kept)
    fewer = kept_bounds(kept, bounds)
    assert fewer[-1] == kept.sum()
    before = composite(thickness, colors, distances, bounds)[0]
    after = composite(thickness[kept], colors[kept], distances[kept], fewer)[0]
    assert (before - after).abs().max() < 1e-2
