"""The compiled networks against torch's autograd, their reference, and that against finite differences."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from neural_render_server.fields.hash_field import RadianceNetworks
from neural_render_server.kernels import radiance as compiled
from neural_render_server.kernels import threads
from neural_render_server.kernels.jit import kernel
from neural_render_server.kernels.matrix_tile import multiply
from neural_render_server.kernels.volume_dispatch import reference_kernels

RAYS = 40


@kernel
def _product(rows: int, columns: int, depth: int, a, a_row: int, a_step: int, b, c, add: bool) -> None:  # type: ignore[no-untyped-def]
    multiply(rows, columns, depth, a, 0, a_row, a_step, b, 0, columns, c, 0, columns, add)


@pytest.mark.parametrize("columns", [16, 48, 64, 112])
@pytest.mark.parametrize("transposed", [False, True])
def test_multiply_is_the_matrix_product(columns: int, transposed: bool) -> None:
    random = np.random.default_rng(0)
    a, b = random.random((32, 7), np.float32), random.random((7, columns), np.float32)
    c = random.random((32, columns), np.float32)
    flat, strides = (a.T.copy(), (1, 32)) if transposed else (a, (7, 1))
    result = c.copy()
    for add, expected in ((True, c + a @ b), (False, a @ b)):
        _product(32, columns, 7, flat.reshape(-1), *strides, b.reshape(-1), result.reshape(-1), add)
        np.testing.assert_allclose(result, expected, rtol=1e-5)


def _inputs(samples: int, inputs: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(samples, inputs, generator=generator)
    harmonics = torch.randn(RAYS, 16, generator=generator)
    rows = torch.sort(torch.randint(0, RAYS, (samples,), generator=generator))[0]
    return features, harmonics, rows, torch.randn(samples, 4, generator=generator)


def _run(networks: RadianceNetworks, inputs: tuple[torch.Tensor, ...]) -> list[torch.Tensor]:
    """Density, colour and the gradients of features and weights, in the weights' number type."""
    real = next(networks.parameters()).dtype
    features, harmonics, rows, upstream = inputs
    leaf = features.detach().clone().to(real).requires_grad_()
    networks.zero_grad()
    density, color = networks.radiance(leaf, harmonics.to(real), rows)
    torch.autograd.backward([density, color], [upstream[:, 0].to(real), upstream[:, 1:].to(real)])
    gradients = [leaf.grad, *(parameter.grad for parameter in networks.parameters())]
    return [density.detach(), color.detach(), *(g for g in gradients if g is not None)]


@pytest.mark.parametrize(
    ("inputs", "width", "layers", "samples"),
    [(32, 64, 2, 3000), (20, 24, 1, 65), (40, 64, 3, 1), (16, 16, 1, 0)],
)
def test_values_and_gradients_are_the_references(inputs: int, width: int, layers: int, samples: int) -> None:
    networks = RadianceNetworks(inputs, width, layers, torch.Generator().manual_seed(1))
    double = copy.deepcopy(networks).double()
    given = _inputs(samples, inputs)
    for ours, exact in zip(_run(networks, given), _run(double, given), strict=True):
        scale = float(exact.abs().max()) if exact.numel() else 1.0
        torch.testing.assert_close(ours.double(), exact, rtol=1e-5, atol=1e-5 * scale)
    with torch.no_grad():
        density = networks.density(given[0])
        torch.testing.assert_close(density.double(), double.density(given[0].double()), rtol=1e-5, atol=0)


def test_the_references_gradients_are_those_of_finite_differences() -> None:
    networks = RadianceNetworks(6, 8, 1, torch.Generator().manual_seed(1)).double()
    features, harmonics, rows, _ = (t.double() if t.is_floating_point() else t for t in _inputs(5, 6))
    names = [name for name, _ in networks.named_parameters()]

    def radiance(x: torch.Tensor, *weights: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        given = dict(zip(names, weights, strict=True))
        result: tuple[torch.Tensor, torch.Tensor] = torch.func.functional_call(
            _AsForward(networks), {f"networks.{k}": v for k, v in given.items()}, (x, harmonics, rows)
        )
        return result

    leaves = [features.requires_grad_(), *networks.parameters()]
    assert torch.autograd.gradcheck(radiance, leaves)


class _AsForward(torch.nn.Module):
    def __init__(self, networks: RadianceNetworks) -> None:
        super().__init__()
        self.networks = networks

    def forward(self, *arguments: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.networks.radiance(*arguments)


def test_a_not_a_number_reaches_the_outputs_and_the_weights() -> None:
    """Training is stopped by a loss that is not finite: no ReLU may hide it."""
    networks = RadianceNetworks(32, 64, 2, torch.Generator().manual_seed(1))
    features, harmonics, rows, upstream = _inputs(100, 32)
    features[7, 3] = float("nan")
    density, color, *_ = _run(networks, (features, harmonics, rows, upstream))
    assert torch.isnan(density).nonzero().tolist() == [[7]] and torch.isnan(color[7]).all()
    with reference_kernels():
        reference = _run(networks, (features, harmonics, rows, upstream))
    assert torch.isnan(reference[1][7]).all()


def test_gradients_do_not_depend_on_the_number_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    networks = RadianceNetworks(32, 64, 2, torch.Generator().manual_seed(1))
    given = _inputs(5000, 32)
    many = _run(networks, given)
    monkeypatch.setattr(threads, "thread_count", lambda: 1)
    for one, other in zip(_run(networks, given), many, strict=True):
        assert torch.equal(one, other)
    assert len(compiled._slices(5000)) > 8
