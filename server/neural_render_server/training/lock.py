"""Only one training writes a scene folder at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from ..errors import SceneError
from ..files import remove, remove_leftovers, write_bytes
from ..scene import Scene

LOCK_NAME = "training.lock"


@contextmanager
def locked(scene: Scene) -> Iterator[bool]:
    """Only one training writes a scene folder at a time; gives whether an earlier one was killed in it.

    A dead process's lock is taken over, and what it had begun to write removed.

    Raises:
        SceneError: another training writes the folder, or it cannot be written.
    """
    lock = scene.path / LOCK_NAME
    try:
        scene.path.mkdir(parents=True, exist_ok=True)
        was_killed = lock.is_file()
        holder = _holder(lock) if was_killed else None
        previews = scene.preview_file.parent
        if previews.is_symlink():
            raise SceneError(
                f"{previews}: leads to another folder, where a training must not write; remove it"
            )
    except OSError as error:
        raise SceneError(f"{scene.path}: cannot be used ({error.strerror}); choose another folder") from error
    if holder is not None and holder.pid != os.getpid():
        raise SceneError(f"{scene.path}: process {holder.pid} is training it; wait for it or cancel it first")
    remove_leftovers(scene.path)
    remove_leftovers(scene.preview_file.parent)
    write_bytes(lock, f"{os.getpid()} {psutil.Process().create_time()}".encode())
    try:
        yield was_killed
    finally:
        remove(lock)


def _holder(lock: Path) -> psutil.Process | None:
    """The process that a lock names, if it lives; process numbers are used again, so its start counts too."""
    try:
        pid, started = lock.read_text().split()
        process = psutil.Process(int(pid))
        return process if process.create_time() == float(started) else None
    except (ValueError, psutil.Error):
        return None
