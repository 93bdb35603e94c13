"""Looking along rays in waves, in numba: what a wave of samples needs, and what of it is kept in the end.

``bounds`` (R + 1,) are those of all marched samples, ``wave_bounds`` those of a wave: of the samples from
number ``first`` of each ray on. What is visible of a ray are its first ``kept`` samples.
"""

from __future__ import annotations

from typing import Any

from .jit import kernel


@kernel
def place(
    rays_o: Any,
    rays_d: Any,
    times: Any,
    starts: Any,
    lengths: Any,
    bounds: Any,
    wave_bounds: Any,
    first: int,
    scale: Any,
    low: int,
    high: int,
    places: Any,
    sample_times: Any,
    path: Any,
) -> None:
    """Places (n, 3), times (n,) and path lengths (n,) of a wave's samples on rays ``low`` to ``high``.

    Places are ``scale`` times those of the rays, about the middle of the unit cube.
    """
    real = rays_o.dtype.type
    half = real(0.5)
    for ray in range(low, high):
        dx, dy, dz = rays_d[ray, 0], rays_d[ray, 1], rays_d[ray, 2]
        norm = (dx * dx + dy * dy + dz * dz) ** half
        ox, oy, oz = rays_o[ray, 0] - half, rays_o[ray, 1] - half, rays_o[ray, 2] - half
        shift = bounds[ray] + first - wave_bounds[ray]
        for n in range(wave_bounds[ray], wave_bounds[ray + 1]):
            distance = starts[n + shift] + half * lengths[n + shift]
            places[n, 0] = (ox + distance * dx) * scale + half
            places[n, 1] = (oy + distance * dy) * scale + half
            places[n, 2] = (oz + distance * dz) * scale + half
            sample_times[n] = times[ray]
            path[n] = lengths[n + shift] * norm


@kernel
def pass_through(
    density: Any, path: Any, wave_bounds: Any, limit: float, low: int, high: int, reached: Any, kept: Any
) -> None:
    """Add a wave's thickness to ``reached`` (R,), and to ``kept`` (R,) the number of its visible samples.

    Those are the samples before ``reached`` is beyond ``limit``.
    """
    for ray in range(low, high):
        total = reached[ray]
        for n in range(wave_bounds[ray], wave_bounds[ray + 1]):
            if not total <= limit:  # not a number ends the ray too
                break
            kept[ray] += 1
            total += density[n] * path[n]
        reached[ray] = total


@kernel
def pack(
    features: Any,
    places: Any,
    sample_times: Any,
    path: Any,
    wave_bounds: Any,
    first: int,
    kept_bounds: Any,
    low: int,
    high: int,
    kept_features: Any,
    kept_places: Any,
    kept_times: Any,
    kept_path: Any,
) -> None:
    """Copy what is kept of a wave to its place among all kept samples."""
    for ray in range(low, high):
        start = kept_bounds[ray] + first
        count = min(kept_bounds[ray + 1] - start, wave_bounds[ray + 1] - wave_bounds[ray])
        for k in range(count):
            n, m = wave_bounds[ray] + k, start + k
            source, target = features[n], kept_features[m]
            for column in range(len(source)):
                target[column] = source[column]
            for axis in range(3):
                kept_places[m, axis] = places[n, axis]
            kept_times[m] = sample_times[n]
            kept_path[m] = path[n]


@kernel
def along(
    starts: Any,
    lengths: Any,
    bounds: Any,
    kept_bounds: Any,
    low: int,
    high: int,
    rows: Any,
    distances: Any,
    kept_lengths: Any,
) -> None:
    """Ray (N,), distance along it (N,) and length (N,) of the kept samples."""
    half = starts.dtype.type(0.5)
    for ray in range(low, high):
        for k in range(kept_bounds[ray + 1] - kept_bounds[ray]):
            n, m = bounds[ray] + k, kept_bounds[ray] + k
            rows[m] = ray
            distances[m] = starts[n] + half * lengths[n]
            kept_lengths[m] = lengths[n]
