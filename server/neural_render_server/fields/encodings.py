"""Encodings without parameters: positional, and spherical harmonics of a direction."""

from __future__ import annotations

import torch


def positional_encoding(x: torch.Tensor, octaves: int, include_identity: bool = True) -> torch.Tensor:
    """(..., D) -> (..., D (2 octaves + 1)): x, then sin(2^k x) and cos(2^k x) for k = 0 .. octaves - 1.

    NeRF (Mildenhall et al. 2020, equation 4) as in its released code: no factor pi, with the identity.
    """
    scales = 2.0 ** torch.arange(octaves, dtype=x.dtype, device=x.device)
    phases = (x[..., None, :] * scales[:, None]).unsqueeze(-2)  # (..., octaves, 1, D)
    waves = torch.cat([torch.sin(phases), torch.cos(phases)], dim=-2).flatten(-3)
    return torch.cat([x, waves], dim=-1) if include_identity else waves


def positional_encoding_width(dimensions: int, octaves: int, include_identity: bool = True) -> int:
    """The last dimension of ``positional_encoding``."""
    return dimensions * (2 * octaves + include_identity)


HARMONICS = 16


def spherical_harmonics(directions: torch.Tensor) -> torch.Tensor:
    """(N, 3) unit directions -> (N, 16): real spherical harmonics of degree 0 to 3 ("degree 4").

    Orthonormal on the sphere, with the Condon-Shortley phase, ordered by degree and then by order -l .. l
    (Sloan 2008, "Stupid Spherical Harmonics Tricks", appendix A2).
    """
    x, y, z = directions.unbind(-1)
    xx, yy, zz = x * x, y * y, z * z
    return torch.stack(
        [
            torch.full_like(x, 0.28209479177387814),
            -0.48860251190291987 * y,
            0.48860251190291987 * z,
            -0.48860251190291987 * x,
            1.0925484305920792 * x * y,
            -1.0925484305920792 * y * z,
            0.31539156525252005 * (3.0 * zz - 1.0),
            -1.0925484305920792 * x * z,
            0.5462742152960396 * (xx - yy),
            -0.5900435899266435 * y * (3.0 * xx - yy),
            2.890611442640554 * x * y * z,
            -0.4570457994644658 * y * (5.0 * zz - 1.0),
            0.3731763325901154 * z * (5.0 * zz - 3.0),
            -0.4570457994644658 * x * (5.0 * zz - 1.0),
            1.445305721320277 * z * (xx - yy),
            -0.5900435899266435 * x * (xx - 3.0 * yy),
        ],
        dim=-1,
    )
