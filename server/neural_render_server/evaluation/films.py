"""Rendered views kept while a report is made: 8-bit pictures, in memory or on disk as they fit."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..captures.frames import DEFAULT_MEMORY_LIMIT
from ..captures.store import MemoryStore, PlaneStore, SpoolStore

Picture = npt.NDArray[np.uint8]


class RenderedViews:
    """(H, W, 3) pictures by view number, each rounded to 8 bits as a screen would show it."""

    def __init__(self, bytes_needed: int, memory_limit: int = DEFAULT_MEMORY_LIMIT) -> None:
        self._shapes: dict[int, tuple[int, ...]] = {}
        self._store: PlaneStore
        if bytes_needed > memory_limit:
            self._store = SpoolStore(Path(tempfile.gettempdir()), bytes_needed)
        else:
            self._store = MemoryStore()

    def put(self, index: int, image: npt.NDArray[np.float32]) -> None:
        self._shapes[index] = image.shape
        self._store.put(index, to_bytes(image))

    def get(self, index: int) -> Picture:
        return self._store.get(index).reshape(self._shapes[index])

    def close(self) -> None:
        self._store.close()


def to_bytes(image: npt.NDArray[np.float32]) -> Picture:
    """An image in [0, 1] as 8-bit values, rounded."""
    return np.asarray((np.clip(image, 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8))
