"""Writing files so that nobody ever reads half of one."""

from __future__ import annotations

import contextlib
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


def is_no_file(path: Path | str) -> bool:
    """Whether something is there that is no file: a folder, or a named pipe, to open which waits for ever."""
    return os.path.exists(path) and not os.path.isfile(path)


def read_json(path: Path) -> Any:
    """The JSON in a file.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is not JSON in UTF-8, or too large or too deep to be one of ours.
    """
    if is_no_file(path):
        raise ValueError("not a regular file")
    with path.open("rb") as file:
        data = file.read(MAX_JSON_BYTES + 1)
    if len(data) > MAX_JSON_BYTES:
        raise ValueError(f"larger than {MAX_JSON_BYTES // 2**20} MB")
    try:
        return json.loads(data.decode("utf-8"))
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def write_atomically(path: Path, write: Callable[[Path], None], previous: Path | None = None) -> None:
    """Call ``write`` with a temporary path beside ``path``, then rename it into place.

    What ``path`` held before is then the file ``previous``, where one is given.

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
        if previous is not None and path.is_file():
            _keep(path, previous)
        temporary.replace(path)
    except OSError as error:
        raise SceneError(
            f"{path}: cannot be written ({error.strerror or error}); free some space or choose another folder"
        ) from error
    finally:
        if temporary is not None:
            remove(temporary)


def _keep(path: Path, previous: Path) -> None:
    """Give what ``path`` holds the name ``previous``, too: there is no moment without the file."""
    link = previous.with_name(f".{previous.stem}{_PARTIAL}{os.getpid()}-{previous.suffix}")
    remove(link)
    try:
        os.link(path, link)
    except OSError:  # a disk without links
        path.replace(previous)
    else:
        link.replace(previous)


def remove(file: Path) -> None:
    """Remove a file that nothing depends on; in a folder that became read-only it stays."""
    with contextlib.suppress(OSError):
        file.unlink(missing_ok=True)


def remove_leftovers(folder: Path) -> None:
    """Remove what writers that were killed had begun in ``folder``; those that live are left alone."""
    for file in folder.glob(f".*{_PARTIAL}*"):
        pid = file.name.partition(_PARTIAL)[2].partition("-")[0]
        if pid.isdigit() and not psutil.pid_exists(int(pid)):
            remove(file)


def write_json(path: Path, data: Any) -> None:
    """Write ``data`` as indented JSON, atomically.

    Raises:
        SceneError: as ``write_atomically``.
    """
    text = json.dumps(data, indent=1, allow_nan=False) + "\n"
    write_bytes(path, text.encode("utf-8"))


def check_room(folder: Path, size: int = 2**20) -> None:
    """Whether ``folder`` takes a file of ``size`` bytes, where another program did not say why it failed.

    Raises:
        SceneError: it does not.
    """
    probe = folder / ".room"
    write_bytes(probe, bytes(size))
    remove(probe)


def write_bytes(path: Path, data: bytes) -> None:
    """Write ``data``, atomically.

    Raises:
        SceneError: as ``write_atomically``.
    """

    def write(temporary: Path) -> None:
        temporary.write_bytes(data)

    write_atomically(path, write)
