"""Multiresolution hash encoding (Instant-NGP, Mueller et al. 2022, section 3), on any device."""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import torch

from . import hash_encoding_reference as reference
from .hash_corners import CHUNK, in_chunks
from .hash_encoding_cpu import kernels
from .hash_layout import HashLayout
from .threads import SLICES_PER_THREAD, even_bounds, run_all, run_sliced, thread_count
from .volume_dispatch import as_array, is_compiled


def hash_encode(positions: torch.Tensor, table: torch.Tensor, layout: HashLayout) -> torch.Tensor:
    """(N, L F) features at ``positions`` (N, D) in [0, 1] (clamped), from ``table`` (entries, F).

    Differentiable in both. float32, or float64 for tests.
    """
    result: torch.Tensor = _HashEncode.apply(positions, table, layout)  # type: ignore[no-untyped-call]
    return result


class _HashEncode(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, positions: torch.Tensor, table: torch.Tensor, layout: HashLayout) -> torch.Tensor:
        ctx.save_for_backward(positions, table)
        ctx.layout = layout
        return encode(positions, table, layout)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, torch.Tensor | None, None]:
        positions, table = ctx.saved_tensors
        d_encoded = gradients[0].contiguous()
        d_table = d_positions = None
        if ctx.needs_input_grad[1]:
            d_table = torch.zeros_like(table)
            accumulate_table_gradient(positions, d_encoded, ctx.layout, d_table)
        if ctx.needs_input_grad[0]:
            d_positions = position_gradient(positions, table, d_encoded, ctx.layout)
        return d_positions, d_table, None


def encode(positions: torch.Tensor, table: torch.Tensor, layout: HashLayout) -> torch.Tensor:
    """As ``hash_encode``, without a gradient."""
    if not is_compiled(positions):
        return reference.encode(positions.detach(), table.detach(), layout)
    compiled = _compiled(layout, table)
    encoded = torch.empty(len(positions), layout.width, dtype=table.dtype)
    entries = _flat(table)
    by_level = np.empty((layout.levels, len(positions) * layout.features), entries.dtype)
    arguments = (_chunked(positions), entries, *_layout_arrays(layout))
    bounds = _chunk_bounds(len(positions))
    # level by level, so that all threads look into one level's entries
    parts = _chunk_bounds(len(positions), -(-2 * SLICES_PER_THREAD * thread_count() // layout.levels))
    slices = [(level, low, high) for level in range(layout.levels) for low, high in pairwise(parts)]
    run_all([partial(compiled.forward, *arguments, *one, by_level) for one in slices])
    output = _flat(encoded)
    run_sliced(lambda low, high: compiled.to_rows(by_level, low, high, output), bounds)
    return encoded


def accumulate_table_gradient(
    positions: torch.Tensor, d_encoded: torch.Tensor, layout: HashLayout, d_table: torch.Tensor
) -> None:
    """Add the gradient for the table to ``d_table`` (entries, F), given that of the features (N, L F)."""
    if not is_compiled(positions):
        reference.accumulate_table_gradient(positions.detach(), d_encoded, layout, d_table)
        return
    compiled = _compiled(layout, d_table)
    rows, output = _flat(d_encoded), d_table.detach().view(-1).numpy()
    by_level = np.empty((layout.levels, len(positions) * layout.features), rows.dtype)
    bounds = _chunk_bounds(len(positions))
    run_sliced(lambda low, high: compiled.to_levels(rows, low, high, by_level), bounds)
    arguments = (_chunked(positions), by_level, *_layout_arrays(layout))
    # the finest level takes longest, so it is not the last to begin
    levels = reversed(range(layout.levels))
    run_all([partial(compiled.table_backward, *arguments, level, output) for level in levels])


def position_gradient(
    positions: torch.Tensor, table: torch.Tensor, d_encoded: torch.Tensor, layout: HashLayout
) -> torch.Tensor:
    """(N, D) gradient for the positions; 0 along an axis where a position was clamped."""
    if not is_compiled(positions):
        return reference.position_gradient(positions, table, d_encoded, layout)
    result = torch.empty_like(positions, memory_format=torch.contiguous_format)
    compiled = _compiled(layout, table)
    arguments = (_chunked(positions), _flat(table), _flat(d_encoded), *_layout_arrays(layout))
    output = result.detach().numpy()
    run_sliced(
        lambda low, high: compiled.position_backward(*arguments, low, high, output),
        _chunk_bounds(len(positions)),
    )
    return result


def _compiled(layout: HashLayout, table: torch.Tensor) -> Any:
    return kernels(layout.dimensions, layout.features, table.dtype == torch.float64)


def _chunked(positions: torch.Tensor) -> Any:
    """(D, N) of positions (N, D), behind which zeros fill the last chunk."""
    count, dimensions = positions.shape
    columns = np.zeros((dimensions, in_chunks(count)), positions.detach().numpy().dtype)
    columns[:, :count] = positions.detach().numpy().T
    return columns


def _chunk_bounds(points: int, slices: int = 0) -> list[int]:
    """Bounds of ``slices`` of points, or of several a thread; each is whole chunks but for the last."""
    chunks = even_bounds(in_chunks(points) // CHUNK, slices or SLICES_PER_THREAD * thread_count())
    return [min(points, CHUNK * bound) for bound in chunks]


def _flat(tensor: torch.Tensor) -> Any:
    return as_array(tensor).reshape(-1)


def _layout_arrays(layout: HashLayout) -> tuple[Any, ...]:
    mask = np.uint32(2**layout.log2_table_size - 1)
    return layout.cells, layout.factors, layout.is_dense, layout.offsets, mask
