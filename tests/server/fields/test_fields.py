"""Encodings, networks, contraction and activations against their definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from neural_render_server.fields.activations import truncated_exp
from neural_render_server.fields.contraction import contract, contract_gaussians, uncontract
from neural_render_server.fields.encodings import (
    positional_encoding,
    positional_encoding_width,
    spherical_harmonics,
)
from neural_render_server.fields.networks import MLP, in_chunks


def test_positional_encoding_is_identity_then_waves() -> None:
    x = torch.tensor([[0.3, -0.7]])
    encoded = positional_encoding(x, 3)
    expected = [x]
    for octave in range(3):
        expected += [torch.sin(2.0**octave * x), torch.cos(2.0**octave * x)]
    torch.testing.assert_close(encoded, torch.cat(expected, -1))
    assert encoded.shape[-1] == positional_encoding_width(2, 3) == 14
    assert positional_encoding(torch.zeros(5, 3), 10).shape == (5, 63)  # NeRF's position
    assert positional_encoding_width(3, 4, include_identity=False) == 24


def test_spherical_harmonics_are_orthonormal_on_the_sphere() -> None:
    z_nodes, z_weights = (torch.from_numpy(a) for a in np.polynomial.legendre.leggauss(12))
    azimuth = torch.arange(24, dtype=torch.float64) * (2 * math.pi / 24)
    z, phi = (a.ravel() for a in torch.meshgrid(z_nodes, azimuth, indexing="ij"))
    ring = torch.sqrt(1 - z * z)
    basis = spherical_harmonics(torch.stack([ring * torch.cos(phi), ring * torch.sin(phi), z], -1))
    weights = z_weights.repeat_interleave(24) * (2 * math.pi / 24)
    torch.testing.assert_close(basis.T @ (weights[:, None] * basis), torch.eye(16, dtype=torch.float64))


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_contraction_keeps_the_inside_and_is_inverted(norm: str) -> None:
    x = torch.randn(500, 3, dtype=torch.float64) * 4
    y = contract(x, norm)  # type: ignore[arg-type]
    size = x.norm(dim=-1) if norm == "l2" else x.abs().amax(-1)
    torch.testing.assert_close(y[size <= 1], x[size <= 1])
    assert (y.norm(dim=-1) if norm == "l2" else y.abs().amax(-1)).max() < 2.0
    torch.testing.assert_close(uncontract(y, norm), x)  # type: ignore[arg-type]
    origin = torch.zeros(1, 3, requires_grad=True)
    contract(origin, norm).sum().backward()  # type: ignore[arg-type]
    assert torch.isfinite(origin.grad).all()  # type: ignore[arg-type]


def test_contracted_gaussians_scale_by_the_jacobians_volume() -> None:
    means = torch.randn(20, 3, dtype=torch.float64) * 3
    contracted, stds = contract_gaussians(means, torch.ones(20, dtype=torch.float64))
    for index in range(20):
        jacobian = torch.autograd.functional.jacobian(contract, means[index])
        assert stds[index].item() == pytest.approx(abs(torch.linalg.det(jacobian).item()) ** (1 / 3))
    torch.testing.assert_close(contracted, contract(means))


def test_truncated_exp_has_the_clamped_gradient() -> None:
    x = torch.tensor([-20.0, 0.5, 17.0], requires_grad=True)
    y = truncated_exp(x)
    torch.testing.assert_close(y, torch.exp(x))
    y.sum().backward()
    torch.testing.assert_close(x.grad, torch.exp(torch.tensor([-15.0, 0.5, 15.0])))


def test_chunks_change_neither_values_nor_gradients() -> None:
    generator = torch.Generator().manual_seed(0)
    network = MLP(5, 3, 16, 4, skip=2, generator=generator)
    x = torch.randn(1000, 5, generator=generator)
    whole = network(x)
    whole.square().sum().backward()
    expected = [parameter.grad.clone() for parameter in network.parameters()]  # type: ignore[union-attr]
    network.zero_grad()
    parted = in_chunks(network._rows, x, rows=300)
    torch.testing.assert_close(parted, whole)
    parted.square().sum().backward()
    for parameter, gradient in zip(network.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-4, atol=1e-4)


def test_an_mlps_start_is_repeatable_and_its_skip_joins_the_input() -> None:
    first, again = (
        MLP(5, 3, 16, 4, bias=False, skip=2, generator=torch.Generator().manual_seed(3)) for _ in "ab"
    )
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))
    assert all(layer.bias is None for layer in first.layers)
    assert first.layers[2].in_features == 16 + 5
    with pytest.raises(ValueError, match="skip"):
        MLP(5, 3, 16, 2, skip=2)
