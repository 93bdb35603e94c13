"""Scene frames and capture seconds."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class FieldTiming:
    """How a field's time follows the timeline.

    At scene frame ``frame_start`` the field shows ``offset`` seconds of the capture, and from there
    runs ``speed`` times as fast as the scene: 0 freezes it, -1 plays it backwards.
    """

    frame_start: float = 1.0
    offset: float = 0.0
    speed: float = 1.0


def scene_fps(fps: int, fps_base: float) -> float:
    """Frames a second of a scene with Blender's ``render.fps`` and ``render.fps_base``."""
    return fps / fps_base


def capture_seconds(frame: float, fps: float, timing: FieldTiming, duration: float | None = None) -> float:
    """Seconds from the capture's start that a field shows at scene ``frame`` (subframes included).

    With ``duration`` (seconds) the answer is held at the capture's first and last moment.
    """
    seconds = timing.offset + timing.speed * (frame - timing.frame_start) / fps
    return seconds if duration is None else min(max(seconds, 0.0), duration)


def scene_frame(seconds: float, fps: float, timing: FieldTiming) -> float:
    """The scene frame at which the field shows ``seconds``: the inverse of ``capture_seconds``.

    Raises:
        ZeroDivisionError: the field's speed is 0.
    """
    return timing.frame_start + (seconds - timing.offset) * fps / timing.speed


def frame_rate(fps: float) -> tuple[int, float]:
    """Blender's ``(render.fps, render.fps_base)`` for ``fps``, for instance 29.97 as (30, 1.001)."""
    whole = max(1, math.ceil(fps - 1e-6))
    return whole, whole / fps


def duration_in_frames(duration: float, fps: float) -> int:
    """Scene frames that ``duration`` seconds of timesteps cover, both ends included."""
    return max(1, round(duration * fps) + 1)
