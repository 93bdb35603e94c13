"""Compositing of packed samples in numba, ray by ray, in any floating type."""

from __future__ import annotations

import math
from typing import Any

from .jit import kernel


@kernel
def forward(
    thickness: Any,
    colors: Any,
    distances: Any,
    bounds: Any,
    low: int,
    high: int,
    color: Any,
    opacity: Any,
    depth: Any,
    weights: Any,
    after: Any,
) -> None:
    """Rays ``low <= ray < high``; ``weights`` (N,) and transmittance ``after`` (N,) serve the backward."""
    one = thickness.dtype.type(1)
    for ray in range(low, high):
        red = green = blue = alpha = far = thickness.dtype.type(0)
        before = one
        for n in range(bounds[ray], bounds[ray + 1]):
            lost = math.expm1(-thickness[n])  # exact to the last digits where exp(-x) - 1 is not
            weight = before * -lost
            before = before * (one + lost)
            red += weight * colors[n, 0]
            green += weight * colors[n, 1]
            blue += weight * colors[n, 2]
            alpha += weight
            far += weight * distances[n]
            weights[n] = weight
            after[n] = before
        color[ray, 0], color[ray, 1], color[ray, 2] = red, green, blue
        opacity[ray] = alpha
        depth[ray] = far


@kernel
def backward(
    d_color: Any,
    d_opacity: Any,
    d_depth: Any,
    colors: Any,
    distances: Any,
    bounds: Any,
    weights: Any,
    after: Any,
    low: int,
    high: int,
    d_thickness: Any,
    d_colors: Any,
) -> None:
    """dL/dthickness_i = after_i g_i - sum_{j > i} w_j g_j, with g the loss's gradient for a weight."""
    for ray in range(low, high):
        behind = weights.dtype.type(0)
        for n in range(bounds[ray + 1] - 1, bounds[ray] - 1, -1):
            gradient = (
                d_color[ray, 0] * colors[n, 0]
                + d_color[ray, 1] * colors[n, 1]
                + d_color[ray, 2] * colors[n, 2]
                + d_opacity[ray]
                + d_depth[ray] * distances[n]
            )
            d_thickness[n] = after[n] * gradient - behind
            behind += weights[n] * gradient
            d_colors[n, 0] = weights[n] * d_color[ray, 0]
            d_colors[n, 1] = weights[n] * d_color[ray, 1]
            d_colors[n, 2] = weights[n] * d_color[ray, 2]


@kernel
def visible(thickness: Any, bounds: Any, limit: float, low: int, high: int, kept: Any) -> None:
    """``kept`` (N,): whether the thickness before a sample is at most ``limit``."""
    for ray in range(low, high):
        total = thickness.dtype.type(0)
        for n in range(bounds[ray], bounds[ray + 1]):
            kept[n] = total <= limit
            total += thickness[n]
