"""Pictures past Blender's colour management: pixels as they are stored, and grey PNG files.

Format: W3C, Portable Network Graphics (third edition), 2022.
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import bpy
import numpy as np
import numpy.typing as npt

from ..service.jobs import write_atomically

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def stored_pixels(path: Path) -> npt.NDArray[np.float32]:
    """(H, W, 4) of an 8-bit picture as they are stored, from 0 to 1, rows from the top.

    Raises:
        RuntimeError: Blender cannot read the file.
    """
    image = bpy.data.images.load(str(path))
    try:
        width, height = image.size
        pixels = np.empty(width * height * 4, dtype=np.float32)
        image.pixels.foreach_get(pixels)
    finally:
        bpy.data.images.remove(image)
    return pixels.reshape(height, width, 4)[::-1]


def write_gray(path: Path, pixels: npt.NDArray[np.uint8]) -> None:
    """Write (H, W) uint8 as an 8-bit grey PNG, whole or not at all. Raises OSError."""
    height, width = pixels.shape
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = np.hstack([np.zeros((height, 1), np.uint8), pixels])  # each row begins with its filter: none
    parts = [(b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes())), (b"IEND", b"")]
    write_atomically(path, SIGNATURE + b"".join(_chunk(kind, data) for kind, data in parts))


def png_size(path: Path) -> tuple[int, int] | None:
    """Width and height of a PNG file; None where there is none that is whole."""
    try:
        with open(path, "rb") as file:
            start = file.read(24)
            file.seek(-12, 2)
            end = file.read()
    except OSError:
        return None
    if not start.startswith(SIGNATURE) or end != _chunk(b"IEND", b""):
        return None
    width, height = struct.unpack(">II", start[16:24])
    return width, height


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
