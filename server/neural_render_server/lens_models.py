"""The two lens models of COLMAP that OpenCV does not have.

Both work at unit depth, on x right and y down over the focal length, as OpenCV's models do. Formulas,
parameters and their order are those of COLMAP's ``src/colmap/sensor/models.h``: FOVCameraModel (Devernay and
Faugeras 2001) and ThinPrismFisheyeCameraModel.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

FOV, THIN_PRISM_FISHEYE = "FOV", "THIN_PRISM_FISHEYE"
# The coefficients' names in a camera file, in their order.
COEFFICIENTS = {
    FOV: ("omega",),
    THIN_PRISM_FISHEYE: ("k1", "k2", "p1", "p2", "k3", "k4", "sx1", "sy1"),
}

# A fixed point that shrinks its error to a half a round has double precision's by then.
ROUNDS = 60
# Below this distance from the axis a ratio of radii is taken at its limit.
ON_AXIS = 1e-9


def distort(camera_model: str, coefficients: Sequence[float], x: Array, y: Array) -> tuple[Array, Array]:
    """Where a lens puts the directions (x, y, 1), over the focal length; arrays of any one shape."""
    radius = np.hypot(x, y)
    if camera_model == FOV:
        (omega,) = coefficients
        factor = _ratio(np.arctan(radius * 2.0 * math.tan(0.5 * omega)) / omega, radius)
        factor = np.where(radius < ON_AXIS, 2.0 * math.tan(0.5 * omega) / omega, factor)
        return x * factor, y * factor
    factor = np.where(radius < ON_AXIS, 1.0, _ratio(np.arctan(radius), radius))
    u, v = x * factor, y * factor
    shift_u, shift_v = _thin_prism_shift(coefficients, u, v)
    return u + shift_u, v + shift_v


def undistort(camera_model: str, coefficients: Sequence[float], x: Array, y: Array) -> tuple[Array, Array]:
    """The directions (x, y, 1) that a lens puts at the given places: the inverse of ``distort``.

    Not finite where no direction in front of the camera lands there.
    """
    if camera_model == FOV:
        (omega,) = coefficients
        radius = np.hypot(x, y)
        slope = 2.0 * math.tan(0.5 * omega)
        factor = _ratio(_tangent(radius * omega) / slope, radius)
        factor = np.where(radius < ON_AXIS, omega / slope, factor)
        return x * factor, y * factor
    u, v = x.copy(), y.copy()
    for _ in range(ROUNDS):
        shift_u, shift_v = _thin_prism_shift(coefficients, u, v)
        u, v = x - shift_u, y - shift_v
    angle = np.hypot(u, v)
    factor = np.where(angle < ON_AXIS, 1.0, _ratio(_tangent(angle), angle))
    return u * factor, v * factor


def radial_thin_prism(coefficients: Sequence[float], angle: Array) -> Array:
    """The radial part of ``THIN_PRISM_FISHEYE`` of an angle from the axis, in radians."""
    k1, k2, _, _, k3, k4, _, _ = coefficients
    squared = angle**2
    return np.asarray(angle * (1.0 + squared * (k1 + squared * (k2 + squared * (k3 + squared * k4)))))


def _thin_prism_shift(coefficients: Sequence[float], u: Array, v: Array) -> tuple[Array, Array]:
    _, _, p1, p2, _, _, sx1, sy1 = coefficients
    squared = u**2 + v**2
    angle = np.sqrt(squared)
    radial = _ratio(radial_thin_prism(coefficients, angle) - angle, angle)
    return (
        u * radial + 2.0 * p1 * u * v + p2 * (squared + 2.0 * u**2) + sx1 * squared,
        v * radial + 2.0 * p2 * u * v + p1 * (squared + 2.0 * v**2) + sy1 * squared,
    )


def _tangent(angle: Array) -> Array:
    """The tangent below a right angle, infinite from there on."""
    return np.where(angle < 0.5 * math.pi, np.tan(angle), np.inf)


def _ratio(numerator: Array, denominator: Array) -> Array:
    """Their quotient, 0 where the denominator is 0."""
    return np.divide(numerator, denominator, out=np.zeros_like(numerator), where=denominator > 0)
