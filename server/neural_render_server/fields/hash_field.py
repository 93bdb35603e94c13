"""Instant-NGP's field: a hash encoding, a density network and a colour network."""

from __future__ import annotations

import torch
from torch import nn

from ..kernels import hash_encoding, radiance
from ..kernels.hash_layout import HashLayout, initial_table
from ..kernels.volume_dispatch import is_compiled
from .activations import truncated_exp
from .encodings import HARMONICS
from .networks import CHUNK_ROWS, MLP, in_chunks

# Outputs of the density network; the first is the logarithm of density (Instant-NGP, section 5.4).
GEOMETRY = 16


class RadianceNetworks(nn.Module):
    """Density and colour from encoded positions; bias-free, as in tiny-cuda-nn.

    Instant-NGP, section 5.4: one hidden layer for density, two for colour, 64 wide.
    """

    def __init__(self, inputs: int, width: int, color_layers: int, generator: torch.Generator) -> None:
        super().__init__()
        self.density_network = MLP(inputs, GEOMETRY, width, 1, bias=False, generator=generator)
        self.color_network = MLP(
            GEOMETRY + HARMONICS, 3, width, color_layers, bias=False, generator=generator
        )

    def density(self, features: torch.Tensor) -> torch.Tensor:
        """(N,) density for ``features`` (N, inputs)."""
        if self._is_compiled(features) and not torch.is_grad_enabled():
            return radiance.density(features, self.density_network.weights())
        return in_chunks(lambda part: truncated_exp(self.density_network(part)[:, 0]), features)

    def radiance(
        self, features: torch.Tensor, harmonics: torch.Tensor, rows: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Density (N,) and colour (N, 3) in [0, 1].

        ``harmonics`` (R, 16) of directions, of which sample n has number ``rows[n]``.
        """
        if self._is_compiled(features):
            weights = self.density_network.weights(), self.color_network.weights()
            return radiance.radiance(features, harmonics, rows, *weights)
        parts = []
        step = CHUNK_ROWS if features.device.type == "cpu" else max(1, len(features))
        for part, own in zip(torch.split(features, step), torch.split(rows, step), strict=True):
            geometry = self.density_network(part)
            color = torch.sigmoid(self.color_network(torch.cat([geometry, harmonics[own]], dim=-1)))
            parts.append((truncated_exp(geometry[:, 0]), color))
        return torch.cat([density for density, _ in parts]), torch.cat([color for _, color in parts])

    @staticmethod
    def _is_compiled(features: torch.Tensor) -> bool:
        return is_compiled(features) and features.dtype == torch.float32


class HashField(nn.Module):
    """A still field over the unit cube. The table's gradient is summed by hand, in ``accumulate``."""

    def __init__(self, layout: HashLayout, width: int, color_layers: int, generator: torch.Generator) -> None:
        super().__init__()
        self.layout = layout
        self.table = nn.Parameter(initial_table(layout, generator), requires_grad=False)
        self.networks = RadianceNetworks(layout.width, width, color_layers, generator)

    def encode(self, places: torch.Tensor, times: torch.Tensor) -> torch.Tensor:
        """(N, W) features at ``places`` (N, 3) in [0, 1]; ``times`` do not matter here."""
        return hash_encoding.encode(places, self.table, self.layout)

    def accumulate(self, places: torch.Tensor, times: torch.Tensor, d_features: torch.Tensor) -> None:
        """Add the features' gradient (N, W) to the table's ``grad``."""
        assert self.table.grad is not None
        hash_encoding.accumulate_table_gradient(places, d_features, self.layout, self.table.grad)
