"""The hash encoding: numba against torch, gradients against finite differences, and what it means."""

from __future__ import annotations

import pytest
import torch

from neural_render_server.kernels import hash_encoding_reference as reference
from neural_render_server.kernels.hash_encoding import hash_encode
from neural_render_server.kernels.hash_layout import HashLayout, geometric_layout, initial_table

CASES = [(d, f) for d in (2, 3, 4) for f in (1, 2, 4)]


def layout_of(dimensions: int, features: int) -> HashLayout:
    """Dense and hashed levels, with another resolution along the last axis."""
    finest = [60, 50, 40, 9][:dimensions]
    layout = geometric_layout(dimensions, 5, features, 8, [3] * dimensions, finest)
    assert layout.is_dense.any() and not layout.is_dense.all()
    return layout


@pytest.mark.parametrize(("dimensions", "features"), CASES)
def test_numba_equals_torch_forward_and_backward(dimensions: int, features: int) -> None:
    layout = layout_of(dimensions, features)
    generator = torch.Generator().manual_seed(dimensions)
    table = torch.randn(layout.entries, features, generator=generator).requires_grad_()
    positions = torch.rand(5000, dimensions, generator=generator)
    positions[0], positions[1] = 0.0, 1.0
    positions.requires_grad_()
    ours, theirs = hash_encode(positions, table, layout), reference.encode(positions, table, layout)
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)
    upstream = torch.randn(ours.shape, generator=generator)
    d_ours = torch.autograd.grad(ours, (table, positions), upstream)
    d_theirs = torch.autograd.grad(theirs, (table, positions), upstream)
    for a, b in zip(d_ours, d_theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5 * float(b.abs().max()))
    scattered = torch.zeros_like(table)
    reference.accumulate_table_gradient(positions.detach(), upstream, layout, scattered)
    torch.testing.assert_close(scattered, d_theirs[0], rtol=1e-5, atol=1e-5 * float(scattered.abs().max()))


@pytest.mark.parametrize(("dimensions", "features"), [(2, 4), (3, 2), (4, 1)])
def test_gradients_are_those_of_finite_differences(dimensions: int, features: int) -> None:
    layout = layout_of(dimensions, features)
    generator = torch.Generator().manual_seed(1)
    double = torch.float64
    table = torch.randn(layout.entries, features, generator=generator, dtype=double, requires_grad=True)
    # away from the cells' sides, where the encoding has a kink
    positions = torch.rand(4, dimensions, generator=generator, dtype=double, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda x, t: hash_encode(x, t, layout), (positions, table), fast_mode=True
    )


def test_a_dense_level_interpolates_a_linear_function_exactly() -> None:
    layout = HashLayout(((4, 4, 4),), features=1, log2_table_size=10)
    ticks = torch.arange(5) / 4
    z, y, x = torch.meshgrid(ticks, ticks, ticks, indexing="ij")  # x varies fastest
    table = (2 * x - 3 * y + 0.5 * z + 1).reshape(-1, 1)
    points = torch.rand(100, 3)
    expected = points @ torch.tensor([2.0, -3.0, 0.5]) + 1
    torch.testing.assert_close(hash_encode(points, table, layout)[:, 0], expected)


def test_the_hash_is_the_published_one() -> None:
    """h(x) = (x_0 * 1 xor x_1 * 2654435761 xor x_2 * 805459861) mod T, at a corner of the grid."""
    layout = HashLayout(((1000, 1000, 1000),), features=1, log2_table_size=12)
    table = torch.arange(4096, dtype=torch.float64)[:, None]
    corner = (123, 456, 789)
    expected = (corner[0] ^ corner[1] * 2654435761 ^ corner[2] * 805459861) % 4096
    position = torch.tensor([corner], dtype=torch.float64) / 1000
    assert hash_encode(position, table, layout).item() == pytest.approx(expected)


def test_resolutions_grow_geometrically_between_the_published_ends() -> None:
    layout = geometric_layout(3, 16, 2, 19, 16, 2048)
    assert layout.resolutions[0] == (16, 16, 16) and layout.resolutions[-1] == (2048, 2048, 2048)
    ratios = layout.cells[1:, 0] / layout.cells[:-1, 0]
    assert ratios.max() / ratios.min() < 1.1
    assert list(layout.is_dense) == [(n[0] + 1) ** 3 <= 2**19 for n in layout.resolutions]
    table = initial_table(layout, torch.Generator().manual_seed(0))
    assert table.shape == (layout.entries, 2) and 0.99e-4 < table.abs().max() <= 1e-4


def test_impossible_layouts_are_refused() -> None:
    with pytest.raises(ValueError, match="features"):
        HashLayout(((4, 4),), features=3, log2_table_size=8)
    with pytest.raises(ValueError, match="dimensions"):
        HashLayout(((4,),), features=2, log2_table_size=8)
