"""Features of intervals: numba against torch, gradients against finite differences."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from neural_render_server.kernels.multisampling import weighted_means
from neural_render_server.kernels.volume_dispatch import reference_kernels
from neural_render_server.methods.zip_nerf.multisampling import Hexagons, contracted_multisamples


@pytest.mark.parametrize("features", [1, 4])
def test_means_and_their_gradient_equal_torchs(features: int) -> None:
    generator = torch.Generator().manual_seed(0)
    encoded = torch.randn(301, 6, 5, features, generator=generator)
    weights = torch.rand(301, 6, 5, generator=generator)
    upstream = torch.randn(301, 5, features, generator=generator)

    def run() -> tuple[torch.Tensor, ...]:
        leaf = encoded.clone().requires_grad_()
        means, shares = weighted_means(leaf, weights)
        (means * upstream).sum().backward()
        assert leaf.grad is not None
        return means, shares, leaf.grad

    ours = run()
    with reference_kernels():
        theirs = run()
    for own, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(own, other, rtol=1e-5, atol=1e-6)


def test_the_gradient_is_that_of_finite_differences() -> None:
    generator = torch.Generator().manual_seed(0)
    encoded = torch.randn(4, 6, 3, 2, generator=generator, dtype=torch.float64, requires_grad=True)
    weights = torch.rand(4, 6, 3, generator=generator, dtype=torch.float64)
    torch.autograd.gradcheck(lambda leaf: weighted_means(leaf, weights)[0], (encoded,))


@pytest.mark.parametrize("is_training", [False, True])
def test_gaussians_equal_torchs(is_training: bool) -> None:
    """In float64, from within the contraction's unit ball to far beyond it."""
    generator = torch.Generator().manual_seed(0)
    rays_o, rays_d = torch.randn(2, 40, 3, generator=generator, dtype=torch.float64)
    radii = 0.1 * torch.rand(40, generator=generator, dtype=torch.float64)
    edges = torch.rand(40, 13, generator=generator, dtype=torch.float64).cumsum(-1) ** 2
    hexagons = Hexagons.draw(40, 12, np.random.default_rng(0) if is_training else None)
    ours = contracted_multisamples(rays_o, rays_d, radii, edges, hexagons)
    with reference_kernels():
        theirs = contracted_multisamples(rays_o, rays_d, radii, edges, hexagons)
    inside = (theirs[0] - 0.5).norm(dim=-1) < 0.25
    assert inside.any() and not inside.all()
    for own, other in zip(ours, theirs, strict=True):
        # the angles are float32's
        torch.testing.assert_close(own, other, rtol=1e-5, atol=1e-6)
