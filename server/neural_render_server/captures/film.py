"""Several cameras' recordings of one scene as timesteps and views."""

from __future__ import annotations

from collections.abc import Sequence as SequenceOf
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .capture import View
from .sequences import Sequence
from .timeline import FloatArray, moments_of, place, reference_of
from .timestamps import FILE, Clock, read_timestamps

# Folders of frames do not say their rate: where no video beside them does, that of Li et al. 2022, who first
# published such folders, is assumed.
FOLDER_FPS = 30.0


@dataclass(frozen=True, eq=False)
class Film:
    """``views`` of the timesteps at ``times`` (T,), which begin with 0; ``fps`` is the reference's rate."""

    views: list[View]
    times: FloatArray
    fps: float
    warnings: list[str]

    @property
    def is_dynamic(self) -> bool:
        return len(self.times) > 1


@dataclass(frozen=True, eq=False)
class Clocks:
    """When each recording took its frames; ``moments`` (T,) where a file says which belong together."""

    clocks: list[Clock]
    moments: FloatArray | None
    warnings: list[str]


def clocks_of(folder: Path, sequences: SequenceOf[Sequence]) -> Clocks:
    """By ``timestamps.csv`` in ``folder``, else by the recordings' own timestamps or rates, from 0 on.

    Raises:
        CaptureError: ``timestamps.csv`` is there and broken.
    """
    warnings: list[str] = []
    if not sequences:
        return Clocks([], None, [])
    if (folder / FILE).is_file():
        counts = [sequence.frames for sequence in sequences]
        stated = read_timestamps(folder / FILE, [sequence.name for sequence in sequences], counts)
        if not isinstance(stated, str):
            told = f"Times are taken from {FILE}"
            if stated.moments is not None:
                told += f"; within a timestep the cameras are up to {stated.apart * 1e3:.0f} ms apart"
            if stated.left_out:
                told += f"; {stated.left_out} frames that it repeats or does not list are left out"
            return Clocks(stated.clocks, stated.moments, [f"{told}."])
        warnings.append(stated)
    rates = [sequence.fps for sequence in sequences if sequence.fps]
    assumed = max(rates, default=FOLDER_FPS)
    if not rates and any(sequence.frames > 1 for sequence in sequences):
        warnings.append(f"The recordings do not say their rate; {FOLDER_FPS:g} frames a second is assumed.")
    clocks = []
    for sequence in sequences:
        frames = np.arange(sequence.frames)
        even = frames / (sequence.fps or assumed)
        clocks.append(Clock(frames, even if sequence.times is None else np.array(sequence.times)))
    return Clocks(clocks, None, warnings)


def film_of(folder: Path, sequences: SequenceOf[Sequence]) -> Film:
    """Lay recordings that started together, and may run at different rates, on one row of timesteps.

    View ``camera`` counts in ``sequences``.

    Raises:
        CaptureError: ``timestamps.csv`` is there and broken.
    """
    found = clocks_of(folder, sequences)
    times = [clock.times for clock in found.clocks]
    moments = moments_of(times) if found.moments is None else found.moments
    views = [
        View(
            camera,
            int(timestep),
            sequence.source(int(frame)),
            time_shift=float(time - moments[timestep]),
        )
        for camera, (sequence, clock) in enumerate(zip(sequences, found.clocks, strict=True))
        for frame, time, timestep in zip(clock.frames, clock.times, place(clock.times, moments), strict=True)
        if timestep >= 0
    ]
    reference = reference_of(times)
    fps = sequences[reference].fps or FOLDER_FPS
    if found.moments is not None and len(moments) > 1:
        fps = float(1.0 / np.median(np.diff(moments)))
    warnings = found.warnings + mismatches([s.name for s in sequences], times)
    return Film(views, moments - moments[0], fps, warnings)


def mismatches(names: SequenceOf[str], times: SequenceOf[FloatArray]) -> list[str]:
    """Sentences on recordings of different rates or lengths, whose frames' ``times`` are given."""
    rates = [(len(own) - 1) / (own[-1] - own[0]) if len(own) > 1 else None for own in times]
    known = [rate for rate in rates if rate]
    if known and max(known) > min(known) * 1.001:
        listed = ", ".join(f"{name} {rate:.4g}" for name, rate in zip(names, rates, strict=True) if rate)
        return [
            f"The recordings run at different frame rates ({listed}); the timesteps are those of "
            f"{names[reference_of(times)]}, and every frame keeps its own time."
        ]
    counts = [len(own) for own in times]
    if max(counts) == min(counts):
        return []
    longer = [name for name, count in zip(names, counts, strict=True) if count > min(counts)]
    return [
        f"The recordings have {min(counts)} to {max(counts)} frames; only the time that all filmed is used "
        f"(longer: {', '.join(longer)})."
    ]
