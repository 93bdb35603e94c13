"""The lens models that OpenCV has not, against pycolmap's and against their own inverse."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from neural_render_server.camera_path import CameraPath, PathFrame
from neural_render_server.cameras import Camera
from neural_render_server.captures.undistort import Undistorter
from neural_render_server.lens_models import distort, undistort
from neural_render_server.rendering.lens import undistorted_coordinates

CASES: dict[str, tuple[float, ...]] = {
    "FOV": (0.9,),
    "THIN_PRISM_FISHEYE": (0.05, -0.02, 0.004, -0.003, 0.006, -0.001, 0.005, -0.004),
}
INTRINSICS = (60.0, 62.0, 47.0, 33.0)


def camera(model: str) -> Camera:
    return Camera(96, 64, *INTRINSICS, np.eye(4), "lens", model, CASES[model])


def grid() -> tuple[np.ndarray, np.ndarray]:
    """Directions up to 55 degrees off the axis, the axis among them."""
    x, y = np.meshgrid(np.linspace(-1.0, 1.0, 21), np.linspace(-1.0, 1.0, 21))
    return x, y


@pytest.mark.parametrize("model", CASES)
def test_distortion_is_colmaps(model: str) -> None:
    import pycolmap

    x, y = grid()
    directions = np.stack([x, y, np.ones_like(x)], axis=-1).reshape(-1, 3)
    lens = pycolmap.Camera(model=model, width=96, height=64, params=[*INTRINSICS, *CASES[model]])
    theirs = lens.img_from_cam(directions)
    fl_x, fl_y, cx, cy = INTRINSICS
    distorted_x, distorted_y = distort(model, CASES[model], x, y)
    ours = np.stack([fl_x * distorted_x + cx, fl_y * distorted_y + cy], axis=-1).reshape(-1, 2)
    np.testing.assert_allclose(ours, theirs, atol=1e-6)


@pytest.mark.parametrize("model", CASES)
def test_undistorted_is_where_it_came_from(model: str) -> None:
    x, y = grid()
    back = undistort(model, CASES[model], *distort(model, CASES[model], x, y))
    np.testing.assert_allclose(back, (x, y), atol=1e-9)


def test_behind_the_camera_is_not_finite() -> None:
    far = np.array([4.0])  # 4 times 0.9 radians
    assert not np.isfinite(undistort("FOV", CASES["FOV"], far, far)[0]).any()


@pytest.mark.parametrize("model", CASES)
def test_a_photo_becomes_the_pinhole_picture(model: str) -> None:
    """A pattern painted by direction, photographed through the lens: undistorted, it is the pattern again."""
    lens = camera(model)

    def pattern(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return np.stack([np.sin(4 * x), np.cos(3 * y), np.sin(2 * x + 3 * y)], axis=-1) * 100 + 128

    photo = pattern(*undistorted_coordinates(lens)).round().astype(np.uint8)
    undistorter = Undistorter(lens)
    straight = undistorter.apply(photo).astype(np.float64)
    columns, rows = np.meshgrid(np.arange(96) + 0.5, np.arange(64) + 0.5)
    truth = pattern((columns - lens.cx) / lens.fl_x, (rows - lens.cy) / lens.fl_y)
    usable = np.ones((64, 96), dtype=np.bool_) if undistorter.mask is None else undistorter.mask
    assert usable.mean() > 0.6
    assert np.abs(straight - truth)[usable].max() < 3.0  # of 255: rounding, and cubic interpolation
    assert np.abs(cv2.resize(photo, (96, 64)).astype(np.float64) - truth)[usable].max() > 20.0


@pytest.mark.parametrize("model", CASES)
def test_a_camera_file_keeps_the_lens(model: str) -> None:
    path = CameraPath([PathFrame(camera(model), 0.0, "a")])
    back = CameraPath.from_json(path.to_json(), "file").frames[0].camera
    assert (back.camera_model, back.distortion) == (model, CASES[model])
