"""Where decoded frames are kept: in memory, or spooled to a file that nothing outlives."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
import threading
from collections import OrderedDict
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from ..errors import CaptureError

Bytes = npt.NDArray[np.uint8]

# Of a spooled capture, this much is kept at hand; the rest is read again when it is asked for.
SPOOL_CACHE_BYTES = 64 * 2**20

# Space left on the disk beyond the spool, for the checkpoints and previews made meanwhile.
DISK_RESERVE_BYTES = 256 * 2**20


class PlaneStore(Protocol):
    """Flat uint8 arrays by number; what it hands out is read-only."""

    def put(self, key: int, values: Bytes) -> None: ...

    def get(self, key: int) -> Bytes: ...

    def close(self) -> None: ...


class MemoryStore:
    """Keeps the arrays in memory."""

    def __init__(self) -> None:
        self._arrays: dict[int, Bytes] = {}

    def put(self, key: int, values: Bytes) -> None:
        values = np.ascontiguousarray(values).reshape(-1)
        values.flags.writeable = False
        self._arrays[key] = values

    def get(self, key: int) -> Bytes:
        return self._arrays[key]

    def close(self) -> None:
        self._arrays.clear()


class SpoolStore:
    """Keeps the arrays in a temporary file in ``folder``, with the last used ones in memory.

    The file is read with plain reads, never mapped, so that resident memory stays bounded; it has
    no name where the system allows that, and so vanishes even if the process is killed.

    Raises:
        CaptureError: the disk has no room for ``total`` bytes, or fills up while writing.
    """

    def __init__(self, folder: Path, total: int, cache_bytes: int = SPOOL_CACHE_BYTES) -> None:
        self._folder, self._total = folder, total
        self._cache_bytes = cache_bytes
        self._cached = 0
        self._cache: OrderedDict[int, Bytes] = OrderedDict()
        self._places: dict[int, tuple[int, int]] = {}
        self._end = 0
        self._lock = threading.Lock()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if shutil.disk_usage(folder).free < total + DISK_RESERVE_BYTES:
                raise self._no_room()
            self._file = tempfile.TemporaryFile(dir=folder, prefix="neural-render-frames-", buffering=0)  # noqa: SIM115
        except OSError as error:
            raise CaptureError(f"{folder}: cannot hold the decoded frames ({error.strerror})") from error

    def put(self, key: int, values: Bytes) -> None:
        data = memoryview(np.ascontiguousarray(values).tobytes())
        self._places[key] = (self._end, len(data))
        try:
            self._file.seek(self._end)
            while data:
                written = self._file.write(data)
                self._end += written
                data = data[written:]
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                raise self._no_room() from error
            raise CaptureError(
                f"{self._folder}: cannot hold the decoded frames ({error.strerror})"
            ) from error

    def get(self, key: int) -> Bytes:
        with self._lock:
            if key in self._cache:
                self._cache.move_to_end(key)
                return self._cache[key]
            values = self._read(*self._places[key])
            values.flags.writeable = False
            self._cache[key] = values
            self._cached += values.nbytes
            while self._cached > self._cache_bytes and len(self._cache) > 1:
                self._cached -= self._cache.popitem(last=False)[1].nbytes
            return values

    def close(self) -> None:
        self._cache.clear()
        self._cached = 0
        self._file.close()

    def _read(self, start: int, size: int) -> Bytes:
        if hasattr(os, "pread"):
            data = os.pread(self._file.fileno(), size, start)
        else:  # Windows
            self._file.seek(start)
            data = self._file.read(size)
        values = np.frombuffer(data, dtype=np.uint8)
        if len(values) != size:
            raise CaptureError(f"{self._folder}: the decoded frames were cut off on disk; start again")
        return values

    def _no_room(self) -> CaptureError:
        return CaptureError(
            f"{self._folder}: the decoded frames need {self._total / 1e9:.2f} GB of free disk; "
            "free some space, raise the downscale or use fewer timesteps"
        )
