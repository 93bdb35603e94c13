"""Rays marched through an occupancy grid, and the field's samples along them composited."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import torch

from ...fields.encodings import spherical_harmonics
from ...fields.hash_field import RadianceNetworks
from ...kernels.compositing import composite, kept_bounds, visible
from ...kernels.compositing_reference import ray_of_sample
from ...kernels.march_steps import MarchSteps
from ...kernels.ray_marching import march
from .box import CascadeBox
from .boxes import intersect_box
from .occupancy import OccupancyGrid
from .rendering import Composited, share_before

# Samples behind this share of the light are not worth their time (Instant-NGP, released code).
LEAST_TRANSMITTANCE = 1e-4
# Samples a ray that are looked at before the rest; each next wave is as long as all before it.
FIRST_WAVE = 16


class MarchedField(Protocol):
    """A field whose encodings are evaluated apart from its networks, so that hidden samples cost less."""

    networks: RadianceNetworks

    def encode(self, places: torch.Tensor, times: torch.Tensor) -> torch.Tensor:
        """(N, W) features at field coordinates ``places`` (N, 3) and ``times`` (N,); without gradient."""

    def accumulate(self, places: torch.Tensor, times: torch.Tensor, d_features: torch.Tensor) -> None:
        """Add the features' gradient to the encodings' ``grad``."""


@dataclass(frozen=True, eq=False)
class Marched:
    """What composites to pixels, and what the backward pass needs.

    ``color`` (R, 3) premultiplied, ``opacity`` (R,), ``depth`` (R,) weighted sum of distances along the
    rays; ``features`` (N, W) is a leaf of the graph, of the samples at ``places`` and ``times``. ``front`` is
    the part of colour, opacity and depth before a depth to split at, if one was given.
    """

    color: torch.Tensor
    opacity: torch.Tensor
    depth: torch.Tensor
    features: torch.Tensor
    places: torch.Tensor
    times: torch.Tensor
    front: Composited | None = None

    def backward(self, loss: torch.Tensor, field: MarchedField) -> None:
        """Add the loss's gradient to the ``grad`` of all the field's parameters."""
        loss.backward()  # type: ignore[no-untyped-call]
        if self.features.grad is not None:
            field.accumulate(self.places, self.times, self.features.grad)


@dataclass(frozen=True, eq=False)
class Marcher:
    """Where and how to march."""

    box: CascadeBox
    grid: OccupancyGrid
    steps: MarchSteps

    def render(
        self,
        field: MarchedField,
        rays_o: torch.Tensor,
        rays_d: torch.Tensor,
        times: torch.Tensor,
        near: torch.Tensor,
        far: torch.Tensor,
        jitter: torch.Tensor,
        split: torch.Tensor | None = None,
    ) -> Marched:
        """Render rays (R, 3) in capture coordinates at the field's ``times`` (R,) in [0, 1].

        ``near``, ``far`` (R,) bound the distance along ``rays_d``; ``jitter`` (R,) moves the first step;
        ``split`` (R,): distance along ``rays_d`` to split at.
        """
        origins, directions = self.box.rays_to_unit(rays_o, rays_d)
        half = 0.5 * 2.0 ** (self.box.cascades - 1)
        corner = torch.full((3,), half, dtype=rays_o.dtype, device=rays_o.device)
        enter, leave = intersect_box(origins, directions, 0.5 - corner, 0.5 + corner)
        near, far = torch.maximum(near, enter), torch.minimum(far, leave)
        with torch.no_grad():
            bounds, starts, lengths = march(
                origins, directions, near, far, jitter, self.grid.occupied, self.steps
            )
            distances = starts + 0.5 * lengths
            rows = ray_of_sample(bounds)
            unit = origins[rows] + distances[:, None] * directions[rows]
            places = self.box.unit_to_field(unit)
            sample_times = times[rows]
            path = lengths * directions.norm(dim=-1)[rows]
            features, kept = self._look(field, places, sample_times, path, rows, bounds)
            bounds = kept_bounds(kept, bounds)
            index = torch.nonzero(kept)[:, 0]
            harmonics = spherical_harmonics(directions / directions.norm(dim=-1, keepdim=True))
            features, places, sample_times = features[index], places[index], sample_times[index]
            rows, path, distances = rows[index], path[index], distances[index]
            starts, lengths = starts[index], lengths[index]
        features.requires_grad_(torch.is_grad_enabled())
        density, color = field.networks.radiance(features, harmonics, rows)
        thickness = density * path
        pixels, opacity, depth = composite(thickness, color, distances, bounds)
        front = None
        if split is not None:
            share = share_before(split[rows], starts, lengths)
            front = composite(thickness * share, color, distances, bounds)
        return Marched(pixels, opacity, depth, features, places, sample_times, front)

    def _look(
        self,
        field: MarchedField,
        places: torch.Tensor,
        times: torch.Tensor,
        path: torch.Tensor,
        rows: torch.Tensor,
        bounds: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Features (N, W) of the samples, and which (N,) are visible; what is hidden stays unevaluated.

        Rays are looked along in waves, the first samples of all rays first, and no further once nothing is
        left of the light.
        """
        features = places.new_empty(0)
        thickness = torch.zeros_like(path)
        reached = torch.zeros(len(bounds) - 1, dtype=path.dtype, device=path.device)
        number = torch.arange(len(rows), device=rows.device) - bounds[rows]
        limit = -math.log(LEAST_TRANSMITTANCE)
        longest = int(bounds.diff().max()) if len(bounds) > 1 else 0
        first, last = 0, FIRST_WAVE
        while first < longest or not len(features):
            in_wave = (number >= first) & (number < last) & (reached <= limit)[rows]
            index = torch.nonzero(in_wave)[:, 0]
            found = field.encode(places[index], times[index])
            if not len(features):
                features = places.new_empty(len(places), found.shape[1])
            if len(index) == 0:
                break
            features[index] = found
            own = field.networks.density(found) * path[index]
            thickness[index] = own
            reached.index_add_(0, rows[index], own)
            first, last = last, 2 * last
        return features, visible(thickness, bounds, LEAST_TRANSMITTANCE)

    def density(self, field: MarchedField, unit: torch.Tensor, times: torch.Tensor) -> torch.Tensor:
        """(N,) density, per edge of the innermost cube, at ``unit`` coordinates (N, 3)."""
        with torch.no_grad():
            return field.networks.density(field.encode(self.box.unit_to_field(unit), times))
