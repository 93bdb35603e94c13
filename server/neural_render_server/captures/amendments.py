"""``capture.json``: what an artist has set beside a capture of any format, over what its files say.

``alignment`` is a 4x4 similarity from the files' coordinates to the capture's. ``time_offsets`` are the
seconds, by camera name, that are added to a camera's own clock. ``fps`` are the timesteps a second, where
they are not to be the fastest camera's frames. ``readouts`` are, by camera name, the seconds and direction in
which a rolling shutter reads a picture out. ``synchronisation`` and ``solve`` tell
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
from .readout import Readout, with_readouts
from .retime import check_recordings, recording_names, retimed
from .similarity import moved_capture, similarity

FILE = "capture.json"
VERSION = 1

# Faster than any camera that films for long: a slip of the pen must not fill the memory with timesteps.
MOST_FPS = 10_000


@dataclass(frozen=True, eq=False)
class Amendments:
    """The content of ``capture.json``."""

    alignment: FloatArray | None = None
    time_offsets: dict[str, float] = field(default_factory=dict)
    synchronisation: dict[str, Any] | None = None
    solve: dict[str, Any] | None = None
    fps: float | None = None
    readouts: dict[str, Readout] = field(default_factory=dict)


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
    fps = data.get("fps")
    if fps is not None and not (is_finite_number(fps) and 0 < fps <= MOST_FPS):
        raise CaptureError(f"{file}: 'fps' is {fps!r}, but must be a number above 0, at most {MOST_FPS}")
    readouts = data.get("readouts") or {}
    if not isinstance(readouts, dict):
        raise CaptureError(f"{file}: 'readouts' must give each camera's name seconds and a direction")
    alignment = data.get("alignment")
    return Amendments(
        alignment=None if alignment is None else similarity(alignment, f"{file}, alignment"),
        time_offsets={str(name): float(value) for name, value in offsets.items()},
        synchronisation=data.get("synchronisation"),
        solve=data.get("solve"),
        fps=None if fps is None else float(fps),
        readouts={str(name): Readout.from_json(value, f"{file}, {name}") for name, value in readouts.items()},
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
        "fps": amendments.fps,
        "readouts": {name: readout.to_json() for name, readout in amendments.readouts.items()} or None,
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


def set_fps(path: Path, fps: float | None) -> None:
    """Keep the timesteps a second of the capture at ``path``; None is every frame of the fastest camera.

    Raises:
        CaptureError: no usable number, or ``capture.json`` cannot be used.
        SceneError: it cannot be written.
    """
    if fps is not None and not 0 < fps <= MOST_FPS:
        raise CaptureError(f"{path}: {fps:g} timesteps a second are impossible; give 1 to {MOST_FPS}")
    write_amendments(path, replace(read_amendments(path), fps=fps))


def set_readouts(capture: Capture, readouts: dict[str, Readout]) -> dict[str, Readout]:
    """Keep how the cameras of ``capture`` read their pictures out; the others' stay. Returns all of them.

    Raises:
        CaptureError: there is no such camera, or ``capture.json`` cannot be used.
        SceneError: it cannot be written.
    """
    amendments = read_amendments(capture.path)
    whole = {**amendments.readouts, **readouts}
    whole = {name: readout for name, readout in whole.items() if readout.seconds > 0}
    with_readouts(capture, whole, str(amendments_file(capture.path)))
    write_amendments(capture.path, replace(amendments, readouts=whole))
    return whole


def amended(capture: Capture) -> Capture:
    """The capture with what is set beside it applied.

    Raises:
        CaptureError, CameraFileError: ``capture.json`` cannot be used, or its offsets leave no common time.
    """
    amendments = read_amendments(capture.path)
    if amendments.alignment is not None:
        capture = moved_capture(capture, amendments.alignment)
    if any(amendments.time_offsets.values()) or amendments.fps is not None:
        capture = shifted(capture, amendments.time_offsets, amendments.fps)
    if amendments.readouts:
        capture = with_readouts(capture, amendments.readouts, str(amendments_file(capture.path)))
    return capture


def shifted(capture: Capture, offsets: dict[str, float], fps: float | None = None) -> Capture:
    """The capture with each recording's frames moved in time by its offset in seconds.

    Every frame keeps its own moment; it belongs to the nearest timestep, of which there are ``fps`` a second
    (None: those of the fastest recording). Time that not every recording filmed is left out.

    Raises:
        CaptureError: an offset names no camera, or the recordings do not overlap in time.
    """
    file = amendments_file(capture.path)
    names = recording_names(capture)
    check_recordings(names, offsets, "an offset", file)
    if not capture.is_dynamic:
        return capture
    seconds = np.array([offsets.get(names[view.camera], 0.0) for view in capture.views])
    moved = retimed(capture, capture.view_times + seconds - seconds.min(), fps)
    if moved is None:
        raise CaptureError(
            f"{file}: with these offsets the cameras film no two moments together; correct or remove them"
        )
    return moved
