"""Putting the cameras of a capture on one clock: by timecode, sound, a flash, what changes, or by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from ..cameras import Camera, FloatArray
from ..captures.amendments import read_amendments, shifted, write_amendments
from ..captures.capture import Capture, VideoSource
from ..captures.detect import read_capture
from ..captures.overlap import scene_bounds
from ..captures.sequences import Sequence, video_sequence
from ..errors import OptionError, SolveError
from ..progress import Control, Event, OnEvent
from .audio import LEAST_PEAK, read_sound, sound_delay
from .brightness import Changes, flash_time, light_delay, measure, picture_delay
from .clocks import Clocks, settle, tied
from .common_points import MOST_FRAMES, common_delays, small_film
from .pictures import read_frames
from .timecode import read_timecode

By = Literal["timecode", "audio", "flash", "picture", "hand"]
WAYS: tuple[By, ...] = get_args(By)

# Pictures of two cameras that are less alike than this over time say nothing of their delay.
LEAST_LIKENESS = 0.3

# A residual above this part of a frame is told: motion would show it.
LARGE_RESIDUAL = 0.25

# Corners of the scene.
Bounds = tuple[FloatArray, FloatArray]

Delays = dict[tuple[int, int], tuple[float, float]]


@dataclass(frozen=True)
class Recording:
    """A camera's video; ``camera`` where its pose is known."""

    name: str
    sequence: Sequence
    camera: Camera | None = None

    @property
    def fps(self) -> float:
        return float(self.sequence.fps or 0.0)


def synchronise_capture(path: Path, by: str, on_event: OnEvent, control: Control) -> dict[str, Any]:
    """Find the cameras' time offsets and keep them in the capture's ``capture.json``.

    Returns as ``synchronise_recordings``.

    Raises:
        SolveError: the recordings do not say how far apart they are.
        CaptureError, SceneError: the capture cannot be read or written.
        Cancelled: the user cancelled; nothing is changed.
    """
    capture = read_capture(path)

    def tell(part: float) -> None:
        control.check()
        message = f"Synchronising by {by}, {part:.0%}"
        on_event(Event("progress", {"fraction": part, "time_left": None, "message": message}))

    result = synchronise_recordings(path, film_recordings(capture), by, tell, bounds=scene_bounds(capture))
    keep_offsets(path, capture, result)
    return result


def synchronise_recordings(
    path: Path,
    recordings: list[Recording],
    by: str,
    tell: Callable[[float], None],
    moving: bool = False,
    bounds: Bounds | None = None,
) -> dict[str, Any]:
    """The offsets of the recordings of footage or a capture at ``path``; ``tell`` gets the part done.

    Where the cameras are known, and the ``bounds`` of the scene, pictures are compared point by point.

    What cameras that are ``moving`` see changes with them, so that only their timecode, sound, or a flash say
    when they were started. Returns ``{by, offsets: {camera: seconds}, residuals: {camera: seconds or null},
    fps, warnings}``.

    Raises:
        SolveError: the recordings do not say how far apart they are.
        OptionError: there is no such way.
    """
    if by not in WAYS or by == "hand":
        raise OptionError(f"there is no way to synchronise called {by!r}; there are {', '.join(WAYS[:-1])}")
    if moving and by == "picture":
        raise SolveError(
            f"{path}: the pictures of cameras that move change with them and say nothing of the time; "
            "synchronise by audio, timecode, a flash, or by hand"
        )
    for recording in recordings:
        if not recording.fps > 0:
            raise SolveError(
                f"{recording.sequence.path}: does not say its frame rate; convert it to H.264 MP4"
            )
    tell(0.0)
    if moving and by == "flash":
        delays = flash_delays(recordings, tell)
    elif by == "picture" and bounds is not None:
        delays = by_points(recordings, bounds, tell)
    else:
        delays = _DELAYS[by](recordings, tell)
    names = [recording.name for recording in recordings]
    clocks = settle(len(recordings), delays)
    if not np.isfinite(clocks.residuals).any():
        raise SolveError(
            f"{path}: the recordings have nothing in common by {by}; synchronise another way, or by hand"
        )
    fps = max(recording.fps for recording in recordings)
    return {
        "by": by,
        "offsets": dict(zip(names, clocks.offsets.tolist(), strict=True)),
        "residuals": {
            name: None if np.isnan(value) else float(value)
            for name, value in zip(names, clocks.residuals, strict=True)
        },
        "fps": fps,
        "warnings": _warnings(names, clocks, by, fps),
    }


def set_offsets(path: Path, offsets: dict[str, float]) -> dict[str, Any]:
    """Keep time offsets given by hand, seconds by camera name; others stay as they are.

    Raises:
        CaptureError, SceneError: there is no such camera, or no time is left that all cameras film.
    """
    capture = read_capture(path)
    whole = {**read_amendments(path).time_offsets, **offsets}
    result = {"by": "hand", "offsets": whole, "residuals": {}, "fps": capture.fps or 0.0, "warnings": []}
    keep_offsets(path, capture, result)
    return result


def keep_offsets(path: Path, capture: Capture, result: dict[str, Any]) -> None:
    """Write the offsets of ``result``, once they have proved to leave something of ``capture``."""
    amendments = read_amendments(path)
    shifted(capture, result["offsets"], amendments.fps)
    write_amendments(
        path, replace(amendments, time_offsets=result["offsets"], synchronisation={**result, "offsets": None})
    )


