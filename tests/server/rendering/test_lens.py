"""Distorted cameras agree with OpenCV's own projection."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from neural_render_server.cameras import Camera
from neural_render_server.errors import OptionError
from neural_render_server.methods.base import RenderedFrame
from neural_render_server.rendering.lens import render_distorted, undistorted_coordinates

CASES = {
    "OPENCV": (-0.3, 0.12, 0.002, -0.001, 0.01),
    "OPENCV_FISHEYE": (0.05, -0.01, 0.003, 0.0),
}


def camera(model: str) -> Camera:
    return Camera(96, 64, 60.0, 62.0, 47.0, 33.0, np.eye(4), "lens", model, CASES[model])


@pytest.mark.parametrize("model", CASES)
def test_undistorted_coordinates_project_back_to_their_pixels(model: str) -> None:
    lens = camera(model)
    x, y = undistorted_coordinates(lens)
    points = np.stack([x, y, np.ones_like(x)], axis=-1).reshape(-1, 1, 3)
    project = cv2.fisheye.projectPoints if model == "OPENCV_FISHEYE" else cv2.projectPoints
    pixels, _ = project(points, np.zeros(3), np.zeros(3), lens.intrinsics, np.asarray(lens.distortion))
    expected = np.stack(np.meshgrid(np.arange(96) + 0.5, np.arange(64) + 0.5), axis=-1).reshape(-1, 2)
    assert np.abs(pixels.reshape(-1, 2) - expected).max() < 1e-3


@pytest.mark.parametrize("model", CASES)
def test_distorted_picture_shows_each_ray_where_the_lens_puts_it(model: str) -> None:
    """A renderer that paints each pixel with its own ray must give each distorted pixel its ray."""
    lens = camera(model)

    def paint(pinhole: Camera) -> RenderedFrame:
        _, directions = pinhole.rays()
        ones = np.ones((pinhole.height, pinhole.width), dtype=np.float32)
        return RenderedFrame(directions.astype(np.float32), ones, 2.0 * ones)

    frame = render_distorted(paint, lens)
    x, y = undistorted_coordinates(lens)
    assert frame.color.shape == (64, 96, 3)
    assert np.abs(frame.color[..., 0] - x).max() < 1e-3
    assert np.abs(frame.color[..., 1] + y).max() < 1e-3  # y up
    assert (frame.opacity == 1).all() and (frame.depth == 2).all()


def test_a_lens_too_wide_for_a_plane_is_refused() -> None:
    lens = Camera(64, 64, 12.0, 12.0, 32.0, 32.0, np.eye(4), "eye", "OPENCV_FISHEYE", (0.0, 0.0, 0.0, 0.001))
    with pytest.raises(OptionError, match="eye"):
        render_distorted(lambda pinhole: pytest.fail("must not render"), lens)
