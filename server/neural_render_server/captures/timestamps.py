"""``timestamps.csv`` of caliscope: when each camera took each frame.

Columns ``sync_index, cam_id, frame_index, frame_time`` (seconds on the recording computer's clock).
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..errors import CaptureError


def read_timestamps(
    path: Path, nominal: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float64], str | None]:
    """Times of the timesteps (the mean over the cameras, from 0 seconds), and a warning or None.

    Where the file does not list one moment for each of the ``nominal`` times, those are kept.

    Raises:
        CaptureError: the file cannot be read, or a time is not a number.
    """
    moments: dict[int, list[float]] = {}
    try:
        with path.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                moments.setdefault(int(row["sync_index"]), []).append(float(row["frame_time"]))
    except OSError as error:
        raise CaptureError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, KeyError, TypeError, csv.Error) as error:
        raise CaptureError(
            f"{path}: needs the columns sync_index and frame_time with a number in every row; "
            "repair or remove it"
        ) from error
    times = np.array([np.mean(moments[index]) for index in sorted(moments)])
    if len(times) != len(nominal):
        return nominal, (
            f"{path.name} lists {len(times)} moments for {len(nominal)} timesteps; it is ignored and the "
            "video's frame rate is used."
        )
    if not np.isfinite(times).all() or (np.diff(times) <= 0).any():
        raise CaptureError(f"{path}: the times do not increase from row to row; repair or remove the file")
    apart = max(max(values) - min(values) for values in moments.values())
    return times - times[0], (
        f"Times are taken from {path.name}; "
        f"within a timestep the cameras are up to {apart * 1e3:.0f} ms apart."
    )