def film_recordings(capture: Capture) -> list[Recording]:
    """The video of each camera.

    Raises:
        SolveError: a camera has none, or there is only one.
    """
    videos: dict[int, Path] = {}
    for view in capture.views:
        if isinstance(view.source, VideoSource):
            videos.setdefault(view.camera, view.source.path)
    if len(capture.cameras) < 2:
        raise SolveError(f"{capture.path}: one camera alone needs no synchronising")
    without = [camera.name for index, camera in enumerate(capture.cameras) if index not in videos]
    if without:
        raise SolveError(
            f"{capture.path}: {', '.join(without[:3])} has no video, and only videos are synchronised; "
            "give its offset by hand"
        )
    return [
        Recording(capture.cameras[index].name, video_sequence(videos[index]), capture.cameras[index])
        for index in sorted(videos)
    ]


def by_timecode(recordings: list[Recording], tell: Callable[[float], None]) -> Delays:
    starts = [read_timecode(recording.sequence.path) for recording in recordings]
    return {(0, other): (starts[other] - starts[0], 1.0) for other in range(1, len(starts))}


def by_audio(recordings: list[Recording], tell: Callable[[float], None]) -> Delays:
    sounds = []
    for index, recording in enumerate(recordings):
        sounds.append(read_sound(recording.sequence.path))
        tell(0.5 * (index + 1) / len(recordings))
    pairs = list(combinations(range(len(sounds)), 2))
    delays: Delays = {}
    for done, (a, b) in enumerate(pairs):
        delay, peak = sound_delay(sounds[a], sounds[b])
        if peak >= LEAST_PEAK:
            delays[a, b] = delay, peak
        tell(0.5 + 0.5 * (done + 1) / len(pairs))
    return delays


def by_flash(recordings: list[Recording], tell: Callable[[float], None]) -> Delays:
    """By the moment of a flash where most cameras see one, else by light that changes or flickers."""
    changes = _all_changes(recordings, tell)
    return _flashes(changes) or _alike(changes, light_delay)


def flash_delays(recordings: list[Recording], tell: Callable[[float], None]) -> Delays:
    """By the moment of a flash alone; no delays where most cameras see none."""
    return _flashes(_all_changes(recordings, tell))


def _flashes(changes: list[Changes]) -> Delays:
    flashes = [flash_time(own) for own in changes]
    seen = [(index, flash) for index, flash in enumerate(flashes) if flash is not None]
    if 2 * len(seen) <= len(changes):
        return {}
    return {(a, b): (first - second, 1.0) for (a, first), (b, second) in combinations(seen, 2)}


def by_picture(recordings: list[Recording], tell: Callable[[float], None]) -> Delays:
    return _alike(_all_changes(recordings, tell), picture_delay)


def by_points(recordings: list[Recording], bounds: Bounds, tell: Callable[[float], None]) -> Delays:
    """By what points in the scene show to several cameras; by whole pictures for who has none in common."""
    films = []
    for recording in recordings:
        assert recording.camera is not None
        frames = range(min(recording.sequence.frames, MOST_FRAMES))
        films.append(
            small_film(recording.camera, read_frames(recording.sequence, list(frames)), recording.fps)
        )
        tell(0.5 * len(films) / len(recordings))
    delays: Delays = dict(common_delays(films, bounds, lambda part: tell(0.5 + 0.5 * part)))
    members = tied(len(recordings), delays)
    if len(members) < len(recordings):
        whole = _alike(_all_changes(recordings, tell), picture_delay)
        delays |= {pair: delay for pair, delay in whole.items() if not members.issuperset(pair)}
    return delays


def _alike(changes: list[Changes], delay_of: Callable[[Changes, Changes], tuple[float, float]]) -> Delays:
    delays: Delays = {}
    for a, b in combinations(range(len(changes)), 2):
        delay, likeness = delay_of(changes[a], changes[b])
        if likeness >= LEAST_LIKENESS:
            delays[a, b] = delay, likeness**4  # less alike is far less sure
    return delays


_DELAYS: dict[str, Callable[[list[Recording], Callable[[float], None]], Delays]] = {
    "timecode": by_timecode,
    "audio": by_audio,
    "flash": by_flash,
    "picture": by_picture,
}


def _all_changes(recordings: list[Recording], tell: Callable[[float], None]) -> list[Changes]:
    total = sum(recording.sequence.frames for recording in recordings)
    done = 0
    measured = []
    for recording in recordings:
        frames = read_frames(recording.sequence, list(range(recording.sequence.frames)))
        measured.append(measure(frames, recording.fps))
        done += recording.sequence.frames
        tell(done / total)
    return measured


def _warnings(names: list[str], clocks: Clocks, by: str, fps: float) -> list[str]:
    warnings = []
    alone = [name for name, value in zip(names, clocks.residuals, strict=True) if np.isnan(value)]
    if alone:
        warnings.append(
            f"{', '.join(alone)} could not be synchronised by {by}; "
            "give the offset by hand, or synchronise another way."
        )
    loose = [
        f"{name} ({value * fps:.2f} frames)"
        for name, value in zip(names, clocks.residuals, strict=True)
        if value * fps > LARGE_RESIDUAL
    ]
    if loose:
        warnings.append(f"The delays do not agree well for {', '.join(loose)}; check them by eye.")
    return warnings
