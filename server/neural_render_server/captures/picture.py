"""A single picture as a capture: a flat wall, filmed tile by tile from one place.

The picture is the plane one unit in front of the origin, its longer side one unit. Each tile is a view
whose camera differs only in its principal point, so that a picture too large for memory can be trained
on and scored in parts.
"""

from __future__ import annotations

import tempfile
from functools import lru_cache
from pathlib import Path

import numpy as np

from ..cameras import Camera
from ..errors import CaptureError
from .capture import Capture, CropSource, View
from .image import image_header, is_image, read_image
from .pixels import Pixels

# Edge of a tile in pixels.
TILE = 1024


def is_picture(path: Path) -> bool:
    return path.is_file() and is_image(path)


def read_picture(path: Path) -> Capture:
    """The picture's tiles; nothing is held out.

    Raises:
        CaptureError: the file is no readable image.
    """
    width, height, has_alpha = image_header(path)
    focal = float(max(width, height))
    cameras: list[Camera] = []
    views: list[View] = []
    for top in range(0, height, TILE):
        for left in range(0, width, TILE):
            size = min(TILE, width - left), min(TILE, height - top)
            camera = Camera(
                *size,
                focal,
                focal,
                width / 2.0 - left,
                height / 2.0 - top,
                np.eye(4),
                name=f"tile_{top // TILE:03d}_{left // TILE:03d}",
            )
            views.append(View(len(cameras), 0, CropSource(path, left, top, *size)))
            cameras.append(camera)
    return Capture(
        path=path,
        format="picture",
        cameras=cameras,
        times=np.zeros(1),
        fps=None,
        views=views,
        is_test=np.zeros(len(views), dtype=bool),
        has_alpha=has_alpha,
    )


def read_crop(source: CropSource) -> Pixels:
    """(H, W, 3) RGB or (H, W, 4) straight RGBA pixels of a part of a picture.

    Raises:
        CaptureError: as ``read_image``, or the temporary folder cannot hold the decoded picture.
    """
    try:
        return _spooled(source.path, source.path.stat().st_mtime_ns).read(source)
    except FileNotFoundError as error:
        raise CaptureError(f"{source.path}: the picture is gone; was it moved or deleted?") from error


class _SpooledPicture:
    """A decoded picture in a file without a name, which is read row by row and vanishes with the process."""

    def __init__(self, path: Path) -> None:
        pixels = np.ascontiguousarray(read_image(path))
        self._width, self._channels, self._kind = pixels.shape[1], pixels.shape[2], pixels.dtype
        try:
            self._file = tempfile.TemporaryFile(prefix="neural-render-picture-")  # noqa: SIM115
            for row in pixels:
                self._file.write(row.data)
            self._file.flush()
        except OSError as error:
            raise CaptureError(
                f"{tempfile.gettempdir()}: cannot hold the decoded picture {path} ({error.strerror}); free "
                f"{pixels.nbytes / 1e9:.2f} GB there, or name another folder with TMPDIR"
            ) from error

    def read(self, source: CropSource) -> Pixels:
        crop = np.empty((source.height, source.width, self._channels), dtype=self._kind)
        size = self._channels * self._kind.itemsize
        for row in range(source.height):
            self._file.seek(((source.top + row) * self._width + source.left) * size)
            data = self._file.read(source.width * size)
            crop[row] = np.frombuffer(data, dtype=self._kind).reshape(source.width, self._channels)
        return crop


@lru_cache(maxsize=1)
def _spooled(path: Path, modified: int) -> _SpooledPicture:
    """The last picture that was asked for; decoding it anew for each tile would take minutes."""
    return _SpooledPicture(path)
