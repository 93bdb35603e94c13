from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from PIL import Image

from neural_render_server.captures.image import image_header, read_image, read_mask
from neural_render_server.captures.pixels import as_float
from neural_render_server.errors import CaptureError


def test_rgb_and_rgba_keep_their_channels(make: SimpleNamespace, tmp_path: Path) -> None:
    for channels in (3, 4):
        pixels = np.random.default_rng(0).integers(0, 256, (5, 7, channels), dtype=np.uint8)
        path = tmp_path / f"{channels}.png"
        make.write_image(path, pixels)
        assert np.array_equal(read_image(path), pixels)
        assert image_header(path) == (7, 5, channels == 4)


def test_grey_becomes_rgb(tmp_path: Path) -> None:
    path = tmp_path / "grey.png"
    cv2.imwrite(str(path), np.array([[10, 200]], dtype=np.uint8))
    assert read_image(path).tolist() == [[[10] * 3, [200] * 3]]


def test_exif_orientation_is_ignored_as_calibrations_do(tmp_path: Path) -> None:
    path = tmp_path / "turned.jpg"
    image = Image.new("RGB", (20, 10), (200, 10, 10))
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: a quarter turn
    image.save(path, exif=exif)
    assert image_header(path)[:2] == (20, 10)
    assert read_image(path).shape == (10, 20, 3)


def test_a_mask_is_where_it_is_bright(tmp_path: Path) -> None:
    path = tmp_path / "mask.png"
    cv2.imwrite(str(path), np.array([[0, 127, 128, 255]], dtype=np.uint8))
    assert read_mask(path).tolist() == [[False, False, True, True]]


@pytest.mark.parametrize("content", [b"", b"no image", b"\x89PNG\r\n\x1a\n" + b"\0" * 40])
def test_what_is_no_image_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.png"
    path.write_bytes(content)
    for read in (read_image, image_header):
        with pytest.raises(CaptureError, match=r"broken\.png: the image cannot be read"):
            read(path)
    with pytest.raises(CaptureError, match="cannot be read"):
        read_image(tmp_path / "none.png")


def test_other_kinds_of_pixels_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "double.tiff"
    cv2.imwrite(str(path), np.ones((4, 4, 3), dtype=np.float64))
    with pytest.raises(CaptureError, match="8, 16 and 32-bit float"):
        read_image(path)


def test_float_images_are_linear(tmp_path: Path) -> None:
    path = tmp_path / "float.tiff"
    cv2.imwrite(str(path), np.full((4, 4, 3), 2.0, dtype=np.float32))
    np.testing.assert_allclose(as_float(read_image(path)), 1.055 * 2.0 ** (1 / 2.4) - 0.055, atol=1e-3)
