"""Finished frames on disk, by what they were rendered from (``frame_key``): none is rendered twice."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from ..errors import SceneError
from ..files import write_bytes

GIGABYTE = 1e9


class FrameCache:
    """A folder of frames; those used least lately go when there are more than ``limit`` bytes.

    ``warnings`` tells what went wrong, one sentence each: a cache that cannot be written makes rendering
    slower, and nothing else.
    """

    def __init__(self, folder: Path, limit: float) -> None:
        self.folder = folder
        self.limit = limit
        self.warnings: list[str] = []
        self._bytes: int | None = None

    def find(self, key: str) -> bytes | None:
        """The frame of ``key``, which then counts as just used; None where there is none."""
        path = self._path(key)
        try:
            data = path.read_bytes()
            os.utime(path)
        except OSError:
            return None
        return data

    def keep(self, key: str, data: bytes) -> None:
        """Keep a frame, and let older ones go to make room; one beyond the limit by itself is not kept."""
        if len(data) > self.limit or self.warnings:
            return
        try:
            if self._bytes is None:
                self._bytes = self.used()[0]
            self._make_room(len(data))
            write_bytes(self._path(key), data)
            self._bytes += len(data)
        except (OSError, SceneError) as error:
            self.warnings.append(f"{self.folder}: frames are not kept in the cache ({error})")

    def used(self) -> tuple[int, int]:
        """Bytes and number of the frames that are kept."""
        sizes = [status.st_size for _, status in self._files()]
        return sum(sizes), len(sizes)

    def clear(self) -> tuple[int, int]:
        """Remove all frames; returns their bytes and number."""
        freed = self.used()
        for path, _ in self._files():
            path.unlink(missing_ok=True)
        self._bytes = None
        return freed

    def _make_room(self, needed: int) -> None:
        assert self._bytes is not None
        if self._bytes + needed <= self.limit:
            return
        oldest_first = sorted(self._files(), key=lambda found: found[1].st_mtime)
        # another server may have kept or removed some
        self._bytes = sum(status.st_size for _, status in oldest_first)
        for path, status in oldest_first:
            if self._bytes + needed <= self.limit:
                break
            path.unlink(missing_ok=True)
            self._bytes -= status.st_size

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.frame"

    def _files(self) -> Iterator[tuple[Path, os.stat_result]]:
        for path in self.folder.glob("??/*.frame"):
            try:
                yield path, path.stat()
            except FileNotFoundError:  # another server has just removed it
                continue
