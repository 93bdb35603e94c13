"""Panoramas as light: what is open is filled from its borders, white stands for more light on demand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import OpenEXR
import pytest
from gaussian_scene import red_and_green

from neural_render_server.camera_path import CameraPath
from neural_render_server.errors import OptionError
from neural_render_server.progress import Control
from neural_render_server.rendering.environment import (
    LUMINANCE,
    EnvironmentOptions,
    environment,
    expanded,
    extended,
)
from neural_render_server.rendering.frames import RenderOptions, render_path

SIZE = (32, 64)


def test_what_is_covered_stays_and_the_rest_goes_on_from_it() -> None:
    rgba = np.zeros((*SIZE, 4), np.float32)
    rgba[:, 8:20] = (0.2, 0.4, 0.6, 1.0)
    rgba[:, 40:44] = (0.1, 0.1, 0.1, 0.5)  # half covered: straight 0.2
    filled = extended(rgba)
    assert np.allclose(filled[:, 8:20], (0.2, 0.4, 0.6), atol=1e-6)
    assert filled.min() > 0.09 and filled.max() < 0.61
    assert np.abs(filled[:, 7] - filled[:, 8]).max() < 0.1  # no edge
    # half covered: half its own, half what is around it, which is between the two
    assert (filled[:, 41] > 0.19).all() and (filled[:, 41] < 0.4).all()


def test_left_and_right_border_touch() -> None:
    rgba = np.zeros((*SIZE, 4), np.float32)
    rgba[:, :4] = (1.0, 0.0, 0.0, 1.0)
    rgba[:, 30:34] = (0.0, 0.0, 1.0, 1.0)
    filled = extended(rgba)
    assert (filled[:, -2:, 0] > filled[:, -2:, 2] + 0.1).all(), "red goes on over the border"


def test_nothing_covered_is_black_and_all_covered_is_itself() -> None:
    assert (extended(np.zeros((5, 9, 4), np.float32)) == 0.0).all()
    full = np.random.default_rng(0).random((5, 9, 4)).astype(np.float32)
    full[..., 3] = 1.0
    assert np.array_equal(extended(full), full[..., :3])


def test_expansion_is_the_inverse_of_reinhards_operator() -> None:
    light = np.random.default_rng(0).random((8, 8, 3)).astype(np.float32)
    scene = expanded(light, 8.0)
    luminance = scene @ LUMINANCE
    shown = luminance * (1.0 + luminance / 8.0**2) / (1.0 + luminance)
    assert np.allclose(shown, light @ LUMINANCE, atol=1e-5)
    assert np.allclose(scene[..., 0] * light[..., 1], scene[..., 1] * light[..., 0], atol=1e-4)
    assert np.allclose(expanded(np.ones((1, 1, 3), np.float32), 8.0), 8.0, atol=1e-4)


def test_options_are_checked() -> None:
    for bad in ({"fill": "red"}, {"white": 1.0}, {"white": float("inf")}):
        with pytest.raises(OptionError):
            EnvironmentOptions.from_json(bad)
    assert EnvironmentOptions.from_json(None) is None
    picture = np.full((2, 4, 4), 0.5, np.float32)
    assert np.array_equal(environment(picture, EnvironmentOptions("black")), picture[..., :3])


def test_a_panorama_is_written_as_plain_opaque_colour(tmp_path: Path) -> None:
    """The red ball at +x is where an environment texture has +x: in the middle."""
    scene = red_and_green(tmp_path / "lit.scene")
    toward_x = [[0, 0, -1, 0], [-1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]]  # right -y, up z, back -x
    focal = 64 / (2 * np.pi)
    entry = {"transform_matrix": toward_x, "camera_model": "EQUIRECTANGULAR", "name": "probe", "time": 0.0}
    file = {"w": 64, "h": 32, "fl_x": focal, "fl_y": focal, "cx": 32, "cy": 16, "frames": [entry]}
    options = RenderOptions(environment=EnvironmentOptions("black"))
    render_path(scene, CameraPath.from_json(file, "test"), tmp_path, options, lambda event: None, Control())
    with OpenEXR.File(str(tmp_path / "probe.exr"), separate_channels=True) as exr:
        channels = {name: channel.pixels for name, channel in exr.channels().items()}
    assert sorted(channels) == ["B", "G", "R"]
    assert channels["R"][16, 32] == pytest.approx(1.0, abs=0.02)
    assert channels["G"][16, 32] == pytest.approx(0.01, abs=0.005)
    assert channels["R"][:, :16].max() < 0.01
    # a pinhole is no light from all around
    pinhole = {**file, "frames": [{**entry, "camera_model": "PINHOLE"}]}
    with pytest.raises(OptionError, match="EQUIRECTANGULAR"):
        render_path(scene, CameraPath.from_json(pinhole, "test"), tmp_path, options, print, Control())
