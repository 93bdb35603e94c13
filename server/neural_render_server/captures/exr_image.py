"""OpenEXR frames as footage: scene-linear light, premultiplied by alpha where there is one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import OpenEXR

from ..errors import CaptureError
from .transfer import D65, REC_709, to_rec_709

EXR_SUFFIX = ".exr"
# A larger picture than this is a damaged header rather than footage.
MOST_PIXELS = 2**30


def exr_header(path: Path) -> tuple[int, int, bool]:
    """Width, height and whether there is alpha, without decoding the pixels.

    Raises:
        CaptureError: the file is unreadable or holds no colour.
    """
    with _reading(path), OpenEXR.File(str(path), header_only=True) as file:
        low, high = (np.asarray(corner, dtype=np.int64) for corner in file.header()["dataWindow"])
        width, height = (int(n) for n in high - low + 1)
        if not 0 < width * height <= MOST_PIXELS:
            raise _unreadable(path)
        return width, height, "A" in _color_channels(path, file)


def read_exr_linear(path: Path) -> npt.NDArray[np.float32]:
    """(H, W, 3) linear Rec.709, or (H, W, 4) with straight colour, of the first layer that has colour.

    The file's ``chromaticities`` are converted; without them it is Rec.709, as the format says.

    Raises:
        CaptureError: as ``exr_header``.
    """
    with _reading(path), OpenEXR.File(str(path), separate_channels=True) as file:
        names = _color_channels(path, file)
        planes = [np.asarray(file.channels()[name].pixels, dtype=np.float32) for name in names.values()]
        matrix = _to_rec_709(file.header().get("chromaticities"))
        pixels = np.nan_to_num(np.stack(planes, axis=-1), posinf=65504.0, neginf=0.0)
    color = pixels[..., :3]
    if pixels.shape[-1] == 4:
        alpha = np.clip(pixels[..., 3:], 0.0, 1.0)
        color = np.divide(color, alpha, out=np.zeros_like(color), where=alpha > 0)
        pixels[..., 3:] = alpha
    if matrix is not None:
        color = color @ matrix.T
    pixels[..., :3] = np.maximum(color, 0.0)
    return np.ascontiguousarray(pixels)


def _to_rec_709(chromaticities: Any) -> npt.NDArray[np.float32] | None:
    """The (3, 3) matrix from the header's ``chromaticities``; None where they are Rec.709's, or not told."""
    if chromaticities is None:
        return None
    values = [round(float(value), 4) for value in chromaticities]
    red, green, blue, white = (tuple(values[k : k + 2]) for k in range(0, 8, 2))
    if (red, green, blue) == REC_709 and white == D65:
        return None
    matrix = to_rec_709((red, green, blue), white)  # type: ignore[arg-type]
    if not np.isfinite(matrix).all():
        raise ValueError("the chromaticities span no colours")
    return matrix.astype(np.float32)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Takes what OpenEXR, or its numbers used as sizes and colours, raise for a damaged file.

    Raises:
        CaptureError: in their place.
    """
    try:
        yield
    except (RuntimeError, ValueError, TypeError, KeyError, OSError, MemoryError, ZeroDivisionError) as error:
        raise _unreadable(path) from error


def _color_channels(path: Path, file: Any) -> dict[str, str]:
    """R, G, B and A if any -> the channel's full name, of one layer."""
    names = [channel.name for channel in file.header()["channels"]]
    for red in sorted((name for name in names if name.split(".")[-1] == "R"), key=len):
        layer = red[:-1]
        if all(layer + channel in names for channel in "GB"):
            return {channel: layer + channel for channel in "RGBA" if layer + channel in names}
    raise CaptureError(f"{path}: the EXR has no red, green and blue channels; export a colour pass")


def _unreadable(path: Path) -> CaptureError:
    return CaptureError(f"{path}: the image cannot be read; replace or remove the file")
