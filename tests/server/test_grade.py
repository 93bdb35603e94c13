"""Exposure and white balance: against the colours of light that are known otherwise."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from neural_render_server.errors import OptionError
from neural_render_server.grade import RGB_TO_XYZ, Grade, white_point

# CIE 1931 chromaticities of black bodies (Wyszecki and Stiles 1982, table 1(3.11))
BLACK_BODIES = {
    2000: (0.5267, 0.4133),
    3000: (0.4369, 0.4041),
    5000: (0.3451, 0.3516),
    10000: (0.2807, 0.2884),
}


def color_of(x: float, y: float) -> np.ndarray:
    """Linear Rec.709 of a light with luminance 1."""
    return np.linalg.inv(RGB_TO_XYZ) @ np.array([x / y, 1.0, (1.0 - x - y) / y])


def test_a_stop_doubles_the_light_and_nothing_else_changes() -> None:
    rgba = np.array([[[0.1, 0.2, 0.4, 0.5], [4.0, 0.0, -0.1, 1.0]]], np.float32)
    graded = Grade(exposure=1.0).apply(rgba)
    np.testing.assert_array_equal(graded[..., :3], 2.0 * rgba[..., :3])
    np.testing.assert_array_equal(graded[..., 3], rgba[..., 3])
    np.testing.assert_array_equal(Grade().apply(rgba), rgba)


@pytest.mark.parametrize(("temperature", "chromaticity"), BLACK_BODIES.items())
def test_white_points_lie_on_the_locus(temperature: float, chromaticity: tuple[float, float]) -> None:
    # moved by as much as 6500 K is from D65, 0.003 in v
    np.testing.assert_allclose(white_point(temperature, 0.0), chromaticity, atol=0.01)


@pytest.mark.parametrize("light", [(2500.0, 0.0), (4000.0, 40.0), (8000.0, -60.0), (20000.0, 10.0)])
def test_the_light_that_is_named_becomes_white(light: tuple[float, float]) -> None:
    seen = color_of(*white_point(*light))
    assert np.ptp(seen) > 0.2
    np.testing.assert_allclose(Grade(0.0, *light).matrix @ seen, np.ones(3), atol=2e-3)


def test_a_higher_temperature_is_warmer_and_a_higher_tint_more_magenta() -> None:
    warm, magenta = (Grade(0.0, *light).matrix @ np.ones(3) for light in ((9000.0, 0.0), (6500.0, 40.0)))
    assert warm[0] > 1.05 > 0.95 > warm[2]
    assert magenta[1] < 0.96 and min(magenta[0], magenta[2]) > 1.04


@pytest.mark.parametrize(
    "value", [3, {"stops": 1}, {"exposure": "1"}, {"temperature": 900}, {"tint": 1e4}, {"exposure": 1e3}]
)
def test_what_is_no_grade_is_told(value: Any) -> None:
    with pytest.raises(OptionError, match="frame 2: grade"):
        Grade.from_json(value, "frame 2")
