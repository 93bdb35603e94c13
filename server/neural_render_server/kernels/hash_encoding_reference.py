"""The hash encoding in plain torch: the tests' oracle, and what runs where there is no faster kernel."""

from __future__ import annotations

import torch

from .hash_layout import HashLayout


def corners(positions: torch.Tensor, layout: HashLayout, level: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Entries (N, 2^D) int64 and interpolation weights (N, 2^D) of the corners around ``positions`` (N, D).

    Positions are clamped to [0, 1]. Differentiable in the weights.
    """
    cells = torch.from_numpy(layout.cells[level]).to(positions.device)
    factors = [int(factor) for factor in layout.factors[level]]
    place = positions.clamp(0.0, 1.0) * cells.to(positions.dtype)
    base = torch.minimum(place.detach().floor().long(), cells - 1)
    fraction = place - base.to(positions.dtype)
    indices, weights = [], []
    for corner in range(2**layout.dimensions):
        index = torch.zeros_like(base[:, 0])
        weight = torch.ones_like(fraction[:, 0])
        for axis, factor in enumerate(factors):
            bit = corner >> axis & 1
            term = ((base[:, axis] + bit) * factor) & 0xFFFFFFFF
            index = index + term if layout.is_dense[level] else index ^ term
            weight = weight * (fraction[:, axis] if bit else 1.0 - fraction[:, axis])
        if not layout.is_dense[level]:
            index = index & (2**layout.log2_table_size - 1)
        indices.append(index + int(layout.offsets[level]))
        weights.append(weight)
    return torch.stack(indices, dim=-1), torch.stack(weights, dim=-1)


def encode(positions: torch.Tensor, table: torch.Tensor, layout: HashLayout) -> torch.Tensor:
    """(N, L F): each level's features, interpolated d-linearly. Differentiable by autograd, slowly."""
    parts = []
    for level in range(layout.levels):
        index, weight = corners(positions, layout, level)
        parts.append((table[index] * weight[..., None]).sum(dim=1))
    return torch.cat(parts, dim=-1)


def accumulate_table_gradient(
    positions: torch.Tensor, d_features: torch.Tensor, layout: HashLayout, d_table: torch.Tensor
) -> None:
    """Add the gradient of ``encode`` for the table to ``d_table`` (entries, F), which is contiguous.

    One 1-D ``scatter_add_`` a feature: fifteen times faster on a CPU than rows at once.
    """
    flat = d_table.view(-1)
    for level in range(layout.levels):
        index, weight = corners(positions, layout, level)
        for feature in range(layout.features):
            own = d_features[:, level * layout.features + feature]
            flat.scatter_add_(
                0, (index * layout.features + feature).view(-1), (weight * own[:, None]).view(-1)
            )


def position_gradient(
    positions: torch.Tensor, table: torch.Tensor, d_features: torch.Tensor, layout: HashLayout
) -> torch.Tensor:
    """(N, D) gradient of ``encode`` for the positions."""
    with torch.enable_grad():
        leaf = positions.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(encode(leaf, table.detach(), layout), leaf, d_features)
    return gradient
