"""Training views with the cameras' differences in colour taken out, and when these are found."""

from __future__ import annotations

import dataclasses
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..cameras import Camera
from ..captures.frames import Frames
from ..captures.pixels import Pixels, as_float, from_float
from ..methods.base import Method
from .camera_colors import CameraColor, solve
from .color_pairs import find_pairs

# Fractions of the budget at which cameras are compared: with the first shapes, and with better ones.
MARKS = (0.15, 0.35)
# Moments at which they are.
MOMENTS = 2
CACHE_BYTES = 2**28


class CorrectedViews:
    """``frames`` as ``methods.base.TrainingViews``, corrected by ``colors``, one for every camera.

    Corrected frames are kept as long as they fit ``CACHE_BYTES``.
    """

    def __init__(self, frames: Frames) -> None:
        self.frames = frames
        self.colors = [CameraColor() for _ in frames.cameras]
        self.times, self.points, self.near_far = frames.times, frames.points, frames.near_far
        self.camera_indices, self.timestep_indices = frames.camera_indices, frames.timestep_indices
        self.view_times, self.shutters = frames.view_times, frames.shutters
        self.has_alpha = frames.has_alpha
        self._cache: OrderedDict[int, Pixels] = OrderedDict()

    @property
    def cameras(self) -> Sequence[Camera]:
        return self.frames.cameras

    def __len__(self) -> int:
        return len(self.frames)

    def rgb(self, index: int) -> Pixels:
        color = self.colors[int(self.camera_indices[index])]
        if color.is_negligible:
            return self.frames.rgb(index)
        if index in self._cache:
            self._cache.move_to_end(index)
            return self._cache[index]
        filmed = self.frames.rgb(index)
        corrected = from_float(color.corrected(as_float(filmed)), filmed.dtype == np.uint16)
        self._cache[index] = corrected
        while len(self._cache) * corrected.nbytes > CACHE_BYTES and len(self._cache) > 1:
            self._cache.popitem(last=False)
        return corrected

    def alpha(self, index: int) -> npt.NDArray[np.uint8] | None:
        return self.frames.alpha(index)

    def mask(self, index: int) -> npt.NDArray[np.bool_] | None:
        return self.frames.mask(index)

    def correct(self, colors: Sequence[CameraColor]) -> None:
        """From now on, views are corrected by ``colors``."""
        self.colors = list(colors)
        self._cache.clear()


class ColorMatching:
    """Finds the colours of the cameras while a field trains on ``views``.

    Those of the camera ``reference`` stay as they are, else those of the usual camera.
    """

    def __init__(self, views: CorrectedViews, reference: int | None = None) -> None:
        self._views = views
        self._reference = reference
        self._done = 0

    def advance(self, method: Method, progress: float) -> bool:
        """Compare the cameras if it is time to; whether the views' colours changed."""
        if self._done >= len(MARKS) or progress < MARKS[self._done]:
            return False
        views, before = self._views, self._views.colors
        pairs = find_pairs(method, views.frames, self._chosen())
        directions = np.stack([camera.forward for camera in views.cameras])
        views.correct(solve(pairs, directions, self._reference))
        self._done += 1
        if all(color.is_negligible for color in views.colors):
            self._done = len(MARKS)
        return views.colors != before

    def to_json(self) -> dict[str, Any]:
        """All that going on from here needs."""
        return {"done": self._done, "colors": [dataclasses.asdict(color) for color in self._views.colors]}

    def restore(self, state: dict[str, Any]) -> None:
        self._done = int(state["done"])
        self._views.correct(
            [
                CameraColor(**{name: tuple(values) for name, values in color.items()})
                for color in state["colors"]
            ]
        )

    def _chosen(self) -> list[int]:
        """The views of a few moments."""
        moments = np.unique(self._views.timestep_indices)
        spread = (np.arange(MOMENTS) + 0.5) / MOMENTS
        chosen = moments[(spread * len(moments)).astype(int)]
        return [int(index) for index in np.flatnonzero(np.isin(self._views.timestep_indices, chosen))]
