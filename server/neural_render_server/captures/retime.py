"""Moving the frames of a capture in time: each keeps its own moment, and timesteps are laid out anew."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from ..errors import CaptureError
from .capture import Capture, View
from .timeline import FloatArray, moments_of, place


def recording_names(capture: Capture) -> list[str]:
    """(C,) name of the recording that each camera belongs to.

    A camera that stands still is a recording of its own; of one that moves, every frame is a camera,
    ``NAME_000012``, and all of them are the recording ``NAME``.
    """
    frames = Counter(view.camera for view in capture.views)
    names = [camera.name for camera in capture.cameras]
    moving = [
        re.sub(r"_\d+$", "", name) if capture.is_dynamic and frames[index] <= 1 else name
        for index, name in enumerate(names)
    ]
    shared = Counter(moving)
    return [short if shared[short] > 1 else name for short, name in zip(moving, names, strict=True)]


def check_recordings(names: Sequence[str], given: Iterable[str], what: str, where: object) -> None:
    """Whether all that is ``given``, by recording, has one among ``names``.

    Raises:
        CaptureError: there is no such recording; told of ``what`` is given in the file ``where``.
    """
    unknown = sorted(set(given) - set(names))
    if unknown:
        raise CaptureError(
            f"{where}: {what} is given for {', '.join(unknown)}, but there is no such camera; "
            f"there are {', '.join(dict.fromkeys(names))}"
        )


def retimed(capture: Capture, times: FloatArray, fps: float | None = None) -> Capture | None:
    """The capture with its views taken at ``times`` (V,), on timesteps of the time that all recordings film.

    These are the moments of the fastest recording, or ``fps`` a second. Views that no timestep takes are
    left out. None where the recordings share fewer than two moments.
    """
    names = recording_names(capture)
    own: dict[str, list[int]] = {}
    for index in np.argsort(times, kind="stable"):
        own.setdefault(names[capture.views[index].camera], []).append(int(index))
    moments = moments_of([times[indices] for indices in own.values()], fps)
    if len(moments) < 2:
        return None
    placed: dict[int, View] = {}
    for indices in own.values():
        for index, timestep in zip(indices, place(times[indices], moments), strict=True):
            if timestep >= 0:
                shift = float(times[index] - moments[timestep])
                placed[index] = replace(capture.views[index], timestep=int(timestep), time_shift=shift)
    keep = sorted(placed)
    return replace(
        capture,
        views=[placed[index] for index in keep],
        is_test=capture.is_test[keep],
        times=moments - moments[0],
        fps=fps or capture.fps,
    )
