"""Scores one scene: each view's picture, then each camera's film."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from ..captures.capture import Capture
from ..captures.frames import Frames
from ..methods.base import Method
from ..scene import Scene, SceneInfo
from ..training import metrics
from ..training.scoring import ScoredView, mean_scores, score_views, true_image
from . import flip, jod, lpips
from .films import RenderedViews
from .measures import BY_KEY, OPTIONAL

Report = Callable[[str, float], None]


@dataclass(frozen=True)
class SceneScores:
    """How well one scene shows the scored views.

    ``views`` has an entry a view (camera, timestep, time and its measures), ``cameras`` one a camera;
    ``means`` are over the views, and over the cameras for JOD. ``unavailable`` says why a measure has
    no values. ``conventions`` says with which settings values were computed, where there is a choice.
    """

    path: Path
    info: SceneInfo
    views: list[dict[str, Any]]
    cameras: list[dict[str, Any]]
    means: dict[str, float]
    unavailable: dict[str, str]
    conventions: dict[str, str]
    rendered: RenderedViews

    @property
    def name(self) -> str:
        return self.path.resolve().name

    def to_json(self) -> dict[str, Any]:
        return {
            "scene": str(self.path),
            "method": self.info.method,
            "preset": self.info.preset,
            "step": self.info.step,
            "seconds": self.info.seconds,
            "cpu_seconds": self.info.cpu_seconds,
            **self.means,
            "cameras": self.cameras,
            "views": self.views,
            "unavailable": self.unavailable,
            "conventions": self.conventions,
        }


class SceneScorer:
    """Renders one scene's field for all of ``frames``, keeps the pictures and scores them."""

    def __init__(
        self,
        method: Method,
        capture: Capture,
        frames: Frames,
        rendered: RenderedViews,
        skip: Sequence[str] = (),
        lpips_weights: Path | None = None,
    ) -> None:
        self.method, self.capture, self.frames, self.rendered = method, capture, frames, rendered
        self.conventions = {"dssim1": "data range 1", "dssim2": "data range 2"}
        reasons = {
            "flip": flip.unavailable(),
            "jod": jod.unavailable(),
            "lpips": lpips.NOT_NAMED if lpips_weights is None else None,
        }
        self.unavailable: dict[str, str] = {}
        for key in OPTIONAL:
            reason = "left out with --skip" if key in skip else reasons[key]
            if reason is not None:
                self.unavailable[key] = reason
        self.lpips: lpips.AlexNetLpips | None = None
        if lpips_weights is not None and "lpips" not in self.unavailable:
            self.lpips = lpips.AlexNetLpips(lpips_weights, method.device)
            self.conventions["lpips"] = f"AlexNet of {lpips_weights.name}"
        self.previous: ScoredView | None = None

    def score(self, path: Path, report: Report) -> SceneScores:
        """The scores of the scene folder ``path``, which the method was loaded from."""
        views = score_views(self.method, self.capture, self.frames, report, self._add_scores)
        cameras = self._score_cameras(views, report)
        means = {**mean_scores(views, list(BY_KEY)), **mean_scores(cameras, ["jod"])}
        reasons = {
            "jod": f"needs consecutive timesteps of one camera, {jod.SHORTEST} s or more",
            "flicker": "needs consecutive timesteps of one camera",
            "psnr_moving": "needs several timesteps of one camera in which something moves",
        }
        for key in BY_KEY.keys() - means.keys() - self.unavailable.keys():
            self.unavailable[key] = reasons.get(key, "the pictures are too small for its filters")
        info = Scene(path).read_info()
        return SceneScores(
            path, info, views, cameras, means, self.unavailable, self.conventions, self.rendered
        )

    def _add_scores(self, view: ScoredView) -> None:
        """All that one view's picture tells (and, for flicker, the one before it)."""
        scores, usable = view.scores, view.usable
        scores["time"] = float(self.frames.times[scores["timestep"]])
        scores["mse"] = metrics.mean_squared_error(view.image, view.truth, usable)
        scores["dssim1"] = 0.5 * (1.0 - scores["ssim"])
        scores["dssim2"] = 0.5 * (1.0 - metrics.ssim(view.image, view.truth, usable, data_range=2.0))
        self.rendered.put(view.index, view.image)
        image = metrics.without_unusable(view.image, view.truth, usable)
        if "flip" not in self.unavailable:
            errors = flip.flip_map(image, view.truth)
            scores["flip"] = float((errors if usable is None else errors[usable]).mean())
        if self.lpips is not None:
            scores["lpips"] = self.lpips.distance(image, view.truth)
        if self.previous is not None and _follows(self.previous, view):
            scores["flicker"] = flicker(self.previous, view)
        self.previous = view
        for key in [key for key, value in scores.items() if isinstance(value, float)]:
            if not np.isfinite(scores[key]):
                del scores[key]

    def _score_cameras(self, views: list[dict[str, Any]], report: Report) -> list[dict[str, Any]]:
        quality: jod.FilmQuality | None = None
        cameras = []
        names = list(dict.fromkeys(view["camera"] for view in views))
        for number, name in enumerate(names):
            own = [index for index, view in enumerate(views) if view["camera"] == name]
            entry = {"camera": name, "count": len(own), **mean_scores([views[i] for i in own], list(BY_KEY))}
            fps = film_rate([views[i]["timestep"] for i in own], [views[i]["time"] for i in own])
            if fps is not None and "jod" not in self.unavailable:
                report(f"Watching the film of {name}", number / len(names))
                quality = quality or jod.FilmQuality(self.method.device)
                self.conventions["jod"] = quality.display
                entry["jod"] = self._jod(quality, own, fps)
            cameras.append(entry)
        return cameras

    def _jod(self, quality: jod.FilmQuality, own: list[int], fps: float) -> float:
        camera = self.frames.cameras[self.frames.camera_indices[own[0]]]
        return quality.jod(
            lambda frame: self._watched(own[frame]),
            lambda frame: true_image(self.frames, own[frame]),
            (camera.height, camera.width),
            len(own),
            fps,
        )

    def _watched(self, index: int) -> metrics.Image:
        image = self.rendered.get(index).astype(np.float32) / np.float32(255.0)
        return metrics.without_unusable(image, true_image(self.frames, index), self.frames.mask(index))


def _follows(before: ScoredView, view: ScoredView) -> bool:
    a, b = before.scores, view.scores
    return bool(a["camera"] == b["camera"] and a["timestep"] + 1 == b["timestep"])


def flicker(before: ScoredView, view: ScoredView) -> float:
    """Mean absolute difference of the render's and the truth's change between two timesteps."""
    of_pixels = np.abs((view.image - before.image) - (view.truth - before.truth))
    for usable in (before.usable, view.usable):
        if usable is not None:
            of_pixels = np.where(usable[..., None], of_pixels, np.nan)
    return float(np.nanmean(of_pixels, dtype=np.float64))


def film_rate(timesteps: Sequence[int], times: Sequence[float]) -> float | None:
    """Frames a second where the timesteps are a film that FovVideoVDP can watch, else None."""
    if len(timesteps) < 2 or any(b - a != 1 for a, b in pairwise(timesteps)):
        return None
    interval = (times[-1] - times[0]) / (len(times) - 1)
    if interval <= 0 or interval * len(times) < jod.SHORTEST:
        return None
    return 1.0 / interval
