"""Zip-NeRF's multisampling in numba: where an interval's Gaussians lie, and the means of their features.

In torch these are some forty operations on arrays of all Gaussians, each too small to be worth a thread.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .jit import kernel

# Gaussians that stand for an interval.
SAMPLES = 6


@kernel
def gaussians(
    rays_o: Any,
    rays_d: Any,
    first: Any,
    second: Any,
    radii: Any,
    edges: Any,
    is_reversed: Any,
    turns: Any,
    order: Any,
    std_scale: float,
    diameter: float,
    low: int,
    high: int,
    places: Any,
    sizes: Any,
) -> None:
    """Contracted means (R, S, 6, 3) and standard deviations (R, S, 6) of rays ``low`` to ``high``.

    In the unit cube, where the contraction's ball has radius 1/2. ``first``, ``second`` (R, 3) are across
    the rays; ``order`` (6,) in sixths of a turn. Equations: ``multisample`` and ``contract_gaussians``.
    """
    real = edges.dtype.type
    one, two, half = real(1), real(2), real(0.5)
    root_half, widening, third = real(math.sqrt(0.5)), real(3.0 / math.sqrt(7.0)), real(1.0 / 3.0)
    spread, share = real(std_scale), one / real(diameter)
    cosines, sines = np.empty(SAMPLES, edges.dtype), np.empty(SAMPLES, edges.dtype)
    for k in range(SAMPLES):
        cosines[k], sines[k] = math.cos(order[k] * math.pi / 3.0), math.sin(order[k] * math.pi / 3.0)
    for ray in range(low, high):
        for interval in range(edges.shape[1] - 1):
            t0, t1 = edges[ray, interval], edges[ray, interval + 1]
            s, d = half * (t0 + t1), half * (t1 - t0)
            scale = d / (d * d + real(3) * s * s)
            across = d * d - s * s
            middle = t1 * t1 + two * s * s
            wide = widening * (across * across + real(4) * s * s * s * s) ** half
            cosine, sine = math.cos(turns[ray, interval]), math.sin(turns[ray, interval])
            for k in range(SAMPLES):
                t = t0 + scale * (middle + wide * (real(0.4) * real(k) - one))
                corner = SAMPLES - 1 - k if is_reversed[ray, interval] else k
                away = root_half * radii[ray] * t
                along_first = away * (cosine * cosines[corner] - sine * sines[corner])
                along_second = away * (sine * cosines[corner] + cosine * sines[corner])
                squared = real(0)
                for axis in range(3):
                    place = rays_o[ray, axis] + t * rays_d[ray, axis]
                    place += along_first * first[ray, axis] + along_second * second[ray, axis]
                    places[ray, interval, k, axis] = place
                    squared += place * place
                size, shrink = spread * away, one
                if not squared <= one:
                    inverse = one / squared**half
                    shrink = (two - inverse) * inverse
                    size *= (shrink * shrink * inverse * inverse) ** third
                sizes[ray, interval, k] = size * share
                for axis in range(3):
                    places[ray, interval, k, axis] = places[ray, interval, k, axis] * shrink * share + half


@kernel
def weighted_means(encoded: Any, weights: Any, low: int, high: int, means: Any, shares: Any) -> None:
    """Means (N, L, F) of ``encoded`` (N, M, L, F) times ``weights`` (N, M, L), and (N, L) of the weights."""
    samples, levels, features = encoded.shape[1], encoded.shape[2], encoded.shape[3]
    share = means.dtype.type(1) / means.dtype.type(samples)
    means[low:high] = 0
    shares[low:high] = 0
    for n in range(low, high):
        for m in range(samples):
            for level in range(levels):
                weight = weights[n, m, level] * share
                shares[n, level] += weight
                for f in range(features):
                    means[n, level, f] += weight * encoded[n, m, level, f]


@kernel
def weighted_means_backward(d_means: Any, weights: Any, low: int, high: int, d_encoded: Any) -> None:
    """The gradient of ``weighted_means`` for ``encoded``."""
    samples, levels, features = weights.shape[1], weights.shape[2], d_means.shape[2]
    share = d_means.dtype.type(1) / d_means.dtype.type(samples)
    for n in range(low, high):
        for m in range(samples):
            for level in range(levels):
                weight = weights[n, m, level] * share
                for f in range(features):
                    d_encoded[n, m, level, f] = weight * d_means[n, level, f]
