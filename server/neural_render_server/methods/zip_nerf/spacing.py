"""How intervals are spaced along a ray: the power transformation (Zip-NeRF, section 4)."""

from __future__ import annotations

from dataclasses import dataclass

import torch

# The curve's exponent, and what distances in scene radii are multiplied by before it (released code).
EXPONENT, PREMULTIPLIER = -1.5, 2.0
# The same of the distances that the distortion loss is taken in.
DISTORTION_EXPONENT, DISTORTION_PREMULTIPLIER = -0.25, 10_000.0


def power_transform(x: torch.Tensor, exponent: float) -> torch.Tensor:
    """P(x, lambda) = |lambda - 1| / lambda ((x / |lambda - 1| + 1)^lambda - 1), for x >= 0."""
    scale = abs(exponent - 1.0)
    return scale / exponent * ((x / scale + 1.0) ** exponent - 1.0)


def inverse_power_transform(y: torch.Tensor, exponent: float) -> torch.Tensor:
    """The x of which ``y`` is the power transform; infinite at and beyond the curve's limit."""
    scale = abs(exponent - 1.0)
    return scale * ((y * exponent / scale + 1.0).clamp_min(0.0) ** (1.0 / exponent) - 1.0)


@dataclass(frozen=True, eq=False)
class RaySpacing:
    """Normalised distance s in [0, 1] against distance t in scene radii, from ``near`` to ``far`` (R,).

    ``is_linear``: s is even in t, as for synthetic objects; else even in the power transform.
    """

    near: torch.Tensor
    far: torch.Tensor
    is_linear: bool

    def to_t(self, s: torch.Tensor) -> torch.Tensor:
        """(R, N) -> (R, N)."""
        near, far = self.near[:, None], self.far[:, None]
        if self.is_linear:
            return near + s * (far - near)
        low, high = (power_transform(PREMULTIPLIER * t, EXPONENT) for t in (near, far))
        t = inverse_power_transform(low + s * (high - low), EXPONENT) / PREMULTIPLIER
        # near the curve's limit float32 knows no distances
        return torch.minimum(torch.maximum(t, near), far)


def distortion_distances(t: torch.Tensor) -> torch.Tensor:
    """The distances that the distortion loss is taken in, from t in scene radii (released code)."""
    return power_transform(DISTORTION_PREMULTIPLIER * t, DISTORTION_EXPONENT)
