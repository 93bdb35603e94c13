"""Rolling shutters as an artist states them, and how cameras that move go on while a picture is read out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import cv2
import numpy as np

from ..cameras import FloatArray, is_finite_number
from ..errors import CaptureError
from ..rolling_shutter import RollingShutter
from .capture import Capture
from .retime import check_recordings, recording_names

Direction = Literal["down", "up", "left", "right"]

# No sensor takes longer for a picture; more is milliseconds taken for seconds.
MOST_SECONDS = 0.5

# Frames farther apart (seconds) say too little of how a hand moves between them.
LARGEST_GAP = 0.25


@dataclass(frozen=True)
class Readout:
    """A picture is read out in ``seconds``, line by line towards ``direction`` as it is shown upright."""

    seconds: float
    direction: Direction = "down"

    @staticmethod
    def from_json(data: Any, where: str) -> Readout:
        """
        Raises:
            CaptureError: no usable seconds or direction.
        """
        values: dict[str, Any] = data if isinstance(data, dict) else {}
        seconds: Any = values.get("seconds")
        direction: Any = values.get("direction", "down")
        if not (is_finite_number(seconds) and 0 <= seconds <= MOST_SECONDS):
            raise CaptureError(f"{where}: a readout takes 0 to {MOST_SECONDS} seconds, not {seconds!r}")
        if direction not in get_args(Direction):
            raise CaptureError(
                f"{where}: the direction {direction!r} is not {', '.join(get_args(Direction))}"
            )
        return Readout(float(seconds), direction)

    def to_json(self) -> dict[str, Any]:
        return {"seconds": self.seconds, "direction": self.direction}

    @property
    def shutter(self) -> RollingShutter:
        signed = self.seconds if self.direction in ("down", "right") else -self.seconds
        return (
            RollingShutter(down=signed) if self.direction in ("down", "up") else RollingShutter(across=signed)
        )


def readouts_of(
    capture: Capture, readout: Readout, cameras: Iterable[str] | None = None
) -> dict[str, Readout]:
    """``readout`` by recording: of all, or of those that ``cameras`` name, or a frame of which it names."""
    recordings = recording_names(capture)
    if cameras is None:
        return dict.fromkeys(recordings, readout)
    names = [camera.name for camera in capture.cameras]
    recording_of = dict(zip(names, recordings, strict=True))
    return {recording_of.get(name, name): readout for name in cameras}


def with_readouts(capture: Capture, readouts: Mapping[str, Readout], where: str) -> Capture:
    """The capture with the rolling shutters of its recordings, by name.

    Raises:
        CaptureError: there is no such recording.
    """
    names = recording_names(capture)
    check_recordings(names, readouts, "a readout", where)
    still = Readout(0.0)
    shutters = [readouts.get(name, still).shutter for name in names]
    recordings: dict[str, list[int]] = {}
    for index, name in enumerate(names):
        if readouts.get(name, still).seconds > 0:
            recordings.setdefault(name, []).append(index)
    times = dict(zip((view.camera for view in capture.views), capture.view_times, strict=True))
    for cameras in recordings.values():
        if len(cameras) > 1:  # it moves: each frame is a camera
            ordered = sorted(cameras, key=times.__getitem__)
            for index, (turn, drift) in zip(ordered, _motions(capture, ordered, times), strict=True):
                shutters[index] = replace(shutters[index], turn=turn, drift=drift)
    return replace(capture, shutters=shutters)


Triple = tuple[float, float, float]


def _motions(capture: Capture, cameras: list[int], times: Mapping[int, float]) -> list[tuple[Triple, Triple]]:
    """How the world turns and drifts past each of a recording's frames, by the frames before and after it."""
    world_to_camera = [capture.cameras[index].world_to_camera_opencv() for index in cameras]
    moments = [times[index] for index in cameras]
    motions = []
    for index, own in enumerate(world_to_camera):
        turn, drift, seconds = np.zeros(3), np.zeros(3), 0.0
        for other in (index - 1, index + 1):
            if not 0 <= other < len(cameras):
                continue
            gap = moments[other] - moments[index]
            if not 0 < abs(gap) <= LARGEST_GAP:
                continue
            turned, drifted = _step(world_to_camera[other] @ np.linalg.inv(own))
            turn, drift = turn + np.sign(gap) * turned, drift + np.sign(gap) * drifted
            seconds += abs(gap)
        scale = 1.0 / seconds if seconds else 0.0
        motions.append((_triple(turn * scale), _triple(drift * scale)))
    return motions


def _step(relative: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Rotation vector and translation of a rigid (4, 4)."""
    return cv2.Rodrigues(relative[:3, :3])[0][:, 0], relative[:3, 3]


def _triple(values: FloatArray) -> Triple:
    x, y, z = values.tolist()
    return x, y, z
