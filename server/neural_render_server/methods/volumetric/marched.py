"""Rays marched through an occupancy grid, and the field's samples along them composited."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch

from ...fields.encodings import spherical_harmonics
from ...kernels.compositing import composite
from ...kernels.march_steps import MarchSteps
from ...kernels.ray_marching import march
from ...kernels.ray_parts import RayParts
from ...kernels.ray_shapes import intersect_box
from .box import CascadeBox
from .look import Encoder, Steps, look
from .occupancy import OccupancyGrid
from .rendering import Composited


class MarchedField(Encoder, Protocol):
    """A field whose encodings are evaluated apart from its networks, so that hidden samples cost less."""

    def accumulate(self, places: torch.Tensor, times: torch.Tensor, d_features: torch.Tensor) -> None:
        """Add the features' gradient to the encodings' ``grad``."""


@dataclass(frozen=True, eq=False)
class Marched:
    """What composites to pixels, and what the backward pass needs.

    ``color`` (R, 3) premultiplied, ``opacity`` (R,), ``depth`` (R,) weighted sum of distances along the
    rays; ``features`` (N, W) is a leaf of the graph, of the samples at ``places`` and ``times``. ``front``:
    the part of colour, opacity and depth in front, and ``mattes`` (R, M), where rays are cut into parts.
    """

    color: torch.Tensor
    opacity: torch.Tensor
    depth: torch.Tensor
    features: torch.Tensor
    places: torch.Tensor
    times: torch.Tensor
    front: Composited | None = None
    mattes: torch.Tensor | None = None

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
        parts: RayParts | None = None,
    ) -> Marched:
        """Render rays (R, 3) in capture coordinates at the field's ``times`` (R,) in [0, 1].

        ``near``, ``far`` (R,) bound the distance along ``rays_d``; ``jitter`` (R,) moves the first step;
        ``parts``: what the rays are cut into; all of them is kept without.
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
            steps = Steps(origins, directions, times, bounds, starts, lengths, self.box.field_scale)
            samples = look(field, steps)
            harmonics = spherical_harmonics(directions / directions.norm(dim=-1, keepdim=True))
        features = samples.features.requires_grad_(torch.is_grad_enabled())
        density, color = field.networks.radiance(features, harmonics, samples.rows)
        thickness = density * samples.path
        front = mattes = None
        if parts is not None:
            starts = samples.distances - 0.5 * samples.lengths
            shares = parts.shares(starts, samples.lengths, samples.rows)
            if parts.has_front:
                front = composite(thickness * shares[1], color, samples.distances, samples.bounds)
            thickness = thickness * shares[0]
            inside = shares[parts.first_matte :] / shares[0].clamp_min(torch.finfo(starts.dtype).tiny)
            mattes = composited_values(thickness, inside, samples.distances, samples.bounds)
        pixels, opacity, depth = composite(thickness, color, samples.distances, samples.bounds)
        return Marched(pixels, opacity, depth, features, samples.places, samples.times, front, mattes)

    def density(self, field: MarchedField, unit: torch.Tensor, times: torch.Tensor) -> torch.Tensor:
        """(N,) density, per edge of the innermost cube, at ``unit`` coordinates (N, 3)."""
        with torch.no_grad():
            return field.networks.density(field.encode(self.box.unit_to_field(unit), times))


def composited_values(
    thickness: torch.Tensor, values: torch.Tensor, distances: torch.Tensor, bounds: torch.Tensor
) -> torch.Tensor:
    """(R, V) sums of weights times each of ``values`` (V, N), three at once as if they were colours."""
    count = len(values)
    padded = torch.nn.functional.pad(values, (0, 0, 0, -count % 3))
    columns = [
        composite(thickness, padded[first : first + 3].T.contiguous(), distances, bounds)[0]
        for first in range(0, count, 3)
    ]
    return torch.cat([thickness.new_empty(len(bounds) - 1, 0), *columns], dim=-1)[:, :count]
