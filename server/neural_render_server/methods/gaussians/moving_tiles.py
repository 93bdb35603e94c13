"""Which tiles of each camera show motion, so that most iterations render only those."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from ...kernels.layout import TILE
from ..base import Report, TrainingViews
from .working_views import WorkingViews, still_images

BoolArray = npt.NDArray[np.bool_]


def tiles_touched(moving: BoolArray, width: int, height: int) -> BoolArray:
    """(tile rows, tile columns) True where a ``width`` x ``height`` image's tile has a moving pixel.

    ``moving`` (h, w) may be of any other size.
    """
    resized = cv2.resize(moving.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)
    rows, columns = -(-height // TILE), -(-width // TILE)
    padded = np.zeros((rows * TILE, columns * TILE), np.bool_)
    padded[:height, :width] = np.asarray(resized) > 0
    return np.asarray(padded.reshape(rows, TILE, columns, TILE).any(axis=(1, 3)))


def pixels_of(tiles: BoolArray, width: int, height: int) -> BoolArray:
    """(H, W) True for the pixels of the True tiles."""
    pixels: BoolArray = np.repeat(np.repeat(tiles, TILE, axis=0), TILE, axis=1)[:height, :width]
    return np.ascontiguousarray(pixels)


class MovingTiles:
    """Moving tiles of every camera of a static rig, at any resolution; none for other captures."""

    def __init__(self, views: TrainingViews, report: Report) -> None:
        self._moving: dict[int, BoolArray] = {}
        self._tiles: dict[tuple[int, int, int], tuple[BoolArray, BoolArray] | None] = {}
        working = WorkingViews(views)
        if working.is_static_rig:
            _, self._moving = still_images(working, report)

    def of(self, camera: int, width: int, height: int) -> tuple[BoolArray, BoolArray] | None:
        """Tiles and their pixels (H, W) for ``camera`` at this size; None where nothing moves."""
        key = (camera, width, height)
        if key not in self._tiles:
            self._tiles[key] = self._find(*key)
        return self._tiles[key]

    def _find(self, camera: int, width: int, height: int) -> tuple[BoolArray, BoolArray] | None:
        if camera not in self._moving:
            return None
        tiles = tiles_touched(self._moving[camera], width, height)
        if not tiles.any():
            return None
        return tiles, pixels_of(tiles, width, height)
