"""Step functions along a ray: histograms on ascending edges, their samples, blurs and losses.

A step function has ``edges`` (R, N + 1), ascending, and N values. ``weights`` (R, N) are masses of the
intervals; a ``pdf`` is mass per length. All functions work on rows and are differentiable in the weights.
"""

from __future__ import annotations

import torch

_TINY = torch.finfo(torch.float32).eps


def weights_to_cdf(weights: torch.Tensor, padding: float = 0.0) -> torch.Tensor:
    """(R, N) masses -> (R, N + 1) cumulative shares from exactly 0 to exactly 1.

    ``padding`` is added to every mass: rows without mass become uniform.
    """
    weights = weights + padding
    total = weights.sum(dim=-1, keepdim=True)
    uniform = torch.full_like(weights, 1.0 / weights.shape[-1])
    shares = torch.where(total > 0.0, weights / total.clamp_min(torch.finfo(weights.dtype).tiny), uniform)
    inner = torch.cumsum(shares[..., :-1], dim=-1).clamp_max(1.0)
    zero, one = torch.zeros_like(shares[..., :1]), torch.ones_like(shares[..., :1])
    return torch.cat([zero, inner, one], dim=-1)


def interpolate(x: torch.Tensor, xs: torch.Tensor, ys: torch.Tensor) -> torch.Tensor:
    """Piecewise-linear interpolation by rows: ``x`` (R, M) in ``xs`` (R, K) ascending, ``ys`` (R, K).

    Outside ``xs`` the end values are kept. Where several ``xs`` coincide the last one counts.
    """
    above = torch.searchsorted(xs.contiguous(), x.contiguous(), right=True).clamp(1, xs.shape[-1] - 1)
    below = above - 1
    x0, x1 = xs.gather(-1, below), xs.gather(-1, above)
    y0, y1 = ys.gather(-1, below), ys.gather(-1, above)
    width = x1 - x0
    safe = torch.where(width > 0.0, width, torch.ones_like(width))
    share = torch.where(width > 0.0, (x - x0) / safe, torch.zeros_like(x)).clamp(0.0, 1.0)
    return y0 + share * (y1 - y0)


def stratified(
    rows: int, count: int, jitter: torch.Tensor | None, dtype: torch.dtype, device: torch.device
) -> torch.Tensor:
    """(rows, count) ascending quantiles in (0, 1): midpoints, or moved within their strata by ``jitter``.

    ``jitter`` in [0, 1) is (rows, count), or (rows, 1) for one shift a ray.
    """
    offsets = torch.full((1, 1), 0.5, dtype=dtype, device=device) if jitter is None else jitter
    starts = torch.arange(count, dtype=dtype, device=device)
    return ((starts + offsets) / count).expand(rows, count).clamp(0.0, 1.0 - _TINY)


def sample(edges: torch.Tensor, weights: torch.Tensor, quantiles: torch.Tensor) -> torch.Tensor:
    """(R, M) points where the step function's share of mass is ``quantiles`` (R, M): inverse CDF.

    NeRF 2020, section 5.2. No gradient passes through.
    """
    with torch.no_grad():
        return interpolate(quantiles, weights_to_cdf(weights), edges)


def sample_intervals(
    edges: torch.Tensor, weights: torch.Tensor, count: int, jitter: torch.Tensor | None
) -> torch.Tensor:
    """(R, count + 1) ascending edges of ``count`` intervals around samples of the step function.

    Edges lie midway between neighbouring samples, the outer two mirrored and kept within the old edges
    (mip-NeRF 360, released code). No gradient passes through.
    """
    with torch.no_grad():
        quantiles = stratified(len(edges), count, jitter, edges.dtype, edges.device)
        centers = sample(edges, weights, quantiles)
        inner = 0.5 * (centers[..., 1:] + centers[..., :-1])
        first = 2.0 * centers[..., :1] - inner[..., :1]
        last = 2.0 * centers[..., -1:] - inner[..., -1:]
        result = torch.cat([first, inner, last], dim=-1)
        return torch.minimum(torch.maximum(result, edges[..., :1]), edges[..., -1:])


def mass_between(edges: torch.Tensor, weights: torch.Tensor, queries: torch.Tensor) -> torch.Tensor:
    """(R, M) mass of the step function within each of the intervals between ``queries`` (R, M + 1)."""
    zero = torch.zeros_like(weights[..., :1])
    cumulative = torch.cat([zero, torch.cumsum(weights, dim=-1)], dim=-1)
    return interpolate(queries, edges, cumulative).diff(dim=-1)


