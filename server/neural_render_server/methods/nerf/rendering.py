"""Hierarchical sampling and compositing: a coarse network finds where the fine one looks (NeRF, 5.2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

from ...kernels.ray_parts import RayParts
from ..volumetric import stepfun
from ..volumetric.quadrature import composite, composite_mattes, volume_weights
from ..volumetric.rays import torch_random
from .space import FieldRays

# The last sample of an open ray stands for all beyond it (released code).
ENDLESS = 1e10
# Added to weights so that the fine samples of an empty ray are spread evenly (released code).
WEIGHT_PADDING = 1e-5


class Radiance(Protocol):
    """Raw density (R, S) and colour (R, S, 3) at points (R, S, 3) seen along unit directions (R, 3)."""

    def __call__(
        self, points: torch.Tensor, directions: torch.Tensor, condition: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]: ...


@dataclass(frozen=True, eq=False)
class Composited:
    """Premultiplied colour (R, 3), opacity (R,), and the sum of weights times planar depth (R,).

    ``front``: the part of the three in front, and ``mattes`` (R, M), where rays are cut into parts.
    """

    color: torch.Tensor
    opacity: torch.Tensor
    depth: torch.Tensor
    front: tuple[torch.Tensor, torch.Tensor, torch.Tensor] | None = None
    mattes: torch.Tensor | None = None


@dataclass(frozen=True)
class Sampling:
    """Numbers of samples; ``random`` is None at test time: everything lies in the middle of its stratum.

    ``noise``: standard deviation of what is added to density before its ReLU.
    """

    coarse: int
    fine: int
    random: np.random.Generator | None = None
    noise: float = 0.0


def render_coarse_fine(
    coarse: Radiance,
    fine: Radiance,
    rays: FieldRays,
    directions: torch.Tensor,
    condition: torch.Tensor,
    parts: RayParts | None,
    sampling: Sampling,
) -> tuple[Composited, Composited]:
    """Both networks' renderings of R rays.

    ``directions`` (R, 3) unit, in capture coordinates; ``condition`` (R, C); ``parts``: what the rays are cut
    into in planar depth; all of them is kept without.
    """
    count, device = len(directions), directions.device
    jitter = _jitter(sampling.random, count, sampling.coarse, device)
    shares = stepfun.stratified(count, sampling.coarse, jitter, directions.dtype, device)
    t = rays.spaced(shares)
    first, weights = _render(coarse, rays, t, directions, condition, parts, sampling)
    middles = 0.5 * (t[:, 1:] + t[:, :-1])
    jitter = _jitter(sampling.random, count, sampling.fine, device)
    quantiles = stepfun.stratified(count, sampling.fine, jitter, directions.dtype, device)
    found = stepfun.sample(middles, weights[:, 1:-1].detach() + WEIGHT_PADDING, quantiles)
    t = torch.sort(torch.cat([t, found], dim=-1), dim=-1).values
    second, _ = _render(fine, rays, t, directions, condition, parts, sampling)
    return first, second


def _jitter(
    random: np.random.Generator | None, rows: int, count: int, device: torch.device
) -> torch.Tensor | None:
    return None if random is None else torch_random(random, rows, count, device=device)


def _render(
    network: Radiance,
    rays: FieldRays,
    t: torch.Tensor,
    directions: torch.Tensor,
    condition: torch.Tensor,
    parts: RayParts | None,
    sampling: Sampling,
) -> tuple[Composited, torch.Tensor]:
    """The rendering and the samples' weights; NeRF, equation 3: each sample stands for all up to the next."""
    raw, colors = network(rays.points(t), directions, condition)
    if sampling.random is not None and sampling.noise > 0.0:
        noise = sampling.random.standard_normal(tuple(raw.shape), dtype=np.float32)
        raw = raw + sampling.noise * torch.from_numpy(noise).to(raw.device)
    density = torch.relu(raw)
    depths = rays.planar_depth(t)
    end = (
        torch.full_like(t[:, :1], ENDLESS) if rays.ends_open else (rays.far[:, None] - t[:, -1:]).clamp_min(0)
    )
    lengths = torch.cat([t.diff(dim=-1), end], dim=-1) * rays.directions.norm(dim=-1, keepdim=True)
    density = density * (rays.near < rays.far)[:, None]
    if parts is None:
        weights = volume_weights(density, lengths)
        return Composited(*composite(weights, colors, depths)), weights
    # the last sample of an open ray is counted where it lies
    last = depths[:, -1:] if rays.ends_open else rays.planar_depth(rays.far[:, None])
    shares = parts.shares(depths, torch.cat([depths, last], dim=-1).diff(dim=-1))
    front = None
    if parts.has_front:
        front = composite(volume_weights(density * shares[1], lengths), colors, depths)
    weights = volume_weights(density * shares[0], lengths)
    mattes = composite_mattes(weights, shares, parts)
    return Composited(*composite(weights, colors, depths), front, mattes), weights
