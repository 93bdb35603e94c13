"""Scene frames and capture seconds: the only time arithmetic in the add-on."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum


class TimeMapping(StrEnum):
    """How a field's time follows from the scene's; the values are those of Blender's property."""

    FOLLOW = "FOLLOW"  # with the timeline, held at the capture's ends
    LOOP = "LOOP"  # from the last moment on to the first
    PING_PONG = "PING_PONG"  # forwards and backwards in turn
    FIELD_TIME = "FIELD_TIME"  # the moment that is set: one value freezes, keyframes are a free curve


@dataclass(frozen=True)
class FieldTiming:
    """How a field's time follows the timeline.

    At scene frame ``frame_start`` the field shows ``offset`` seconds of the capture, and from there
    runs ``speed`` times as fast as the scene: 0 freezes it, -1 plays it backwards. The mapping
    ``FIELD_TIME`` shows ``field_time`` seconds whatever the frame is.
    """

    frame_start: float = 1.0
    offset: float = 0.0
    speed: float = 1.0
    mapping: TimeMapping = TimeMapping.FOLLOW
    field_time: float = 0.0


def scene_fps(fps: int, fps_base: float) -> float:
    """Frames a second of a scene with Blender's ``render.fps`` and ``render.fps_base``."""
    return fps / fps_base


def capture_seconds(frame: float, fps: float, timing: FieldTiming, duration: float | None = None) -> float:
    """Seconds from the capture's start that a field shows at scene ``frame`` (subframes included).

    It depends on nothing else: the same frame shows the same moment, however the timeline got there.
    With ``duration`` (seconds from the first timestep to the last) the answer lies within the capture.
    Without, nothing loops or is held.
    """
    seconds = timing.offset + timing.speed * (frame - timing.frame_start) / fps
    if timing.mapping is TimeMapping.FIELD_TIME:
        seconds = timing.field_time
    if duration is None:
        return seconds
    if duration > 0.0 and timing.mapping is TimeMapping.LOOP:
        # The remainder has the divisor's sign in Python: time before the start loops, too.
        return seconds % duration
    if duration > 0.0 and timing.mapping is TimeMapping.PING_PONG:
        within = seconds % (2.0 * duration)
        return min(within, 2.0 * duration - within)
    return min(max(seconds, 0.0), duration)


def frame_rate(fps: float) -> tuple[int, float]:
    """Blender's ``(render.fps, render.fps_base)`` for ``fps``, for instance 29.97 as (30, 1.001)."""
    whole = max(1, math.ceil(fps - 1e-6))
    return whole, whole / fps


def duration_in_frames(duration: float, fps: float) -> int:
    """Scene frames that ``duration`` seconds of timesteps cover, both ends included."""
    return max(1, round(duration * fps) + 1)
