"""Reading still images: RGB or RGBA, rows from the top, 8 bits a channel or the 16 of ``pixels``."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import psutil
from PIL import Image

from ..errors import CaptureError
from ..files import is_no_file
from .exr_image import EXR_SUFFIX, exr_header, read_exr_linear
from .pixels import Pixels, as_float, from_float
from .transfer import linear_to_srgb

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp", EXR_SUFFIX)

# A picture of more pixels is a damaged header, or meant to fill the memory.
Image.MAX_IMAGE_PIXELS = 2**31

# Decoded and once more converted, of four channels; an EXR's are floats, converted and encoded in turn.
_BYTES_A_PIXEL, _EXR_BYTES_A_PIXEL = 8, 64

_PNG_DEPTH_AT, _TIFF_BITS = 24, 258


def is_image(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")


def image_header(path: Path) -> tuple[int, int, bool]:
    """Width, height and whether there is an alpha channel, without decoding the pixels.

    The size is that of the stored pixels: calibrations ignore EXIF orientation, and so do we.

    Raises:
        CaptureError: the file is no readable image.
    """
    _check_file(path)
    if path.suffix.lower() == EXR_SUFFIX:
        return exr_header(path)
    try:
        with Image.open(path) as image:
            has_alpha = image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info
            return image.width, image.height, has_alpha
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise CaptureError(f"{path}: the image cannot be read; replace or remove the file") from error


def is_deep_image(path: Path) -> bool:
    """Whether the file has more than 8 bits a channel, by its header."""
    _check_file(path)
    suffix = path.suffix.lower()
    try:
        if suffix == ".png":
            with path.open("rb") as file:
                return file.read(_PNG_DEPTH_AT + 1)[_PNG_DEPTH_AT:] == b"\x10"
        if suffix in (".tif", ".tiff"):
            with Image.open(path) as image:
                bits = image.tag_v2.get(_TIFF_BITS, (8,)) if hasattr(image, "tag_v2") else (8,)
                return bool(max(bits if isinstance(bits, tuple) else (bits,)) > 8)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise CaptureError(f"{path}: the image cannot be read; replace or remove the file") from error
    return suffix == EXR_SUFFIX


def read_image(path: Path) -> Pixels:
    """(H, W, 3) RGB or (H, W, 4) straight RGBA, sRGB-encoded; what is floating point is linear in the file.

    Raises:
        CaptureError: the file is no readable image.
    """
    _check_file(path)
    _check_room(path)
    if path.suffix.lower() == EXR_SUFFIX:
        return _encoded(read_exr_linear(path))
    try:
        encoded = np.fromfile(path, dtype=np.uint8)  # cv2.imread cannot open some paths on Windows
        pixels = cv2.imdecode(encoded, cv2.IMREAD_UNCHANGED)
    except (OSError, cv2.error) as error:
        raise CaptureError(f"{path}: the image cannot be read; replace or remove the file") from error
    if pixels is None:
        raise CaptureError(f"{path}: the image cannot be read; replace or remove the file")
    if pixels.dtype not in (np.uint8, np.uint16, np.float32):
        raise CaptureError(
            f"{path}: the image has {pixels.dtype} pixels; 8, 16 and 32-bit float channels can be used"
        )
    if pixels.ndim == 2:
        pixels = cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB)
    else:
        pixels = cv2.cvtColor(pixels, cv2.COLOR_BGRA2RGBA if pixels.shape[2] == 4 else cv2.COLOR_BGR2RGB)
    if pixels.dtype == np.float32:
        return _encoded(np.nan_to_num(np.asarray(pixels, dtype=np.float32), posinf=65504.0, neginf=0.0))
    if pixels.dtype == np.uint16:
        return from_float(pixels.astype(np.float32) / np.float32(65535.0), deep=True)
    return np.asarray(pixels, dtype=np.uint8)


def _check_file(path: Path) -> None:
    """Refuse what would be waited for, for ever: a named pipe."""
    if is_no_file(path):
        raise CaptureError(f"{path}: is no file but a folder or a pipe; remove it")


def _check_room(path: Path) -> None:
    """Refuse a file, however small, that unpacks to a picture larger than the free memory."""
    try:
        width, height, _ = image_header(path)
    except CaptureError:
        return  # broken, or of the few kinds that only OpenCV knows, which has a limit of its own
    bytes_a_pixel = _EXR_BYTES_A_PIXEL if path.suffix.lower() == EXR_SUFFIX else _BYTES_A_PIXEL
    needed, free = width * height * bytes_a_pixel, psutil.virtual_memory().available
    if needed > free:
        raise CaptureError(
            f"{path}: {width}x{height} pixels take {needed / 1e9:.0f} GB to decode, but {free / 1e9:.0f} GB "
            "of memory are free; replace or remove the file, or make it smaller"
        )


def _encoded(linear: npt.NDArray[np.float32]) -> Pixels:
    """Linear (H, W, 3 or 4) as ``pixels``."""
    encoded = np.concatenate([linear_to_srgb(linear[..., :3]), linear[..., 3:]], axis=-1)
    return from_float(encoded, deep=True)


def read_mask(path: Path) -> npt.NDArray[np.bool_]:
    """(H, W) True where a mask image is bright (at least half), that is, where pixels are used.

    Raises:
        CaptureError: as ``read_image``.
    """
    pixels = read_image(path)
    return np.asarray(as_float(pixels[..., :3]).max(axis=-1) >= 0.5)
