"""How pixels move from one picture to another."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import cv2
import numpy as np
import numpy.typing as npt

Float32Array = npt.NDArray[np.float32]


@contextmanager
def _one_thread() -> Iterator[None]:
    """OpenCV's flow searches each thread's stripe by itself, so that its result depends on their number."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(threads)


def image_flow(first: Float32Array, second: Float32Array) -> Float32Array:
    """(H, W, 2) pixels that each pixel of ``first`` (H, W, 3) moves right and down until ``second``.

    Both are in [0, 1], as encoded for a screen. Dense inverse search (Kroeger et al., ECCV 2016), down to
    single pixels since the images are small.
    """
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    search.setFinestScale(0)
    with _one_thread():
        return np.asarray(search.calc(_gray(first), _gray(second), None), dtype=np.float32)


def pixel_centres(width: int, height: int) -> Float32Array:
    """(H, W, 2) where each pixel's centre lies, right and down."""
    columns, rows = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    return np.stack([columns, rows], axis=-1).astype(np.float32)


def sampled(image: Float32Array, places: Float32Array) -> Float32Array:
    """``image`` (h, w[, C]) at ``places`` (H, W, 2), pixels right and down; beyond its edge, its edge."""
    # cv2.remap counts pixel centres at whole numbers.
    map_x, map_y = places[..., 0] - np.float32(0.5), places[..., 1] - np.float32(0.5)
    edge = cv2.BORDER_REPLICATE
    found = cv2.remap(np.ascontiguousarray(image), map_x, map_y, cv2.INTER_LINEAR, borderMode=edge)
    return np.asarray(found, dtype=np.float32)


def _gray(image: Float32Array) -> npt.NDArray[np.uint8]:
    gray = cv2.cvtColor(np.ascontiguousarray(image[..., :3]), cv2.COLOR_RGB2GRAY)
    return np.asarray(gray * 255.0, dtype=np.uint8)
