"""How long a picture takes: what every one costs, and what each of its pixels costs. No ``bpy``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Pace:
    """A picture of n pixels takes ``fixed + n * per_pixel`` seconds."""

    fixed: float
    per_pixel: float

    def seconds(self, pixels: int) -> float:
        return self.fixed + pixels * self.per_pixel


def fitted(measured: Mapping[int, float]) -> Pace:
    """The pace that fits ``measured``, seconds by pixels, best; neither part is negative.

    Least squares of the relative errors: so a picture that took far too long, such as a scene's first, hardly
    counts beside others. From one size alone, all of the time counts as the pixels'.
    """
    if len(measured) == 1:
        ((pixels, seconds),) = measured.items()
        return Pace(0.0, seconds / pixels)
    weights = {pixels: max(seconds, 1e-6) ** -2 for pixels, seconds in measured.items()}
    total = sum(weights.values())
    mean_pixels = sum(weight * pixels for pixels, weight in weights.items()) / total
    mean_seconds = sum(weight * measured[pixels] for pixels, weight in weights.items()) / total
    spread = sum(weight * (pixels - mean_pixels) ** 2 for pixels, weight in weights.items())
    slope = sum(
        weight * (pixels - mean_pixels) * (measured[pixels] - mean_seconds)
        for pixels, weight in weights.items()
    )
    per_pixel = max(slope / spread, 0.0)
    fixed = mean_seconds - per_pixel * mean_pixels
    if fixed >= 0.0:
        return Pace(fixed, per_pixel)
    squares = sum(weight * pixels**2 for pixels, weight in weights.items())
    products = sum(weight * pixels * measured[pixels] for pixels, weight in weights.items())
    return Pace(0.0, products / squares)
