"""``timestamps.csv``, as caliscope writes it: when each camera took each frame.

Columns ``cam_id, frame_index, frame_time`` (seconds on one clock) and, where the recorder put the frames of
one moment together, ``sync_index``. Frames that were dropped leave a gap in the times; a frame of the same
time as the one before it is a repetition.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Sequence as SequenceOf
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import CaptureError
from .timeline import FloatArray, IntArray

FILE = "timestamps.csv"


@dataclass(frozen=True, eq=False)
class Clock:
    """``frames`` (N,) of a recording that are used, from 0, and their ``times`` (N,), ascending seconds."""

    frames: IntArray
    times: FloatArray


@dataclass(frozen=True, eq=False)
class Timestamps:
    """A clock a recording; ``moments`` (T,) are those of ``sync_index``, the mean over the cameras.

    ``apart`` is the largest difference in seconds within one.
    """

    clocks: list[Clock]
    moments: FloatArray | None
    apart: float
    left_out: int


@dataclass(frozen=True)
class _Row:
    frame: int
    time: float
    moment: int | None


def read_timestamps(path: Path, names: SequenceOf[str], counts: SequenceOf[int]) -> Timestamps | str:
    """The clocks of recordings called ``names`` that have ``counts`` frames.

    Where the file does not fit them: a sentence that says so. A ``cam_id`` that is no name is the number at
    the end of one. Where as many frames are listed as recorded, they are these in order, however numbered.

    Raises:
        CaptureError: the file cannot be read, a value is not a number, or times go backwards.
    """
    by_camera = _rows(path)
    clocks, left_out = [], 0
    for name, count in zip(names, counts, strict=True):
        rows = _of_camera(by_camera, name)
        if rows is None:
            return f"{path.name} lists no frames of {name}; it is ignored and the frame rates are used."
        rows.sort(key=lambda row: row.frame)
        frames = list(range(count)) if len(rows) == count else [row.frame for row in rows]
        if frames[-1] >= count or frames[0] < 0:
            return (
                f"{path.name} lists {len(rows)} frames of {name}, which has {count}; it is ignored and the "
                "frame rates are used."
            )
        times = np.array([row.time for row in rows])
        fresh = np.concatenate([[True], np.diff(times) != 0.0])
        if (np.diff(times) < 0).any():
            raise _disordered(path)
        left_out += count - int(fresh.sum())
        clocks.append(Clock(np.array(frames, dtype=np.int64)[fresh], times[fresh]))
    moments, apart = _moments(path, [row for rows in by_camera.values() for row in rows])
    return Timestamps(clocks, moments, apart, left_out)


def _rows(path: Path) -> dict[str, list[_Row]]:
    by_camera: dict[str, list[_Row]] = {}
    try:
        with path.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                time = float(row["frame_time"])
                if not math.isfinite(time):
                    raise ValueError(time)
                stated = row.get("sync_index")
                found = _Row(int(row["frame_index"]), time, int(stated) if stated else None)
                by_camera.setdefault(row["cam_id"].strip(), []).append(found)
    except OSError as error:
        raise CaptureError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, KeyError, TypeError, AttributeError, csv.Error) as error:
        raise CaptureError(
            f"{path}: needs the columns cam_id, frame_index and frame_time with a number in every row; "
            "repair or remove it"
        ) from error
    return by_camera


def _of_camera(by_camera: dict[str, list[_Row]], name: str) -> list[_Row] | None:
    """The rows of the camera ``name``: by it, or by the number that it ends with."""
    number = re.search(r"(\d+)$", name)
    for camera, rows in by_camera.items():
        if camera == name:
            return rows
        if number and camera.isdecimal() and camera.lstrip("0") == number[1].lstrip("0"):
            return rows
    return None


def _moments(path: Path, rows: SequenceOf[_Row]) -> tuple[FloatArray | None, float]:
    groups: dict[int, list[float]] = {}
    for row in rows:
        if row.moment is None:
            return None, 0.0
        groups.setdefault(row.moment, []).append(row.time)
    moments = np.array([np.mean(groups[index]) for index in sorted(groups)])
    if (np.diff(moments) <= 0).any():
        raise _disordered(path)
    return moments, max(max(times) - min(times) for times in groups.values())


def _disordered(path: Path) -> CaptureError:
    return CaptureError(f"{path}: the times do not increase from row to row; repair or remove the file")
