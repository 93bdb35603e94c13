"""A hash field over space and time, in which space that stands still is stored once."""

from __future__ import annotations

import torch
from torch import nn

from ..kernels import hash_encoding
from ..kernels.hash_layout import HashLayout, initial_table
from .hash_field import RadianceNetworks


class DynamicHashField(nn.Module):
    """A still encoding of space everywhere, and one of space and time where the ``gate`` is open.

    ``gate`` (G, G, G) bool over the field's cube says where something may change; elsewhere the features of
    space and time are 0, so that nothing of the moving table is spent on what stands still.
    """

    gate: torch.Tensor

    def __init__(
        self,
        still: HashLayout,
        moving: HashLayout,
        gate_resolution: int,
        width: int,
        color_layers: int,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.still_layout, self.moving_layout = still, moving
        self.still_table = nn.Parameter(initial_table(still, generator), requires_grad=False)
        self.moving_table = nn.Parameter(initial_table(moving, generator), requires_grad=False)
        self.register_buffer("gate", torch.ones((gate_resolution,) * 3, dtype=torch.bool))
        self.networks = RadianceNetworks(still.width + moving.width, width, color_layers, generator)

    def may_move(self, places: torch.Tensor) -> torch.Tensor:
        """(N,) bool: whether the gate is open at ``places`` (N, 3) in [0, 1]."""
        cells = self.gate.shape[0]
        x, y, z = (places * cells).long().clamp(0, cells - 1).unbind(-1)
        return self.gate[x, y, z]

    def encode(self, places: torch.Tensor, times: torch.Tensor) -> torch.Tensor:
        """(N, W) features at ``places`` (N, 3) and ``times`` (N,), all in [0, 1]."""
        features = places.new_zeros(len(places), self.still_layout.width + self.moving_layout.width)
        features[:, : self.still_layout.width] = hash_encoding.encode(
            places, self.still_table, self.still_layout
        )
        moving = torch.nonzero(self.may_move(places))[:, 0]
        if len(moving):
            events = torch.cat([places[moving], times[moving, None]], dim=-1)
            encoded = hash_encoding.encode(events, self.moving_table, self.moving_layout)
            features[moving, self.still_layout.width :] = encoded
        return features

    def accumulate(self, places: torch.Tensor, times: torch.Tensor, d_features: torch.Tensor) -> None:
        """Add the features' gradient (N, W) to both tables' ``grad``."""
        assert self.still_table.grad is not None and self.moving_table.grad is not None
        width = self.still_layout.width
        hash_encoding.accumulate_table_gradient(
            places, d_features[:, :width].contiguous(), self.still_layout, self.still_table.grad
        )
        moving = torch.nonzero(self.may_move(places))[:, 0]
        if len(moving):
            events = torch.cat([places[moving], times[moving, None]], dim=-1)
            hash_encoding.accumulate_table_gradient(
                events, d_features[moving, width:].contiguous(), self.moving_layout, self.moving_table.grad
            )
