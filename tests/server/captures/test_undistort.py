from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from neural_render_server.cameras import Camera
from neural_render_server.captures.undistort import Undistorter, fold_radius, pinhole_of
from neural_render_server.errors import CaptureError

LENSES = {
    "barrel": ("OPENCV", (-0.3, 0.08, 0.002, -0.003)),
    "pincushion": ("OPENCV", (0.15, 0.02, 0.001, 0.002, 0.01)),
    "rational": ("OPENCV", (0.3, 0.1, 0.001, 0.001, 0.02, 0.4, 0.1, 0.01)),
    "fisheye": ("OPENCV_FISHEYE", (0.05, -0.01, 0.002, 0.0)),
    "plain fisheye": ("OPENCV_FISHEYE", (0.0, 0.0, 0.0, 0.0)),
}


def camera(model: str = "PINHOLE", distortion: tuple[float, ...] = ()) -> Camera:
    return Camera(
        width=160, height=120, fl_x=110.0, fl_y=114.0, cx=83.2, cy=57.7,
        camera_to_world=np.eye(4), name="c", camera_model=model, distortion=distortion,
    )  # fmt: skip


def photo_of(lens: Camera, points: np.ndarray) -> np.ndarray:
    """White dots drawn where OpenCV projects points (N, 3, OpenCV axes) through the distorted lens."""
    matrix = lens.intrinsics - np.array([[0, 0, 0.5], [0, 0, 0.5], [0, 0, 0]])
    project = cv2.fisheye.projectPoints if lens.camera_model == "OPENCV_FISHEYE" else cv2.projectPoints
    arguments = (np.zeros(3), np.zeros(3), matrix, np.array(lens.distortion))
    pixels = project(points[:, None], *arguments)[0].reshape(-1, 2)  # pixel centres at whole numbers
    y, x = np.mgrid[: lens.height, : lens.width]
    blobs = [np.exp(-((x - u) ** 2 + (y - v) ** 2) / (2 * 1.5**2)) for u, v in pixels]
    grey = np.clip(255 * np.sum(blobs, axis=0), 0, 255).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)


def dot_positions(picture: np.ndarray, near: np.ndarray) -> np.ndarray:
    """Centroids (in our convention, pixel centres at +0.5) of the dots nearest to ``near`` (N, 2)."""
    weights = picture[..., 0].astype(float)
    y, x = np.mgrid[: picture.shape[0], : picture.shape[1]] + 0.5
    found = []
    for u, v in near:
        window = weights * (np.hypot(x - u, y - v) < 7)
        found.append([(window * x).sum() / window.sum(), (window * y).sum() / window.sum()])
    return np.array(found)


@pytest.mark.parametrize("downscale", [1.0, 1.5])
@pytest.mark.parametrize("lens", LENSES)
def test_dots_land_where_the_pinhole_camera_projects_them(lens: str, downscale: float) -> None:
    distorted = camera(*LENSES[lens])
    x, y = np.meshgrid(np.linspace(-0.5, 0.42, 4), np.linspace(-0.34, 0.36, 3))
    points = np.stack([x.ravel(), y.ravel(), np.ones(x.size)], axis=1) * np.linspace(1, 3, x.size)[:, None]
    ideal = pinhole_of(distorted, downscale)
    expected, depth = ideal.project(points * [1, -1, -1])  # our camera axes are OpenGL's
    assert np.allclose(depth, points[:, 2])
    picture = Undistorter(distorted, downscale).apply(photo_of(distorted, points))
    assert picture.shape == (ideal.height, ideal.width, 3)
    error = dot_positions(picture, expected) - expected
    assert np.abs(error).max() < 0.08  # half a pixel of convention, forgotten, moves dots by up to 0.26
    assert np.abs(error.mean(axis=0)).max() < 0.012


def test_without_distortion_nothing_is_touched() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (120, 160, 3), dtype=np.uint8)
    undistorter = Undistorter(camera())
    assert undistorter.mask is None
    assert np.array_equal(undistorter.apply(pixels), pixels)


def test_downscaling_averages_areas() -> None:
    pixels = np.zeros((120, 160, 3), dtype=np.uint8)
    pixels[::2] = 200  # stripes finer than the small picture can show
    small = Undistorter(camera(), 4.0).apply(pixels)
    assert small.shape == (30, 40, 3) and (small == 100).all()


def test_transparent_colours_do_not_bleed_in() -> None:
    pixels = np.zeros((120, 160, 4), dtype=np.uint8)
    pixels[..., :3] = (0, 255, 0)  # the colour behind what is transparent
    pixels[:, ::2] = (200, 40, 10, 255)
    small = Undistorter(camera(), 2.0).apply(pixels)
    assert np.abs(small[..., :3].astype(int) - (200, 40, 10)).max() <= 1
    assert np.abs(small[..., 3].astype(int) - 127.5).max() <= 1


def test_the_mask_is_what_was_filmed() -> None:
    """A pincushion lens leaves the corners of the ideal picture empty, a barrel lens does not."""
    white = np.full((120, 160, 3), 255, dtype=np.uint8)
    strong = camera("OPENCV", (0.4, 0.1, 0.0, 0.0))
    undistorter = Undistorter(strong)
    mask = undistorter.mask
    assert mask is not None and mask[60, 80] and not mask[0, 0] and not mask[-1, -1]
    columns, rows = undistorter._maps  # type: ignore[misc]
    outside = (columns < -0.5) | (columns > 159.5) | (rows < -0.5) | (rows > 119.5)
    assert not mask[outside].any() and mask[~outside].all()
    assert Undistorter(camera("OPENCV", (-0.2, 0.0, 0.0, 0.0))).mask is None
    assert undistorter.apply(white)[mask].min() == 255


def test_beyond_the_fold_of_the_lens_model_nothing_is_used() -> None:
    """r (1 - 0.9 r^2) turns back at r = 1 / sqrt(2.7): two directions would share a pixel."""
    folding = camera("OPENCV", (-0.9, 0.0, 0.0, 0.0))
    assert fold_radius(folding, 1.0) == pytest.approx(1 / np.sqrt(2.7), abs=1e-3)
    mask = Undistorter(folding).mask
    assert mask is not None
    y, x = np.mgrid[:120, :160] + 0.5
    radius = np.hypot((x - 83.2) / 110, (y - 57.7) / 114)
    assert not mask[radius > 0.62].any() and mask[radius < 0.6].all()


def test_masks_are_undistorted_and_need_the_frames_size() -> None:
    distorted = camera("OPENCV", (-0.2, 0.0, 0.0, 0.0))
    mask = np.zeros((120, 160), dtype=bool)
    mask[:, 80:] = True
    small = Undistorter(distorted, 2.0).apply_mask(mask, Path("m.png"))
    assert small.shape == (60, 80) and not small[:, :38].any() and small[:, 42:].all()
    with pytest.raises(CaptureError, match=r"m\.png: the mask is 10x20, but its frame is 160x120"):
        Undistorter(distorted).apply_mask(np.zeros((20, 10), dtype=bool), Path("m.png"))
