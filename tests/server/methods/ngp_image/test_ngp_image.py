"""ngp-image: a picture becomes a capture of tiles, is learned, and renders any part at any scale."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from neural_render_server.cameras import Camera
from neural_render_server.captures import picture
from neural_render_server.captures.detect import open_capture
from neural_render_server.captures.frames import Frames
from neural_render_server.errors import CaptureError
from neural_render_server.methods.ngp_image import NgpImageMethod
from neural_render_server.methods.registry import make_config
from neural_render_server.training.metrics import psnr

WIDTH, HEIGHT = 150, 100
SMALL: dict[str, Any] = {"levels": 8, "log2_table_size": 13, "pixels": 4096, "width": 32}


def no_report(message: str, fraction: float) -> None:
    pass


@pytest.fixture(scope="module")
def truth() -> Any:
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    waves = [128 + 100 * np.sin(x / 9.0 + phase) * np.cos(y / 7.0) for phase in (0.0, 1.0, 2.0)]
    image = np.stack(waves, axis=-1)
    image[40:60, 50:90] = (250, 200, 20)
    return image.astype(np.uint8)


@pytest.fixture(scope="module")
def file(truth: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("picture") / "waves.png"
    cv2.imwrite(str(path), cv2.cvtColor(truth, cv2.COLOR_RGB2BGR))
    return path


@pytest.fixture
def tiled(file: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The picture as a capture of 64x64 tiles."""
    monkeypatch.setattr(picture, "TILE", 64)
    capture = open_capture(file)
    with Frames(capture, capture.train_indices) as frames:
        yield frames


def new_method() -> NgpImageMethod:
    return NgpImageMethod(make_config(NgpImageMethod, "small", SMALL), torch.device("cpu"))


def whole_camera(width: int = WIDTH, height: int = HEIGHT) -> Camera:
    """A camera that sees the picture exactly."""
    camera = Camera(WIDTH, HEIGHT, WIDTH, WIDTH, WIDTH / 2, HEIGHT / 2, np.eye(4))
    return camera.scaled(width, height)


def test_a_picture_is_cut_into_tiles_that_join_again(tiled: Frames, truth: Any) -> None:
    assert len(tiled) == 6
    joined = np.zeros_like(truth)
    for index in range(len(tiled)):
        camera = tiled.cameras[tiled.camera_indices[index]]
        left, top = round(WIDTH / 2 - camera.cx), round(HEIGHT / 2 - camera.cy)
        joined[top : top + camera.height, left : left + camera.width] = tiled.rgb(index)
    np.testing.assert_array_equal(joined, truth)


def test_it_learns_and_renders_the_whole_a_part_and_a_smaller_copy(tiled: Frames, truth: Any) -> None:
    method = new_method()
    method.initialise(tiled, 0, no_report)
    for step in range(300):
        method.train_step(tiled, step / 300)
    expected = truth.astype(np.float32) / 255.0
    whole = method.render(whole_camera(), 0.0)
    assert psnr(whole.color, expected) > 26.0
    assert whole.opacity.min() > 0.9
    np.testing.assert_allclose(whole.depth, 1.0, rtol=1e-3)
    # a part at four times the scale
    camera = Camera(
        80, 80, 4.0 * WIDTH, 4.0 * WIDTH, 4.0 * (WIDTH / 2 - 50), 4.0 * (HEIGHT / 2 - 40), np.eye(4)
    )
    part = method.render(camera, 0.0)
    crop = cv2.resize(expected[40:60, 50:70], (80, 80), interpolation=cv2.INTER_LINEAR)
    assert psnr(part.color, crop) > 20.0
    # a smaller copy is averaged, not sampled
    small = method.render(whole_camera(WIDTH // 5, HEIGHT // 5), 0.0)
    shrunk = cv2.resize(expected, (WIDTH // 5, HEIGHT // 5), interpolation=cv2.INTER_AREA)
    assert psnr(small.color, shrunk) > psnr(whole.color, expected) - 2.0
    # beside the picture there is nothing
    turned = np.diag([-1.0, 1.0, -1.0, 1.0])
    behind = Camera(8, 8, 8.0, 8.0, 4.0, 4.0, turned)
    assert method.render(behind, 0.0).opacity.max() == 0.0
    # it lies at depth 1: before a nearer depth there is nothing, before a further one all
    depths = np.full((HEIGHT, WIDTH), 0.9, np.float32)
    depths[:, WIDTH // 2 :] = 1.1
    split = method.render_split(whole_camera(), 0.0, depths)
    np.testing.assert_array_equal(split.whole.color, whole.color)
    np.testing.assert_array_equal(split.front_opacity[:, WIDTH // 2 :], whole.opacity[:, WIDTH // 2 :])
    assert split.front_opacity[:, : WIDTH // 2].max() == 0.0


def test_a_resumed_training_continues_bit_for_bit(tiled: Frames) -> None:
    whole, parted, resumed = new_method(), new_method(), new_method()
    for method, steps in ((whole, 12), (parted, 7)):
        method.initialise(tiled, 3, no_report)
        for step in range(steps):
            method.train_step(tiled, step / 12)
    resumed.load(
        {k: v.clone() for k, v in parted.tensors().items()},
        {k: v.clone() for k, v in parted.optimizer_tensors().items()},
    )
    for step in range(7, 12):
        resumed.train_step(tiled, step / 12)
    for name, tensor in whole.tensors().items():
        assert torch.equal(tensor, resumed.tensors()[name]), name


def test_a_capture_of_several_cameras_is_refused(tiny_photos: Path) -> None:
    capture = open_capture(tiny_photos)
    with Frames(capture, capture.train_indices) as frames, pytest.raises(CaptureError, match="instant-ngp"):
        new_method().initialise(frames, 0, no_report)
