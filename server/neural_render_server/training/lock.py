"""Only one training writes a scene folder at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

from ..errors import SceneError
from ..files import write_bytes
from ..scene import Scene

LOCK_NAME = "training.lock"


@contextmanager
def locked(scene: Scene) -> Iterator[None]:
    """Only one training writes a scene folder at a time; a dead process's lock is taken over."""
    lock = scene.path / LOCK_NAME
    try:
        scene.path.mkdir(parents=True, exist_ok=True)
        holder = int(lock.read_text()) if lock.is_file() else None
    except ValueError:
        holder = None
    except OSError as error:
        raise SceneError(f"{scene.path}: cannot be used ({error.strerror}); choose another folder") from error
    if holder is not None and holder != os.getpid() and _is_python_process(holder):
        raise SceneError(f"{scene.path}: process {holder} is training it; wait for it or cancel it first")
    write_bytes(lock, str(os.getpid()).encode())
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)


def _is_python_process(pid: int) -> bool:
    """Whether ``pid`` could be a trainer; process numbers are used again by other programs."""
    try:
        return any("python" in part or "neural-render" in part for part in psutil.Process(pid).cmdline()[:2])
    except psutil.Error:
        return False
