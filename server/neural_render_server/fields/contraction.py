"""Scene contraction: all of space into a ball (or cube) of radius 2."""

from __future__ import annotations

from typing import Literal

import torch

Norm = Literal["l2", "linf"]


def contract(x: torch.Tensor, norm: Norm = "l2") -> torch.Tensor:
    """(..., 3) -> (..., 3): x where |x| <= 1, else (2 - 1/|x|) x/|x|.

    Mip-NeRF 360 (Barron et al. 2022, equation 10) with the L2 norm; nerfacto uses the largest coordinate.
    """
    size = _size(x, norm)
    # clamped so that the gradient of the branch not taken is finite at 0
    outside = size.clamp_min(1.0)
    return torch.where(size <= 1.0, x, (2.0 - 1.0 / outside) * (x / outside))


def uncontract(x: torch.Tensor, norm: Norm = "l2") -> torch.Tensor:
    """The inverse of ``contract``; |x| must be below 2."""
    size = _size(x, norm)
    outside = size.clamp_min(1.0)
    return torch.where(size <= 1.0, x, x / (outside * (2.0 - outside)))


def contract_gaussians(means: torch.Tensor, stds: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Isotropic Gaussians, ``means`` (..., 3) and ``stds`` (...), through the L2 contraction.

    The standard deviation is multiplied by the cube root of |det J| (Zip-NeRF, Barron et al. 2023,
    section 2): the Jacobian stretches by 1/r^2 along the radius, and by (2 - 1/r)/r twice across it.
    """
    radius = means.norm(dim=-1).clamp_min(1.0)
    across = (2.0 - 1.0 / radius) / radius
    scale = (across * across / (radius * radius)) ** (1.0 / 3.0)
    return contract(means), stds * scale


def _size(x: torch.Tensor, norm: Norm) -> torch.Tensor:
    if norm == "l2":
        return (x * x).sum(dim=-1, keepdim=True).clamp_min(torch.finfo(x.dtype).tiny).sqrt()
    return x.abs().amax(dim=-1, keepdim=True)
