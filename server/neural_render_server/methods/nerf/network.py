"""NeRF's network (Mildenhall et al. 2020, section 5.1, figure 7; sizes as in the released code)."""

from __future__ import annotations

import torch
from torch import nn

from ...fields.encodings import positional_encoding, positional_encoding_width
from ...fields.networks import CHUNK_ROWS, MLP
from .config import CoarseFineConfig


class RadianceNetwork(nn.Module):
    """Density from the place (and time), colour from the view direction besides.

    The last layer of the first part is both of the paper's heads: its first output is density, the others
    are the features that colour is made from. ``condition_width`` is that of what stands for time: it joins
    the encoded position, so that density depends on it (DyNeRF, Li et al. 2022, equation 2).
    """

    def __init__(self, config: CoarseFineConfig, condition_width: int, generator: torch.Generator) -> None:
        super().__init__()
        self.position_octaves = config.position_octaves
        self.direction_octaves = config.direction_octaves
        inputs = positional_encoding_width(3, config.position_octaves) + condition_width
        self.trunk = MLP(
            inputs, 1 + config.width, config.width, config.layers, skip=config.skip, generator=generator
        )
        color_inputs = config.width + positional_encoding_width(3, config.direction_octaves)
        self.color = MLP(color_inputs, 3, max(1, config.width // 2), 1, generator=generator)

    def forward(
        self, points: torch.Tensor, directions: torch.Tensor, condition: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Raw density (R, S), before its ReLU, and colour (R, S, 3) in [0, 1].

        ``points`` (R, S, 3) in field coordinates, unit ``directions`` (R, 3), ``condition`` (R, C).
        """
        # a chunk's activations stay in the processor's caches, its encodings too
        rows = max(1, CHUNK_ROWS // points.shape[1]) if points.device.type == "cpu" else max(1, len(points))
        pairs = zip(*(torch.split(x, rows) for x in (points, directions, condition)), strict=True)
        parts = [self._rays(*pair) for pair in pairs]
        return torch.cat([density for density, _ in parts]), torch.cat([color for _, color in parts])

    def _rays(
        self, points: torch.Tensor, directions: torch.Tensor, condition: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        samples = points.shape[1]

        def of_samples(x: torch.Tensor) -> torch.Tensor:
            return x[:, None].expand(-1, samples, -1)

        encoded = torch.cat(
            [positional_encoding(points, self.position_octaves), of_samples(condition)], dim=-1
        )
        heads = self.trunk(encoded.flatten(0, 1)).view(*points.shape[:2], -1)
        seen_from = of_samples(positional_encoding(directions, self.direction_octaves))
        color = self.color(torch.cat([heads[..., 1:], seen_from], dim=-1).flatten(0, 1))
        return heads[..., 0], torch.sigmoid(color).view(*points.shape[:2], 3)
