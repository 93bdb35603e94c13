"""Volume rendering of samples in rows: every ray has the same number of intervals.

Max 1995, "Optical models for direct volume rendering", as discretised by NeRF (2020, equation 3).
"""

from __future__ import annotations

import torch

from ...kernels.ray_parts import RayParts


def volume_weights(density: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """(R, S) weight of each interval: what reaches it times what it stops.

    ``density`` (R, S) per unit length, ``lengths`` (R, S) of the intervals in the same unit; the last may be
    as good as infinite. Transmittance is the exponential of a sum, which is steadier than a product.
    """
    thickness = density * lengths
    # summed without its own interval: taking a huge last one off again would leave only rounding error
    before = torch.cumsum(torch.nn.functional.pad(thickness[..., :-1], (1, 0)), dim=-1)
    return torch.exp(-before) * -torch.expm1(-thickness)


def composite(
    weights: torch.Tensor, colors: torch.Tensor, distances: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Premultiplied colour (R, 3), opacity (R,) and weighted sum of distances (R,).

    ``weights`` (R, S), ``colors`` (R, S, 3), ``distances`` (R, S).
    """
    color = torch.einsum("rs,rsc->rc", weights, colors)
    return color, weights.sum(dim=-1), (weights * distances).sum(dim=-1)


def composite_mattes(weights: torch.Tensor, shares: torch.Tensor, parts: RayParts) -> torch.Tensor:
    """(R, M) what of each ray's opacity lies in each matte's shape.

    ``weights`` (R, S) are of what is kept, ``shares`` (P, R, S) what of the intervals belongs to each part.
    """
    inside = shares[parts.first_matte :] / shares[0].clamp_min(torch.finfo(shares.dtype).tiny)
    return torch.einsum("rs,mrs->rm", weights, inside)
