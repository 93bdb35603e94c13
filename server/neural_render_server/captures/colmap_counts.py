"""Whether the counts in a COLMAP binary model fit its files, before pycolmap believes them.

pycolmap reads as many records as a count says, also past the file's end: a count of 2^40 fills the memory.
Layout: src/colmap/scene/reconstruction_io.cc (cameras, rigs, frames, images, points3D).
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

from ..errors import CaptureError

# Bytes that a record has at least.
_LEAST = {
    "cameras.bin": 4 + 4 + 8 + 8,
    "rigs.bin": 4 + 4,
    "frames.bin": 4 + 4 + 56,
    "images.bin": 4 + 56 + 4 + 1 + 8,
    "points3D.bin": 8 + 24 + 3 + 8 + 8,
}
_POINT_2D, _TRACK_ELEMENT = 24, 8
_LONGEST_NAME = 4096


class _Cursor:
    """A place in a file's bytes; going beyond the end raises ValueError."""

    def __init__(self, data: bytes, start: int) -> None:
        self.data, self.at = data, start

    def skip(self, count: int) -> None:
        self.at += count
        if self.at > len(self.data):
            raise ValueError("cut off")

    def count(self, size: int) -> int:
        """A 64-bit count of records of ``size`` bytes, skipped with them."""
        self.skip(8)
        (number,) = struct.unpack_from("<Q", self.data, self.at - 8)
        self.skip(number * size)
        return int(number)

    def name(self) -> None:
        end = self.data.find(b"\0", self.at, self.at + _LONGEST_NAME)
        if end < 0:
            raise ValueError("a name without an end")
        self.at = end + 1


def _image(cursor: _Cursor) -> None:
    cursor.skip(4 + 56 + 4)
    cursor.name()
    cursor.count(_POINT_2D)


def _point(cursor: _Cursor) -> None:
    cursor.skip(8 + 24 + 3 + 8)
    cursor.count(_TRACK_ELEMENT)


_WALKED: dict[str, Callable[[_Cursor], None]] = {"images.bin": _image, "points3D.bin": _point}


def check_counts(folder: Path) -> None:
    """
    Raises:
        CaptureError: a binary file of the model in ``folder`` holds less than it says.
    """
    for name, least in _LEAST.items():
        file = folder / name
        if not file.is_file():
            continue
        data = file.read_bytes()
        try:
            (number,) = struct.unpack_from("<Q", data)
            if number * least > len(data) - 8:
                raise ValueError("cut off")
            if name in _WALKED:
                cursor = _Cursor(data, 8)
                for _ in range(number):
                    _WALKED[name](cursor)
        except (ValueError, struct.error) as error:
            raise CaptureError(
                f"{file}: the COLMAP model is cut off or damaged; export it again with colmap model_converter"
            ) from error
