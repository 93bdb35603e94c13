"""Zip-NeRF's networks, and a ray rendered by two rounds of proposals and the field."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from ...fields.activations import truncated_exp
from ...fields.encodings import positional_encoding, positional_encoding_width
from ...fields.networks import MLP
from ...kernels.ray_parts import RayParts
from ..volumetric import stepfun
from ..volumetric.quadrature import composite, composite_mattes, volume_weights
from ..volumetric.rays import torch_random
from .config import ZipNerfConfig
from .grid import MultisampledGrid, doubling_layout
from .multisampling import Hexagons, contracted_multisamples
from .spacing import RaySpacing

# Added to the logarithm of density, so that space starts out thin (released code).
DENSITY_BIAS = -1.0
DIRECTION_OCTAVES = 4
# Slope of the annealing of weights before resampling (mip-NeRF 360, released code).
ANNEAL_SLOPE = 10.0
# Where nothing is behind the field, its last interval has no end: it is opaque.
ENDLESS = 1e10


class DensityNetwork(nn.Module):
    """A grid and one hidden layer: density, and ``further`` features."""

    def __init__(
        self, config: ZipNerfConfig, finest: int, features: int, further: int, generator: torch.Generator
    ) -> None:
        super().__init__()
        layout = doubling_layout(config.coarsest, finest, features, config.log2_table_size)
        self.grid = MultisampledGrid(layout, generator)
        self.network = MLP(self.grid.width, 1 + further, config.width, 1, generator=generator)

    def forward(self, means: torch.Tensor, stds: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Density (R, S) per scene radius and features (R, S, further).

        ``means`` (R, S, M, 3) and ``stds`` (R, S, M) in the contraction's unit cube.
        """
        outputs = self.network(self.grid(means.flatten(0, 1), stds.flatten(0, 1)))
        outputs = outputs.view(*means.shape[:2], -1)
        return truncated_exp(outputs[..., 0] + DENSITY_BIAS), outputs[..., 1:]


class ZipNerfField(nn.Module):
    """Two proposals, which know density alone, and the field."""

    def __init__(self, config: ZipNerfConfig, generator: torch.Generator) -> None:
        super().__init__()
        self.proposals = nn.ModuleList(
            DensityNetwork(config, finest, 1, 0, generator) for finest in config.finest_proposals
        )
        self.density = DensityNetwork(config, config.finest, config.features, config.bottleneck, generator)
        inputs = config.bottleneck + positional_encoding_width(3, DIRECTION_OCTAVES)
        self.color = MLP(inputs, 3, config.color_width, 3, skip=2, generator=generator)

    def networks(self) -> Sequence[DensityNetwork]:
        """What gives density at each level, in order."""
        proposals = [network for network in self.proposals if isinstance(network, DensityNetwork)]
        return [*proposals, self.density]

    def colors(self, features: torch.Tensor, directions: torch.Tensor) -> torch.Tensor:
        """(R, S, 3) for ``features`` (R, S, F) seen along unit ``directions`` (R, 3)."""
        rays, samples, _ = features.shape
        encoded = positional_encoding(directions, DIRECTION_OCTAVES)[:, None].expand(-1, samples, -1)
        inputs = torch.cat([features, encoded], dim=-1).flatten(0, 1)
        return torch.sigmoid(self.color(inputs)).view(rays, samples, 3)

    def weight_decay(self) -> torch.Tensor:
        """The mean square of every grid level, summed."""
        return torch.stack([network.grid.mean_squares().sum() for network in self.networks()]).sum()


@dataclass(frozen=True, eq=False)
class Cones:
    """R pixel cones in scene radii around the scene's centre.

    ``directions`` (R, 3) have unit planar depth; ``radii`` (R,) where it is 1. ``is_there`` (R,): whether
    the ray meets the scene at all. ``ends_open``: nothing is behind the last interval.
    """

    origins: torch.Tensor
    directions: torch.Tensor
    radii: torch.Tensor
    spacing: RaySpacing
    is_there: torch.Tensor
    ends_open: bool


@dataclass(frozen=True, eq=False)
class Level:
    """What one round found: ``s`` and ``t`` (R, S + 1) edges, ``weights`` (R, S)."""

    s: torch.Tensor
    t: torch.Tensor
    weights: torch.Tensor


@dataclass(frozen=True, eq=False)
class Rendered:
    """Premultiplied colour (R, 3), opacity (R,), weights times distance (R,), and all rounds.

    ``front``: the part of the first three in front, and ``mattes`` (R, M), where rays are cut into parts.
    """

    color: torch.Tensor
    opacity: torch.Tensor
    distance: torch.Tensor
    levels: Sequence[Level]
    front: tuple[torch.Tensor, torch.Tensor, torch.Tensor] | None = None
    mattes: torch.Tensor | None = None


def render_cones(
    field: ZipNerfField,
    cones: Cones,
    samples: Sequence[int],
    progress: float = 1.0,
    random: np.random.Generator | None = None,
    parts: RayParts | None = None,
    deepest: float = float("inf"),
) -> Rendered:
    """Render cones; ``random`` is given in training alone.

    ``parts``: what the rays are cut into, in scene radii; all of them is kept without. A distance beyond
    ``deepest`` counts as that.
    """
    count, device = len(cones.origins), cones.origins.device
    s = torch.tensor([[0.0, 1.0]], device=device).expand(count, 2)
    weights = torch.ones(count, 1, device=device)
    anneal = ANNEAL_SLOPE * progress / ((ANNEAL_SLOPE - 1.0) * progress + 1.0)
    stretch = cones.directions.norm(dim=-1, keepdim=True)
    levels: list[Level] = []
    features = torch.empty(0)
    for network, intervals in zip(field.networks(), samples, strict=True):
        # one shift a ray: its intervals stay evenly spread (section 4)
        jitter = None if random is None else torch_random(random, count, 1, device=device)
        s = stepfun.sample_intervals(s, weights.detach() ** anneal, intervals, jitter)
        t = cones.spacing.to_t(s)
        hexagons = Hexagons.draw(count, intervals, random)
        means, stds = contracted_multisamples(cones.origins, cones.directions, cones.radii, t, hexagons)
        density, features = network(means, stds)
        middles = 0.5 * (t[:, 1:] + t[:, :-1])
        density = density * cones.is_there[:, None]
        lengths = t.diff(dim=-1)
        shares = None if parts is None else parts.shares(t[:, :-1], lengths)
        if cones.ends_open:
            lengths = torch.cat([lengths[:, :-1], torch.full_like(lengths[:, :1], ENDLESS)], dim=-1)
        weights = volume_weights(density if shares is None else density * shares[0], lengths * stretch)
        levels.append(Level(s, t, weights))
    colors = field.colors(features, torch.nn.functional.normalize(cones.directions, dim=-1))
    middles = middles.clamp_max(deepest)
    whole = composite(weights, colors, middles)
    if parts is None or shares is None:
        return Rendered(*whole, levels)
    front = None
    if parts.has_front:
        front = composite(volume_weights(density * shares[1], lengths * stretch), colors, middles)
    return Rendered(*whole, levels, front, composite_mattes(weights, shares, parts))
