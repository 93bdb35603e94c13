"""Exposure and white balance of a field, in scene-linear light.

The white point runs along the Planckian locus (cubic fits of Kim et al. 2002, US patent 7024034), moved so
that 6500 K is Rec.709's own white, and green to magenta across it (CIE 1960 u, v). Colours are adapted from
it to Rec.709's white by Bradford's transform (Lam 1985, as in ICC.1:2022, annex E).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .cameras import is_finite_number
from .errors import OptionError

FloatArray = npt.NDArray[np.float64]

# Kelvin: where the fits hold, and where nothing changes.
TEMPERATURES = (1667.0, 25000.0)
NEUTRAL_TEMPERATURE = 6500.0
# Units of tint by CIE 1960 distance from the locus, as in Adobe's DNG SDK (kTintScale) and Blender.
TINT_SCALE = 3000.0
MOST_TINT = 500.0
# A stop doubles the light; more than these leave float32 colours nothing to tell apart.
MOST_STOPS = 32.0

# ITU-R BT.709: linear RGB to CIE XYZ with white D65, and D65's chromaticity.
RGB_TO_XYZ = np.array(
    [[0.412391, 0.357584, 0.180481], [0.212639, 0.715169, 0.072192], [0.019331, 0.119195, 0.950532]]
)
D65 = (0.3127, 0.3290)
BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])


@dataclass(frozen=True)
class Grade:
    """``exposure`` in stops; ``temperature`` in kelvin of the light that is to look white, with ``tint``.

    A higher temperature makes the picture warmer, a higher tint more magenta.
    """

    exposure: float = 0.0
    temperature: float = NEUTRAL_TEMPERATURE
    tint: float = 0.0

    @property
    def matrix(self) -> FloatArray:
        """(3, 3) for linear Rec.709 colours in columns."""
        scale = 2.0**self.exposure
        if (self.temperature, self.tint) == (NEUTRAL_TEMPERATURE, 0.0):
            return np.asarray(scale * np.eye(3), dtype=np.float64)
        seen, wanted = (BRADFORD @ _xyz(*white) for white in (white_point(self.temperature, self.tint), D65))
        adapt = np.linalg.inv(BRADFORD) @ np.diag(wanted / seen) @ BRADFORD
        return np.asarray(scale * np.linalg.inv(RGB_TO_XYZ) @ adapt @ RGB_TO_XYZ, dtype=np.float64)

    def apply(self, rgba: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Premultiplied linear ``rgba`` (H, W, 4) graded; alpha stays."""
        result = rgba.copy()
        result[..., :3] = rgba[..., :3] @ self.matrix.T.astype(np.float32)
        return result

    @staticmethod
    def from_json(value: Any, where: str) -> Grade | None:
        """``{exposure?, temperature?, tint?}``, or None.

        Raises:
            OptionError: it is no such thing, or a number is out of range.
        """
        if value is None:
            return None
        known = {"exposure", "temperature", "tint"}
        is_grade = isinstance(value, Mapping) and set(value) <= known
        if not is_grade or not all(is_finite_number(number) for number in value.values()):
            raise OptionError(f"{where}: grade must be an object of numbers, of {sorted(known)}")
        grade = Grade(**value)
        low, high = TEMPERATURES
        if not low <= grade.temperature <= high:
            raise OptionError(f"{where}: grade's temperature must be {low:.0f} to {high:.0f} kelvin")
        if abs(grade.exposure) > MOST_STOPS or abs(grade.tint) > MOST_TINT:
            raise OptionError(
                f"{where}: grade's exposure must be within {MOST_STOPS:.0f} stops and its tint within "
                f"{MOST_TINT:.0f}"
            )
        return grade


def white_point(temperature: float, tint: float) -> tuple[float, float]:
    """CIE 1931 x, y of the light that ``temperature`` (kelvin) and ``tint`` name."""
    u, v = _locus(temperature)
    warmer, cooler = _locus(temperature * 0.999), _locus(temperature * 1.001)
    along = np.array([cooler[0] - warmer[0], cooler[1] - warmer[1]])
    along /= np.linalg.norm(along)
    neutral, d65 = _locus(NEUTRAL_TEMPERATURE), _uv(*D65)
    # above the locus (higher v) lies green: with a positive tint, such a light is to look white
    across = tint / TINT_SCALE * np.array([along[1], -along[0]])
    u, v = u + d65[0] - neutral[0] + across[0], v + d65[1] - neutral[1] + across[1]
    return 3.0 * u / (2.0 * u - 8.0 * v + 4.0), 2.0 * v / (2.0 * u - 8.0 * v + 4.0)


def _locus(temperature: float) -> tuple[float, float]:
    """CIE 1960 u, v of a black body."""
    t = 1000.0 / temperature
    if temperature < 4000.0:
        x = np.polyval([-0.2661239, -0.2343589, 0.8776956, 0.179910], t)
    else:
        x = np.polyval([-3.0258469, 2.1070379, 0.2226347, 0.240390], t)
    if temperature < 2222.0:
        y = np.polyval([-1.1063814, -1.34811020, 2.18555832, -0.20219683], x)
    elif temperature < 4000.0:
        y = np.polyval([-0.9549476, -1.37418593, 2.09137015, -0.16748867], x)
    else:
        y = np.polyval([3.0817580, -5.87338670, 3.75112997, -0.37001483], x)
    return _uv(float(x), float(y))


def _uv(x: float, y: float) -> tuple[float, float]:
    return 4.0 * x / (-2.0 * x + 12.0 * y + 3.0), 6.0 * y / (-2.0 * x + 12.0 * y + 3.0)


def _xyz(x: float, y: float) -> FloatArray:
    """CIE XYZ with Y 1."""
    return np.array([x / y, 1.0, (1.0 - x - y) / y])
