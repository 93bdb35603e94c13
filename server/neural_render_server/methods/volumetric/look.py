"""Which marched samples are visible, found by looking along the rays in waves."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch

from ...fields.hash_field import RadianceNetworks
from ...kernels import waves_cpu
from ...kernels.compositing import kept_bounds, visible
from ...kernels.compositing_reference import ray_of_sample
from ...kernels.threads import run_sliced, several_bounds
from ...kernels.volume_dispatch import is_compiled

# Samples behind this share of the light are not worth their time (Instant-NGP, released code).
LEAST_TRANSMITTANCE = 1e-4
LIMIT = -math.log(LEAST_TRANSMITTANCE)
# Samples a ray that are looked at before the rest; each next wave is as long as all before it.
FIRST_WAVE = 16

cpu: Any = waves_cpu  # compiled functions have no types


class Encoder(Protocol):
    """What of a field is needed to see through it."""

    networks: RadianceNetworks

    def encode(self, places: torch.Tensor, times: torch.Tensor) -> torch.Tensor:
        """(N, W) features at field coordinates ``places`` (N, 3) and ``times`` (N,); without gradient."""


@dataclass(frozen=True, eq=False)
class Steps:
    """Rays (R, 3) in unit coordinates at ``times`` (R,), and all marched steps along them.

    ``bounds`` (R + 1,), ``starts`` and ``lengths`` (M,) as ``march`` gives them; ``scale`` from unit to field
    coordinates about the cube's middle.
    """

    rays_o: torch.Tensor
    rays_d: torch.Tensor
    times: torch.Tensor
    bounds: torch.Tensor
    starts: torch.Tensor
    lengths: torch.Tensor
    scale: float


@dataclass(frozen=True, eq=False)
class Samples:
    """The N visible samples, ray r's at ``bounds[r] <= n < bounds[r + 1]``, front to back.

    ``rows`` (N,) their rays, ``features`` (N, W), ``places`` (N, 3) in field coordinates, ``times`` (N,),
    ``path`` (N,) their lengths in unit coordinates; ``distances`` (N,) of their middles and ``lengths`` (N,)
    along ``rays_d``.
    """

    bounds: torch.Tensor
    rows: torch.Tensor
    features: torch.Tensor
    places: torch.Tensor
    times: torch.Tensor
    path: torch.Tensor
    distances: torch.Tensor
    lengths: torch.Tensor


def look(field: Encoder, steps: Steps) -> Samples:
    """The samples that at least ``LEAST_TRANSMITTANCE`` of the light reaches; without gradient.

    The first samples of all rays are evaluated first, and none of a ray once nothing is left of its light.
    """
    with torch.no_grad():
        if is_compiled(steps.rays_o):
            return _look_in_numba(field, steps)
        return _look_in_torch(field, steps)


def _look_in_torch(field: Encoder, steps: Steps) -> Samples:
    bounds = steps.bounds
    rows = ray_of_sample(bounds)
    distances = steps.starts + 0.5 * steps.lengths
    unit = steps.rays_o[rows] + distances[:, None] * steps.rays_d[rows]
    places, times = (unit - 0.5) * steps.scale + 0.5, steps.times[rows]
    path = steps.lengths * steps.rays_d.norm(dim=-1)[rows]
    features = places.new_empty(0)
    thickness = torch.zeros_like(path)
    reached = torch.zeros(len(bounds) - 1, dtype=path.dtype, device=path.device)
    number = torch.arange(len(rows), device=rows.device) - bounds[rows]
    longest = int(bounds.diff().max()) if len(bounds) > 1 else 0
    first, last = 0, FIRST_WAVE
    while first < longest or not len(features):
        in_wave = (number >= first) & (number < last) & (reached <= LIMIT)[rows]
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
    kept = visible(thickness, bounds, LEAST_TRANSMITTANCE)
    index = torch.nonzero(kept)[:, 0]
    return Samples(
        kept_bounds(kept, bounds),
        rows[index],
        features[index],
        places[index],
        times[index],
        path[index],
        distances[index],
        steps.lengths[index],
    )


@dataclass(frozen=True, eq=False)
class _Wave:
    """A wave's samples, as arrays: see ``Samples``."""

    first: int
    bounds: Any
    features: Any
    places: Any
    times: Any
    path: Any


def _look_in_numba(field: Encoder, steps: Steps) -> Samples:
    arrays = [
        tensor.detach().contiguous().numpy()
        for tensor in (steps.rays_o, steps.rays_d, steps.times, steps.starts, steps.lengths, steps.bounds)
    ]
    bounds = arrays[-1]
    rays = len(bounds) - 1
    slices = several_bounds(rays)
    reached, kept = np.zeros(rays, arrays[0].dtype), np.zeros(rays, np.int64)
    waves: list[_Wave] = []
    first, last = 0, FIRST_WAVE
    while True:
        going_on = np.where(reached <= LIMIT, np.minimum(np.diff(bounds), last) - first, 0)
        own = np.concatenate([[0], np.cumsum(np.maximum(going_on, 0))])
        count = int(own[-1])
        if count == 0 and waves:
            break
        places, times, path = (steps.starts.new_empty(count, *shape) for shape in ((3,), (), ()))
        outputs = places.numpy(), times.numpy(), path.numpy()
        inputs = (*arrays, own, first, arrays[0].dtype.type(steps.scale))
        run_sliced(lambda low, high, a=inputs, b=outputs: cpu.place(*a, low, high, *b), slices)  # type: ignore[misc]
        features = field.encode(places, times)
        density = field.networks.density(features).numpy()
        inputs = (density, outputs[2], own, LIMIT)
        run_sliced(lambda low, high, a=inputs: cpu.pass_through(*a, low, high, reached, kept), slices)  # type: ignore[misc]
        waves.append(_Wave(first, own, features.detach().numpy(), *outputs))
        first, last = last, 2 * last
    return _packed(waves, kept, steps, slices)


def _packed(waves: list[_Wave], kept: Any, steps: Steps, slices: list[int]) -> Samples:
    bounds = np.concatenate([[0], np.cumsum(kept)])
    count, like = int(bounds[-1]), steps.starts
    width = waves[0].features.shape[1]
    features, places, times, path, distances, lengths = (
        like.new_empty(count, *shape) for shape in ((width,), (3,), (), (), (), ())
    )
    outputs = [tensor.numpy() for tensor in (features, places, times, path)]
    rows = torch.empty(count, dtype=torch.int64)
    along = steps.starts.numpy(), steps.lengths.numpy(), steps.bounds.numpy(), bounds

    def run(low: int, high: int) -> None:
        for wave in waves:
            inputs = wave.features, wave.places, wave.times, wave.path, wave.bounds, wave.first
            cpu.pack(*inputs, bounds, low, high, *outputs)
        cpu.along(*along, low, high, rows.numpy(), distances.numpy(), lengths.numpy())

    run_sliced(run, slices)
    return Samples(torch.from_numpy(bounds), rows, features, places, times, path, distances, lengths)
