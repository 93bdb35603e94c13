"""Ray importance sampling of DyNeRF: most rays go where the picture changes.

Li et al. 2022, "Neural 3D Video Synthesis from Multi-view Video", section 3.3. The cameras stand still.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from ...captures.pixels import as_bytes
from ..base import Report, TrainingViews
from .rays import IntArray, Pixels

Kind = Literal["isg", "ist"]
Float32Array = npt.NDArray[np.float32]

# Geman-McClure scale for keyframes and for the full sequence; least weight of IST; frames that IST looks to
# either side. K-Planes' and HexPlane's published reimplementations; IST's on colours in [0, 1].
GAMMA_KEYFRAMES, GAMMA_FULL = 1e-3, 2e-2
IST_LEAST = 0.1
IST_SHIFT = 25
# At most this many of those shifts are looked at, evenly spaced: the largest change hardly differs.
IST_SHIFTS_USED = 10
# Pixels share a weight in square cells, the smallest that keep all weights below this number.
MOST_CELLS = 24_000_000
# Frames that the median is taken over, at most, evenly spaced.
MEDIAN_FRAMES = 48


def isg_weights(images: Float32Array, median: Float32Array, gamma: float) -> Float32Array:
    """(..., H, W) mean over channels of psi(C - median), psi(x) = x^2 / (x^2 + gamma^2); DyNeRF equation 5.

    ``images`` (..., H, W, 3) and ``median`` (H, W, 3) in [0, 1].
    """
    squared = (images - median) ** 2
    return np.asarray((squared / (squared + np.float32(gamma**2))).mean(axis=-1), dtype=np.float32)


def ist_weights(
    image: Float32Array, others: Sequence[Float32Array], least: float = IST_LEAST
) -> Float32Array:
    """(H, W) max(least, largest mean absolute difference to any of ``others``); DyNeRF equation 6.

    ``image`` and each of ``others`` (H, W, 3) in [0, 1]. Without others all weights are ``least``.
    """
    weights = np.full(image.shape[:2], least, dtype=np.float32)
    for other in others:
        np.maximum(weights, np.abs(image - other).mean(axis=-1), out=weights)
    return weights


class ImportanceSampler:
    """Draws all rays of a batch from one timestep, over all its cameras, by ISG or IST weights.

    ``timesteps`` restricts the batch to some timesteps (keyframes); default all. ``weights(view)`` gives a
    view's weights for inspection. Masked pixels are never drawn.

    Raises:
        Cancelled: from ``report``.
    """

    def __init__(
        self,
        views: TrainingViews,
        kind: Kind,
        report: Report,
        gamma: float = GAMMA_FULL,
        least: float = IST_LEAST,
        timesteps: Sequence[int] | None = None,
    ) -> None:
        self._views = views
        allowed = np.unique(views.timestep_indices) if timesteps is None else np.asarray(timesteps)
        self._timesteps = np.intersect1d(views.timestep_indices, allowed)
        self._views_of = {int(t): np.flatnonzero(views.timestep_indices == t) for t in self._timesteps}
        self._cell = _cell_size(views)
        self._weights: dict[int, npt.NDArray[np.float16]] = {}
        cameras = np.unique(views.camera_indices)
        for done, camera in enumerate(cameras):
            report("Finding where the picture changes", done / len(cameras))
            self._weigh(np.flatnonzero(views.camera_indices == camera), kind, gamma, least)

    def weights(self, view: int) -> Float32Array:
        """(h, w) weights of a view's square cells."""
        return self._weights[view].astype(np.float32)

    def sample(self, random: np.random.Generator, count: int) -> Pixels:
        timestep = int(self._timesteps[random.integers(len(self._timesteps))])
        views = self._views_of[timestep]
        shapes = np.array([self._weights[int(view)].shape for view in views], dtype=np.int64)
        flat = np.concatenate([self._weights[int(view)].ravel() for view in views]).astype(np.float64)
        cumulative = np.cumsum(flat)
        bounds = np.concatenate([[0], np.cumsum(shapes.prod(axis=1))])
        quantiles = (np.arange(count) + random.random(count)) / count * cumulative[-1]
        cells = np.minimum(np.searchsorted(cumulative, quantiles, side="right"), len(flat) - 1)
        which = np.searchsorted(bounds, cells, side="right") - 1
        inside = cells - bounds[which]
        sizes = np.array([self._size(int(view)) for view in views], dtype=np.int64)[which]
        widths = shapes[which, 1]
        corner = np.stack([inside // widths, inside % widths], axis=-1) * self._cell
        extent = np.minimum(self._cell, sizes - corner)  # the last cells may be cut
        place = corner + (random.random((count, 2)) * extent).astype(np.int64)
        return Pixels(views[which], place[:, 0], place[:, 1])

    def _size(self, view: int) -> tuple[int, int]:
        camera = self._views.cameras[self._views.camera_indices[view]]
        return camera.height, camera.width

    def _weigh(self, views: IntArray, kind: Kind, gamma: float, least: float) -> None:
        """Weights of one camera's views."""
        views = views[np.argsort(self._views.timestep_indices[views])]
        small = np.stack([self._small(view) for view in views])
        wanted = [
            index for index, view in enumerate(views) if self._views.timestep_indices[view] in self._views_of
        ]
        if kind == "isg":
            sampled = np.unique(np.linspace(0, len(small) - 1, MEDIAN_FRAMES).round().astype(np.int64))
            median = np.median(small[sampled], axis=0).astype(np.float32) / np.float32(255.0)
        shifts = np.unique(np.linspace(1, IST_SHIFT, IST_SHIFTS_USED).round().astype(np.int64))
        for index in wanted:
            image = small[index].astype(np.float32) / np.float32(255.0)
            if kind == "isg":
                weights = isg_weights(image, median, gamma)
            else:
                near = [index + sign * int(shift) for shift in shifts for sign in (-1, 1)]
                others = [
                    small[i].astype(np.float32) / np.float32(255.0) for i in near if 0 <= i < len(small)
                ]
                weights = ist_weights(image, others, least)
            # a still view must be drawable too
            weights = np.maximum(weights, np.float32(1e-4))
            mask = self._views.mask(int(views[index]))
            if mask is not None:
                weights = weights * (self._shrunk(mask.astype(np.uint8) * 255) == 255)
            self._weights[int(views[index])] = weights.astype(np.float16)

    def _small(self, view: int) -> npt.NDArray[np.uint8]:
        return self._shrunk(as_bytes(self._views.rgb(int(view))))

    def _shrunk(self, image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        if self._cell == 1:
            return image
        # pad to whole cells so that each cell is the mean of its own pixels
        pads = [(-length) % self._cell for length in image.shape[:2]]
        padded = cv2.copyMakeBorder(np.ascontiguousarray(image), 0, pads[0], 0, pads[1], cv2.BORDER_REPLICATE)
        size = padded.shape[1] // self._cell, padded.shape[0] // self._cell
        return np.asarray(cv2.resize(padded, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _cell_size(views: TrainingViews) -> int:
    pixels = sum(views.cameras[c].width * views.cameras[c].height for c in views.camera_indices)
    cell = 1
    while pixels / cell**2 > MOST_CELLS:
        cell *= 2
    return cell
