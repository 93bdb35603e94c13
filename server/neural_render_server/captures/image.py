"""Reading still images: 8 bits a channel, RGB or RGBA, rows from the top."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from ..errors import CaptureError

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp")


def is_image(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")


def image_header(path: Path) -> tuple[int, int, bool]:
    """Width, height and whether there is an alpha channel, without decoding the pixels.

    The size is that of the stored pixels: calibrations ignore EXIF orientation, and so do we.

    Raises:
        CaptureError: the file is no readable image.
    """
    try:
        with Image.open(path) as image:
            has_alpha = image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info
            return image.width, image.height, has_alpha
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise CaptureError(f"{path}: the image cannot be read; replace or remove the file") from error


def read_image(path: Path) -> npt.NDArray[np.uint8]:
    """(H, W, 3) RGB or (H, W, 4) straight RGBA; 16-bit images are rounded to 8 bits.

    Raises:
        CaptureError: the file is no readable image, or is not 8 or 16 bits a channel.
    """
    try:
        encoded = np.fromfile(path, dtype=np.uint8)  # cv2.imread cannot open some paths on Windows
        pixels = cv2.imdecode(encoded, cv2.IMREAD_UNCHANGED)
    except (OSError, cv2.error) as error:
        raise CaptureError(f"{path}: the image cannot be read; replace or remove the file") from error
    if pixels is None:
        raise CaptureError(f"{path}: the image cannot be read; replace or remove the file")
    if pixels.dtype == np.uint16:
        pixels = np.rint(pixels / 257.0).astype(np.uint8)
    if pixels.dtype != np.uint8:
        raise CaptureError(
            f"{path}: the image has {pixels.dtype} pixels; 8 and 16 bits a channel can be used"
        )
    if pixels.ndim == 2:
        return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB))
    code = cv2.COLOR_BGRA2RGBA if pixels.shape[2] == 4 else cv2.COLOR_BGR2RGB
    return np.asarray(cv2.cvtColor(pixels, code))


def read_mask(path: Path) -> npt.NDArray[np.bool_]:
    """(H, W) True where a mask image is bright (at least half), that is, where pixels are used.

    Raises:
        CaptureError: as ``read_image``.
    """
    pixels = read_image(path)
    return np.asarray(pixels[..., :3].max(axis=-1) >= 128)
