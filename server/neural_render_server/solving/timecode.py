"""The timecode that a camera writes into its video (SMPTE ST 12-1)."""

from __future__ import annotations

import re
from pathlib import Path

import av

from ..errors import SolveError

_FORM = re.compile(r"(\d\d):(\d\d):(\d\d)([:;.])(\d\d)")


def read_timecode(path: Path) -> float:
    """Seconds since midnight at the video's first frame.

    Raises:
        SolveError: the video has no timecode, or cannot be read.
    """
    try:
        with av.open(str(path)) as container:
            streams = [*container.streams.video, *container.streams.data]
            stated = [stream.metadata.get("timecode") for stream in streams]
            text = next(filter(None, [container.metadata.get("timecode"), *stated]), None)
            rate = float(container.streams.video[0].average_rate or 0)
    except (av.FFmpegError, ValueError, IndexError) as error:
        raise SolveError(f"{path}: the video cannot be read; copy it again") from error
    seconds = timecode_seconds(text or "", rate)
    if seconds is None:
        raise SolveError(f"{path}: has no timecode; synchronise by audio, picture or by hand")
    return seconds


def timecode_seconds(text: str, fps: float) -> float | None:
    """``01:00:00:12`` in seconds; None where it is no timecode.

    Frames are counted at the next whole rate. A semicolon before them marks drop-frame counting, which
    leaves out two numbers (at 30; four at 60) every minute but each tenth, so that 29.97 keeps the clock.
    """
    found = _FORM.fullmatch(text.strip())
    if found is None or not fps > 0:
        return None
    hours, minutes, seconds, frames = (int(found[index]) for index in (1, 2, 3, 5))
    counted = round(fps)
    number = ((hours * 60 + minutes) * 60 + seconds) * counted + frames
    if found[4] != ":":
        all_minutes = hours * 60 + minutes
        number -= round(counted / 15) * (all_minutes - all_minutes // 10)
    return number / fps
