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
    "frames.bin": 4 + 4 + 56 + 4,
    "images.bin": 4 + 56 + 4 + 1 + 8,
    "points3D.bin": 8 + 24 + 3 + 8 + 8,
}
_POINT_2D, _TRACK_ELEMENT, _SENSOR, _DATA, _POSE = 24, 8, 8, 16, 56
_LONGEST_NAME = 4096


class _Cursor:
    """A place in a file's bytes; going beyond the end raises ValueError."""

    def __init__(self, data: bytes, start: int) -> None:
        self.data, self.at = data, start

    def skip(self, count: int) -> None:
        self.at += count
        if self.at > len(self.data):
            raise ValueError("cut off")

    def number(self, kind: str) -> int:
        """An unsigned number of the ``struct`` format ``kind``."""
        size = struct.calcsize(kind)
        self.skip(size)
        return int(struct.unpack_from(kind, self.data, self.at - size)[0])

    def name(self) -> None:
        end = self.data.find(b"\0", self.at, self.at + _LONGEST_NAME)
        if end < 0:
            raise ValueError("a name without an end")
        self.at = end + 1


def _image(cursor: _Cursor) -> None:
    cursor.skip(4 + 56 + 4)
    cursor.name()
    cursor.skip(cursor.number("<Q") * _POINT_2D)


def _point(cursor: _Cursor) -> None:
    cursor.skip(8 + 24 + 3 + 8)
    cursor.skip(cursor.number("<Q") * _TRACK_ELEMENT)


def _frame(cursor: _Cursor) -> None:
    cursor.skip(4 + 4 + _POSE)
    cursor.skip(cursor.number("<I") * _DATA)


def _rig(cursor: _Cursor) -> None:
    cursor.skip(4)
    sensors = cursor.number("<I")
    cursor.skip(_SENSOR if sensors else 0)
    for _ in range(sensors - 1):  # beside the one that the rig stands for, each with a pose or without
        cursor.skip(_SENSOR)
        cursor.skip(_POSE if cursor.number("<B") else 0)


_WALKED: dict[str, Callable[[_Cursor], None]] = {
    "rigs.bin": _rig,
    "frames.bin": _frame,
    "images.bin": _image,
    "points3D.bin": _point,
}


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
