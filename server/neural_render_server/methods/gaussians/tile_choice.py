"""Which tiles of a view an iteration renders: those that move, and those that are still wrong.

In a rig that stands still most of a picture is soon right. Most iterations therefore render only as many
tiles as the camera has moving ones, drawn by their error, and sooner where something moves at that moment.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
import torch

from ...kernels.layout import TILE
from ..base import Report, Tensors, TrainingViews
from .working_views import WorkingViews, still_images

BoolArray = npt.NDArray[np.bool_]
Float32Array = npt.NDArray[np.float32]

# A tile shows motion at a moment where it differs from the camera's still image by more, on average.
ACTIVE_DIFFERENCE = 0.015
# How much sooner a tile of the moving region is drawn than its error says, and one that moves right now:
# without the two, what moves lost 0.7 dB on `stage`; with them the whole frame gained 0.75 and it lost 0.1.
MOVING_WEIGHT, ACTIVE_WEIGHT = np.exp(0.5), np.exp(2.5)
# What a tile's error keeps of itself when the camera is seen whole again.
ERROR_MEMORY = 0.7
LEAST_ERROR = 1e-6


def tile_means(image: npt.ArrayLike) -> Float32Array:
    """(tile rows, tile columns) sums of an (H, W) image over its tiles, divided by a whole tile's area."""
    values = np.asarray(image, dtype=np.float32)
    height, width = values.shape
    rows, columns = -(-height // TILE), -(-width // TILE)
    padded = np.zeros((rows * TILE, columns * TILE), np.float32)
    padded[:height, :width] = values
    return np.asarray(padded.reshape(rows, TILE, columns, TILE).mean(axis=(1, 3)))


def pixels_of(tiles: BoolArray, width: int, height: int) -> BoolArray:
    """(H, W) True for the pixels of the True tiles."""
    pixels: BoolArray = np.repeat(np.repeat(tiles, TILE, axis=0), TILE, axis=1)[:height, :width]
    return np.ascontiguousarray(pixels)


def draw_tiles(weights: Float32Array, count: int, random: np.random.Generator) -> BoolArray:
    """``count`` different tiles, drawn one after another with chances as ``weights`` (rows, columns).

    By Gumbel's trick (Vieira 2014; Kool et al. 2019): the largest of the log weights plus noise.
    """
    keys = np.log(weights) + random.gumbel(size=weights.shape)
    least = np.partition(keys, -count, axis=None)[-count]
    return np.asarray(keys >= least)


class TileChoice:
    """Chooses the tiles of a static rig's views, at any resolution; none for other captures."""

    def __init__(self, views: TrainingViews, report: Report) -> None:
        self._working = WorkingViews(views)
        self._still: dict[int, Float32Array] = {}
        self._moving: dict[int, BoolArray] = {}
        self._moving_tiles: dict[tuple[int, int, int], BoolArray] = {}
        self._active_tiles: dict[tuple[int, int, int], BoolArray] = {}
        self._errors: dict[int, Float32Array] = {}
        if self._working.is_static_rig:
            self._still, self._moving = still_images(self._working, report)

    def choose(
        self, view: int, camera: int, width: int, height: int, random: np.random.Generator
    ) -> tuple[BoolArray, BoolArray] | None:
        """Tiles and their pixels (H, W) for training view ``view``; None where nothing ever moves."""
        if camera not in self._moving:
            return None
        moving = self._moving_at(camera, width, height)
        count = int(moving.sum())
        if count == 0:
            return None
        errors = self._errors.get(camera)
        if errors is None or errors.shape != moving.shape:
            return moving, pixels_of(moving, width, height)
        weights = np.maximum(errors, LEAST_ERROR)
        active = moving & self._active_at(view, camera, width, height)
        weights *= np.where(active, ACTIVE_WEIGHT, np.where(moving, MOVING_WEIGHT, 1.0)).astype(np.float32)
        tiles = draw_tiles(weights, count, random)
        return tiles, pixels_of(tiles, width, height)

    def observe(self, camera: int, error: npt.ArrayLike) -> None:
        """Take in the ``error`` (H, W) of a view of ``camera`` that was rendered whole."""
        if camera not in self._moving:
            return
        found = tile_means(error)
        known = self._errors.get(camera)
        if known is not None and known.shape == found.shape:
            found = np.float32(ERROR_MEMORY) * known + np.float32(1.0 - ERROR_MEMORY) * found
        self._errors[camera] = found

    def tensors(self) -> Tensors:
        return {f"tile_errors.{camera}": torch.from_numpy(e.copy()) for camera, e in self._errors.items()}

    def load(self, tensors: Tensors) -> None:
        """Take up what ``tensors()`` gave."""
        prefix = "tile_errors."
        for name, errors in tensors.items():
            if name.startswith(prefix):
                self._errors[int(name.removeprefix(prefix))] = errors.cpu().numpy().copy()

    def _moving_at(self, camera: int, width: int, height: int) -> BoolArray:
        key = (camera, width, height)
        if key not in self._moving_tiles:
            moving = self._moving[camera].astype(np.uint8)
            resized = cv2.resize(moving, (width, height), interpolation=cv2.INTER_NEAREST)
            self._moving_tiles[key] = tile_means(resized) > 0
        return self._moving_tiles[key]

    def _active_at(self, view: int, camera: int, width: int, height: int) -> BoolArray:
        key = (view, width, height)
        if key not in self._active_tiles:
            timestep = int(self._working.views.timestep_indices[view])
            difference = np.abs(self._working.image(camera, timestep) - self._still[camera]).mean(axis=-1)
            resized = cv2.resize(difference, (width, height), interpolation=cv2.INTER_LINEAR)
            self._active_tiles[key] = tile_means(resized) > ACTIVE_DIFFERENCE
        return self._active_tiles[key]
