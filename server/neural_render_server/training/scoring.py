"""Scores a field against the true pictures of chosen views."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ..captures.capture import Capture
from ..captures.frames import Frames
from ..captures.pixels import as_float
from ..methods.base import Method, Report
from . import metrics

# Held-out alpha is scored over white, as the Blender-synthetic sets are (NeRF 2020, released code).
ALPHA_BACKGROUND = (1.0, 1.0, 1.0)

# Without held-out views this many training views, evenly spaced, are scored instead.
TRAIN_SAMPLE = 8

METRICS = ("psnr", "ssim", "psnr_moving")


def true_image(frames: Frames, index: int) -> metrics.Image:
    """(H, W, 3) float truth of a view in [0, 1], clipped at white; alpha is composited over white."""
    rgb = np.minimum(as_float(frames.rgb(index)), np.float32(1.0))
    alpha = frames.alpha(index)
    if alpha is None:
        return rgb
    coverage = as_float(alpha)[..., None]
    return np.asarray(rgb * coverage + (1.0 - coverage) * np.asarray(ALPHA_BACKGROUND, dtype=np.float32))


def rendered_image(method: Method, frames: Frames, index: int) -> metrics.Image:
    """(H, W, 3) the field's picture of a view in [0, 1], over the background its truth has."""
    camera = frames.cameras[frames.camera_indices[index]]
    frame = method.render(camera, float(frames.view_times[index]))
    if frames.has_alpha:
        background: npt.ArrayLike = ALPHA_BACKGROUND
    else:
        background = (0.0, 0.0, 0.0) if method.background is None else method.background
    return np.asarray(np.clip(frame.over(background), 0.0, 1.0))


@dataclass(frozen=True)
class ScoredView:
    """One rendered view beside its truth: number ``index`` of the frames that are scored.

    ``image`` and ``truth`` are (H, W, 3) in [0, 1]; ``usable`` is (H, W), or None where all pixels are.
    Further scores may be put into ``scores``.
    """

    index: int
    image: metrics.Image
    truth: metrics.Image
    usable: metrics.Mask | None
    scores: dict[str, Any]


def score_views(
    method: Method,
    capture: Capture,
    frames: Frames,
    report: Report,
    visit: Callable[[ScoredView], None] = lambda view: None,
) -> list[dict[str, Any]]:
    """Camera, timestep, PSNR, SSIM and (where something moves) moving-region PSNR of each of ``frames``.

    A camera's moving region is found from its true frames in ``frames``; a camera with fewer than two
    of them has none. ``visit`` sees every view once it is scored.
    """
    regions = _moving_regions(frames) if capture.is_dynamic else {}
    scored: list[dict[str, Any]] = []
    for index in range(len(frames)):
        camera = int(frames.camera_indices[index])
        truth, image, usable = (
            true_image(frames, index),
            rendered_image(method, frames, index),
            frames.mask(index),
        )
        entry: dict[str, Any] = {
            "camera": capture.cameras[camera].name,
            "timestep": int(frames.timestep_indices[index]),
            "psnr": metrics.psnr(image, truth, usable),
            "ssim": metrics.ssim(image, truth, usable),
        }
        region = regions.get(camera)
        if region is not None and usable is not None:
            region = region & usable
        if region is not None and region.any():
            entry["psnr_moving"] = metrics.psnr(image, truth, region)
        visit(ScoredView(index, image, truth, usable, entry))
        scored.append(entry)
        report("Scoring views", (index + 1) / len(frames))
    return scored


def mean_scores(views: Sequence[dict[str, Any]], names: Sequence[str] = METRICS) -> dict[str, float]:
    """The mean of the per-view values of each metric, over the views that have one."""
    values = {name: [view[name] for view in views if np.isfinite(view.get(name, np.nan))] for name in names}
    return {name: float(np.mean(found)) for name, found in values.items() if found}


def _moving_regions(frames: Frames) -> dict[int, metrics.Mask]:
    """Camera index -> moving pixels, for cameras with several timesteps among ``frames``."""
    views: dict[int, list[int]] = {}
    for index, camera in enumerate(frames.camera_indices):
        views.setdefault(int(camera), []).append(index)
    masks: dict[int, metrics.Mask] = {}
    for camera, indices in views.items():
        if len(indices) > 1:
            region = metrics.MovingRegion()
            for index in indices:
                region.add(true_image(frames, index))
            masks[camera] = region.mask()
    return masks


def views_to_score(capture: Capture, split: Literal["test", "train"]) -> tuple[npt.NDArray[np.int64], str]:
    """The view indices to score and the split they are from; without held-out views, training ones."""
    if split == "test" and len(capture.test_indices):
        return capture.test_indices, "test"
    train = capture.train_indices
    sample = np.unique(np.linspace(0, len(train) - 1, min(TRAIN_SAMPLE, len(train))).round().astype(int))
    return train[sample], "train"
