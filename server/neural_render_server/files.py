"""Writing files so that nobody ever reads half of one."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from .errors import SceneError

# In the name of a file that is being written, before the writer's process number.
_PARTIAL = "-partial-"

# A capture of 100,000 frames is about 60 MB of JSON, a long training's scene.json one.
MAX_JSON_BYTES = 256 * 2**20


def read_json(path: Path) -> Any:
    """The JSON in a file.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is not JSON in UTF-8, or too large or too deep to be one of ours.
    """
    with path.open("rb") as file:
        if not path.is_file():
            raise ValueError("not a regular file")
        data = file.read(MAX_JSON_BYTES + 1)
    if len(data) > MAX_JSON_BYTES:
        raise ValueError(f"larger than {MAX_JSON_BYTES // 2**20} MB")
    try:
        return json.loads(data.decode("utf-8"))
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def write_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Call ``write`` with a temporary path beside ``path``, then rename it into place.

    Raises:
        SceneError: the file cannot be written (no space, no permission); an older ``path`` is kept.
    """
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # The suffix stays last: some writers choose the format by it.
        prefix = f".{path.stem}{_PARTIAL}{os.getpid()}-"
        handle, name = tempfile.mkstemp(prefix=prefix, suffix=path.suffix, dir=path.parent)
        os.close(handle)
        temporary = Path(name)
        write(temporary)
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as error:
        raise SceneError(
            f"{path}: cannot be written ({error.strerror or error}); free some space or choose another folder"
        ) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def remove_leftovers(folder: Path) -> None:
    """Remove what writers that were killed had begun in ``folder``; those that live are left alone."""
    for file in folder.glob(f".*{_PARTIAL}*"):
        pid = file.name.partition(_PARTIAL)[2].partition("-")[0]
        if pid.isdigit() and not psutil.pid_exists(int(pid)):
            file.unlink(missing_ok=True)


def write_json(path: Path, data: Any) -> None:
    """Write ``data`` as indented JSON, atomically.

    Raises:
        SceneError: as ``write_atomically``.
    """
    text = json.dumps(data, indent=1, allow_nan=False) + "\n"
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path: Path, data: bytes) -> None:
    """Write ``data``, atomically.

    Raises:
        SceneError: as ``write_atomically``.
    """

    def write(temporary: Path) -> None:
        temporary.write_bytes(data)

    write_atomically(path, write)
