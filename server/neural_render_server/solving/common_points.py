"""How far recordings of a posed rig are apart, by what points in space show to each camera.

A surface that moves through a point in space changes what every camera sees there, in the same way and at the
same time. Points fill the scene; at each one where two cameras see change, their brightness over time is laid
over each other at every delay. Most points are empty, and what two cameras see behind them has nothing in
common; at the true delay those on surfaces agree nearly perfectly, all at once, even where every motion by
itself repeats.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from ..cameras import Camera, FloatArray
from ..captures.undistort import Undistorter, pinhole_of
from .sharpness import small_grey

# Pictures are compared at this width: a pixel is then about as large as the space between the points.
WIDTH = 80

# Points along each side of the scene's box.
POINTS = 40

# A point changes in a picture when its deviation over time exceeds this (levels of 255): above noise.
CHANGES = 4.0

# Fewer points that change in both pictures say nothing; more than the most say nothing more.
FEWEST, MOST = 50, 2000

# Likeness counts by this power: that of nearly perfect agreement, which is no accident.
POWER = 4

# A delay must be so many times as likely as any other that is more than a frame away: on `stage`, 18 frames
# long, pairs that were wrong reached 1.02, and nine in ten of the others were above 1.32.
LEAST_LEAD = 1.1

# Cameras are compared with so many that look in the most similar directions; others see other sides.
NEIGHBOURS = 6

# Recordings must overlap by this part of the shorter one; only so many frames of each are compared, so that
# a pair takes a second or two.
LEAST_OVERLAP, MOST_FRAMES = 0.5, 600

Float32Array = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class SmallFilm:
    """A recording in grey, ``frames`` (F, h, w) uint8, as the pinhole ``camera`` of that size sees it."""

    camera: Camera
    frames: npt.NDArray[np.uint8]
    fps: float


def small_film(camera: Camera, frames: Iterable[npt.NDArray[np.uint8]], fps: float) -> SmallFilm:
    """The film of ``frames`` (H, W, 3), of which the first ``MOST_FRAMES`` are kept."""
    downscale = max(1.0, camera.width / WIDTH)
    undistorter = Undistorter(camera, downscale)
    kept = []
    for pixels in frames:
        kept.append(small_grey(np.asarray(undistorter.apply(pixels), dtype=np.uint8)))
        if len(kept) >= MOST_FRAMES:
            break
    return SmallFilm(pinhole_of(camera, downscale), np.stack(kept), fps)


def common_delays(
    films: Sequence[SmallFilm], bounds: tuple[FloatArray, FloatArray], tell: Callable[[float], None]
) -> Mapping[tuple[int, int], tuple[float, float]]:
    """For pairs of cameras the seconds by which the second was started after the first, and a weight.

    ``bounds`` are the corners of the scene. A pair that sees too little change in common is absent.
    """
    rate = max(film.fps for film in films)
    signals = []
    for film in films:
        signals.append(_signals(film, bounds, rate))
        tell(0.5 * len(signals) / len(films))
    pairs = neighbouring([film.camera for film in films])
    delays: dict[tuple[int, int], tuple[float, float]] = {}
    for done, (a, b) in enumerate(pairs):
        tell(0.5 + 0.5 * done / len(pairs))
        both = np.flatnonzero(signals[a].changes & signals[b].changes)
        if len(both) < FEWEST:
            continue
        if len(both) > MOST:
            both = both[np.linspace(0, len(both) - 1, MOST).round().astype(int)]
        slow = rate / min(films[a].fps, films[b].fps)
        lag, lead = _best_lag(signals[a].at(both), signals[b].at(both), slow)
        if lead >= LEAST_LEAD:
            delays[a, b] = lag / rate, (min(lead, 2.0) - 1.0) ** 2
    return delays


def neighbouring(cameras: Sequence[Camera]) -> list[tuple[int, int]]:
    """Pairs of cameras that look in similar directions, each with its nearest ``NEIGHBOURS``."""
    forward = np.array([camera.forward for camera in cameras])
    position = np.array([camera.position for camera in cameras])
    apart = np.linalg.norm(position[:, None] - position[None], axis=-1)
    # Of cameras side by side that look the same way, the nearest ones.
    unlike = 1.0 - forward @ forward.T + 1e-3 * apart / max(float(apart.max()), 1e-12)
    np.fill_diagonal(unlike, np.inf)
    pairs = {
        (min(a, int(b)), max(a, int(b)))
        for a in range(len(cameras))
        for b in np.argsort(unlike[a])[: min(NEIGHBOURS, len(cameras) - 1)]
    }
    return sorted(pairs)


@dataclass(frozen=True, eq=False)
class _Signals:
    """``changes`` (N,) of the points; ``brightness`` of those that do, in their order, at even times."""

    changes: npt.NDArray[np.bool_]
    brightness: Float32Array

    def at(self, points: npt.NDArray[np.int64]) -> Float32Array:
        """(n, T) of some of the points that change."""
        order = np.cumsum(self.changes) - 1
        return np.asarray(self.brightness[order[points]], dtype=np.float32)


def _signals(film: SmallFilm, bounds: tuple[FloatArray, FloatArray], rate: float) -> _Signals:
    """What the grid's points in ``bounds`` show in a film, ``rate`` times a second."""
    axes = [np.linspace(low, high, POINTS) for low, high in zip(*bounds, strict=True)]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    pixels, depth = film.camera.project(points)
    height, width = film.frames.shape[1:]
    seen = (depth > 0) & (pixels >= 0).all(axis=1) & (pixels <= [width, height]).all(axis=1)
    # OpenCV takes a row of at most 32767 places, and puts pixel centres at whole numbers.
    places = (np.where(seen[:, None], pixels, 0.0) - 0.5).astype(np.float32).reshape(POINTS, -1, 2)
    x, y = np.ascontiguousarray(places[..., 0]), np.ascontiguousarray(places[..., 1])
    moving = cv2.remap(
        film.frames.astype(np.float32).std(axis=0), x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    changes = seen & (moving.ravel() > CHANGES)
    brightness = np.stack(
        [
            cv2.remap(frame, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE).ravel()[changes]
            for frame in film.frames
        ],
        axis=1,
    ).astype(np.float32)
    times = np.arange(0.0, (len(film.frames) - 1) / film.fps + 1e-9, 1.0 / rate) * film.fps
    before = np.minimum(times.astype(np.int64), len(film.frames) - 1)
    after = np.minimum(before + 1, len(film.frames) - 1)
    part = (times - before).astype(np.float32)
    return _Signals(changes, brightness[:, before] * (1 - part) + brightness[:, after] * part)


def _best_lag(first: Float32Array, second: Float32Array, frame: float) -> tuple[float, float]:
    """The lag in samples at which ``second[:, k]`` is most like ``first[:, k + lag]``, and its lead: how many
    times as likely it is as the best one that is more than a ``frame`` (samples) away.

    Each point's normalised correlation counts by ``POWER`` and by how much it changes; the sum is weighted by
    the part of the shorter recording that overlaps, and its peak refined by a parabola.
    """
    lengths = first.shape[1], second.shape[1]
    weights = np.minimum(first.std(axis=1), second.std(axis=1))
    least = max(2, int(np.ceil(LEAST_OVERLAP * min(lengths))))
    lags = range(least - lengths[1], lengths[0] - least + 1)
    totals = np.array(
        [
            weights @ np.clip(_correlation(first, second, lag), 0.0, None) ** POWER * _overlap(*lengths, lag)
            for lag in lags
        ]
    ) / max(float(weights.sum()), 1e-9)
    best = int(np.argmax(totals))
    shift = 0.0
    if 0 < best < len(totals) - 1:
        before, at, after = totals[best - 1 : best + 2]
        bend = before - 2.0 * at + after
        shift = 0.5 * (before - after) / bend if bend < 0 else 0.0
    elsewhere = totals[np.abs(np.arange(len(totals)) - best) > frame + 1e-6]
    lead = float(totals[best]) / max(float(elsewhere.max(initial=0.0)), 1e-9)
    return float(lags[best] + shift), lead


def _overlap(first: int, second: int, lag: int) -> float:
    """The part of the shorter recording that overlaps the other one."""
    return (min(first, second + lag) - max(0, lag)) / min(first, second)


def _correlation(first: Float32Array, second: Float32Array, lag: int) -> Float32Array:
    """(n,) normalised correlation of each row where they overlap; 0 where one does not change there."""
    start, end = max(0, lag), min(first.shape[1], second.shape[1] + lag)
    a, b = first[:, start:end], second[:, start - lag : end - lag]
    a, b = a - a.mean(axis=1, keepdims=True), b - b.mean(axis=1, keepdims=True)
    spread = np.sqrt((a * a).sum(axis=1) * (b * b).sum(axis=1))
    return np.asarray(np.where(spread > 1e-3, (a * b).sum(axis=1) / np.maximum(spread, 1e-3), 0.0))