def overlap_bound(edges: torch.Tensor, weights: torch.Tensor, queries: torch.Tensor) -> torch.Tensor:
    """(R, M) summed mass of all intervals that each interval between ``queries`` (R, M + 1) touches.

    Mip-NeRF 360 (Barron et al. 2022, equation 12).
    """
    zero = torch.zeros_like(weights[..., :1])
    cumulative = torch.cat([zero, torch.cumsum(weights, dim=-1)], dim=-1)
    last = edges.shape[-1] - 1
    low = torch.searchsorted(edges.contiguous(), queries[..., :-1].contiguous(), right=True) - 1
    high = torch.searchsorted(edges.contiguous(), queries[..., 1:].contiguous(), right=False)
    return cumulative.gather(-1, high.clamp(0, last)) - cumulative.gather(-1, low.clamp(0, last))


def interlevel_loss(
    edges: torch.Tensor, weights: torch.Tensor, proposal_edges: torch.Tensor, proposal_weights: torch.Tensor
) -> torch.Tensor:
    """How far the proposal fails to bound the field's histogram: mean over rays.

    Mip-NeRF 360, equation 13. The field's ``edges`` and ``weights`` get no gradient.
    """
    edges, weights = edges.detach(), weights.detach()
    bound = overlap_bound(proposal_edges.detach(), proposal_weights, edges)
    excess = (weights - bound).clamp_min(0.0)
    return (excess * excess / (weights + _TINY)).sum(dim=-1).mean()


def blur(edges: torch.Tensor, values: torch.Tensor, half_width: float) -> tuple[torch.Tensor, torch.Tensor]:
    """The step function convolved with a box of unit area and ``half_width``: a piecewise-linear one.

    Returns its knots (R, 2 N + 2), ascending, and its values there. ``values`` (R, N) are heights (a pdf,
    not masses). Zip-NeRF (Barron et al. 2023), section 3.1 and its supplement.
    """
    knots, order = torch.sort(torch.cat([edges - half_width, edges + half_width], dim=-1), dim=-1)
    zero = torch.zeros_like(values[..., :1])
    jumps = torch.diff(torch.cat([zero, values, zero], dim=-1), dim=-1) / (2.0 * half_width)
    slope_changes = torch.cat([jumps, -jumps], dim=-1).gather(-1, order)
    slopes = torch.cumsum(slope_changes, dim=-1)[..., :-1]
    rises = torch.cumsum(slopes * knots.diff(dim=-1), dim=-1)
    return knots, torch.cat([zero, rises], dim=-1).clamp_min(0.0)


def mass_of_linear(knots: torch.Tensor, values: torch.Tensor, queries: torch.Tensor) -> torch.Tensor:
    """(R, M) integral of a piecewise-linear function within each interval between ``queries`` (R, M + 1)."""
    widths = knots.diff(dim=-1)
    areas = 0.5 * (values[..., 1:] + values[..., :-1]) * widths
    cumulative = torch.cat([torch.zeros_like(areas[..., :1]), torch.cumsum(areas, dim=-1)], dim=-1)
    last = knots.shape[-1] - 2
    below = (torch.searchsorted(knots.contiguous(), queries.contiguous(), right=True) - 1).clamp(0, last)
    width = widths.gather(-1, below)
    offset = torch.minimum((queries - knots.gather(-1, below)).clamp_min(0.0), width)
    v0, v1 = values.gather(-1, below), values.gather(-1, below + 1)
    slope = torch.where(width > 0.0, (v1 - v0) / torch.where(width > 0.0, width, torch.ones_like(width)), 0.0)
    return (cumulative.gather(-1, below) + v0 * offset + 0.5 * slope * offset * offset).diff(dim=-1)


def blurred_interlevel_loss(
    edges: torch.Tensor,
    weights: torch.Tensor,
    proposal_edges: torch.Tensor,
    proposal_weights: torch.Tensor,
    half_width: float,
) -> torch.Tensor:
    """The anti-aliased interlevel loss: smooth as the proposal slides along the ray. Mean over all intervals.

    Zip-NeRF, section 3.1: the field's histogram is blurred by ``half_width`` (in the edges' own units,
    there normalised distance), and resampled into the proposal's intervals. Only the proposal gets gradient.
    """
    edges, weights = edges.detach(), weights.detach()
    lengths = edges.diff(dim=-1)
    pdf = torch.where(lengths > _TINY, weights / lengths.clamp_min(_TINY), 0.0)
    knots, values = blur(edges, pdf, half_width)
    blurred = mass_of_linear(knots, values, proposal_edges.detach())
    excess = (blurred - proposal_weights).clamp_min(0.0)
    return (excess * excess / (proposal_weights + 1e-5)).mean()


def distortion_loss(edges: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """How spread out the mass is: the mean distance between two random points of it. Mean over rays.

    Mip-NeRF 360, equation 15, with prefix sums instead of all pairs.
    """
    middles = 0.5 * (edges[..., 1:] + edges[..., :-1])
    moments = weights * middles
    mass_before = torch.cumsum(weights, dim=-1) - weights
    moment_before = torch.cumsum(moments, dim=-1) - moments
    between = 2.0 * (moments * mass_before - weights * moment_before).sum(dim=-1)
    within = (weights * weights * edges.diff(dim=-1)).sum(dim=-1) / 3.0
    return (between + within).mean()
