"""Colour survives encoding and decoding."""

from __future__ import annotations

import numpy as np

from neural_render_server.rendering.colour import (
    PIXELS_AT_ONCE,
    linear_rgba,
    linear_to_srgb,
    premultiplied_srgb_to_linear,
    srgb_to_linear,
)


def test_all_eight_bit_values_survive_the_round_trip() -> None:
    values = (np.arange(256) / 255.0).astype(np.float32)
    assert np.abs(linear_to_srgb(srgb_to_linear(values)) - values).max() < 1e-6


def test_known_values_of_the_standard() -> None:
    assert np.allclose(srgb_to_linear(np.float32([0.0, 0.5, 1.0])), [0.0, 0.21404114, 1.0], atol=1e-6)


def test_premultiplied_colour_is_decoded_straight() -> None:
    straight, opacity = np.float32([[[0.5, 0.25, 1.0]]]), np.float32([[0.3]])
    linear = premultiplied_srgb_to_linear(straight * 0.3, opacity)
    assert np.allclose(linear, srgb_to_linear(straight) * 0.3, atol=1e-6)


def test_nothing_stays_nothing() -> None:
    zero = np.zeros((1, 1), dtype=np.float32)
    assert (premultiplied_srgb_to_linear(np.zeros((1, 1, 3), dtype=np.float32), zero) == 0).all()


def test_a_picture_of_many_parts_is_converted_whole() -> None:
    width = 100
    height = 2 * PIXELS_AT_ONCE // width + 3
    random = np.random.default_rng(0)
    color = random.random((height, width, 3), dtype=np.float32)
    opacity = random.random((height, width), dtype=np.float32)
    rgba = linear_rgba(color, opacity, "srgb")
    assert np.array_equal(rgba[..., :3], premultiplied_srgb_to_linear(color, opacity))
    assert np.array_equal(rgba[..., 3], opacity)
    assert np.array_equal(linear_rgba(color, opacity, "linear")[..., :3], color)
