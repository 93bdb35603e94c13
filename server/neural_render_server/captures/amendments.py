"""``capture.json``: what an artist has set beside a capture of any format, over what its files say.

``alignment`` is a 4x4 similarity from the files' coordinates to the capture's. ``time_offsets`` are the
seconds, by camera name, that are added to a camera's own clock. ``synchronisation`` and ``solve`` tell
how those and the poses were found; readers take no notice of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..cameras import FloatArray, is_finite_number
from ..errors import CaptureError
from ..files import write_json
from .capture import Capture
from .checks import read_json_object
from .similarity import moved_capture, similarity

FILE = "capture.json"
VERSION = 1


@dataclass(frozen=True, eq=False)
class Amendments:
    """The content of ``capture.json``."""

    alignment: FloatArray | None = None
    time_offsets: dict[str, float] = field(default_factory=dict)
    synchronisation: dict[str, Any] | None = None
    solve: dict[str, Any] | None = None


def amendments_file(path: Path) -> Path:
    """Where the amendments of the capture at ``path`` (its folder, or a file in it) are kept."""
    return (path.parent if path.is_file() else path) / FILE


def read_amendments(path: Path) -> Amendments:
    """What is set beside the capture at ``path``; nothing where there is no file.

    Raises:
        CaptureError, CameraFileError: the file is there and cannot be used.
    """
    file = amendments_file(path)
    if not file.is_file():
        return Amendments()
    data = read_json_object(file)
    if data.get("version") != VERSION:
        raise CaptureError(
            f"{file}: is of version {data.get('version')!r}, this server reads {VERSION}; update the server"
        )
    offsets = data.get("time_offsets") or {}
    if not isinstance(offsets, dict) or not all(is_finite_number(value) for value in offsets.values()):
        raise CaptureError(f"{file}: 'time_offsets' must give each camera's name a number of seconds")
    alignment = data.get("alignment")
    return Amendments(
        alignment=None if alignment is None else similarity(alignment, f"{file}, alignment"),
        time_offsets={str(name): float(value) for name, value in offsets.items()},
        synchronisation=data.get("synchronisation"),
        solve=data.get("solve"),
    )


def write_amendments(path: Path, amendments: Amendments) -> None:
    """Keep the amendments beside the capture at ``path``, atomically.

    Raises:
        SceneError: the file cannot be written.
    """
    alignment = amendments.alignment
    data = {
        "version": VERSION,
        "alignment": None if alignment is None else alignment.tolist(),
        "time_offsets": amendments.time_offsets,
        "synchronisation": amendments.synchronisation,
        "solve": amendments.solve,
    }
    write_json(amendments_file(path), {key: value for key, value in data.items() if value is not None})


def align(path: Path, matrix: FloatArray) -> FloatArray:
    """Move the capture at ``path`` further by a similarity, and return its whole alignment.

    Raises:
        CaptureError, CameraFileError: the matrix or the file there cannot be used.
        SceneError: it cannot be written.
    """
    amendments = read_amendments(path)
    before = np.eye(4) if amendments.alignment is None else amendments.alignment
    whole = similarity(matrix, str(path)) @ before
    write_amendments(path, replace(amendments, alignment=whole))
    return whole


def amended(capture: Capture) -> Capture:
    """The capture with what is set beside it applied.

    Raises:
        CaptureError, CameraFileError: ``capture.json`` cannot be used, or its offsets leave no common time.
    """
    amendments = read_amendments(capture.path)
    if amendments.alignment is not None:
        capture = moved_capture(capture, amendments.alignment)
    if any(amendments.time_offsets.values()):
        capture = shifted(capture, amendments.time_offsets)
    return capture


def shifted(capture: Capture, offsets: dict[str, float]) -> Capture:
    """The capture with each camera's frames moved in time by its offset in seconds.

    Whole timesteps are counted on; what is left, at most half a timestep, becomes the camera's
    ``time_shifts``. Timesteps that not every moved camera filmed are left out, as if the recording had
    started and ended together.

    Raises:
        CaptureError: an offset names no camera, or the recordings do not overlap in time.
    """
    file = amendments_file(capture.path)
    names = [camera.name for camera in capture.cameras]
    unknown = sorted(set(offsets) - set(names))
    if unknown:
        raise CaptureError(
            f"{file}: an offset is given for {', '.join(unknown)}, but there is no such camera; "
            f"there are {', '.join(names)}"
        )
    if not capture.is_dynamic:
        return capture
    step = float(np.median(np.diff(capture.times)))
    seconds = np.array([offsets.get(name, 0.0) for name in names])
    seconds -= seconds.min()
    whole = np.round(seconds / step).astype(np.int64)
    first, last = int(whole.max()), len(capture.times) + int(whole.min())
    if last - first < 2:
        raise CaptureError(
            f"{file}: with these offsets the cameras film no two moments together; correct or remove them"
        )
    keep = [
        index
        for index, view in enumerate(capture.views)
        if first <= view.timestep + whole[view.camera] < last
    ]
    views = [
        replace(view, timestep=int(view.timestep + whole[view.camera] - first))
        for view in (capture.views[index] for index in keep)
    ]
    return replace(
        capture,
        views=views,
        is_test=capture.is_test[keep],
        times=capture.times[: last - first] - capture.times[0],
        time_shifts=seconds - whole * step,
    )
