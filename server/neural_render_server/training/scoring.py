"""Scores a field against the held-out views of its capture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ..captures.capture import Capture
from ..captures.detect import open_capture
from ..captures.frames import Frames
from ..errors import OptionError
from ..methods.base import Method, Report
from ..scene import Scene, load_method
from . import metrics
from .options import TrainOptions

# Held-out alpha is scored over white, as the Blender-synthetic sets are (NeRF 2020, released code).
ALPHA_BACKGROUND = (1.0, 1.0, 1.0)

# Without held-out views this many training views, evenly spaced, are scored instead.
TRAIN_SAMPLE = 8


def true_image(frames: Frames, index: int) -> metrics.Image:
    """(H, W, 3) float truth of a view in [0, 1]; alpha is composited over white."""
    rgb = frames.rgb(index).astype(np.float32) / 255.0
    alpha = frames.alpha(index)
    if alpha is None:
        return rgb
    coverage = alpha.astype(np.float32)[..., None] / 255.0
    return np.asarray(rgb * coverage + (1.0 - coverage) * np.asarray(ALPHA_BACKGROUND, dtype=np.float32))


def rendered_image(method: Method, frames: Frames, index: int) -> metrics.Image:
    """(H, W, 3) the field's picture of a view in [0, 1], over the background its truth has."""
    camera = frames.cameras[frames.camera_indices[index]]
    frame = method.render(camera, float(frames.times[frames.timestep_indices[index]]))
    if frames.has_alpha:
        background: npt.ArrayLike = ALPHA_BACKGROUND
    else:
        background = (0.0, 0.0, 0.0) if method.background is None else method.background
    return np.asarray(np.clip(frame.over(background), 0.0, 1.0))


def score_views(method: Method, capture: Capture, frames: Frames, report: Report) -> dict[str, Any]:
    """PSNR, SSIM and moving-region PSNR of every view in ``frames``, and their means.

    Means are means of per-frame values. A camera's moving region is found from its true frames in
    ``frames``; a camera with fewer than two of them has none.
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
            "ssim": metrics.ssim(image, truth),
        }
        region = regions.get(camera)
        if region is not None and usable is not None:
            region = region & usable
        if region is not None and region.any():
            entry["psnr_moving"] = metrics.psnr(image, truth, region)
        scored.append(entry)
        report("Scoring held-out views", (index + 1) / len(frames))
    names = ("psnr", "ssim", "psnr_moving")
    means = {name: _mean([view[name] for view in scored if name in view]) for name in names}
    return {"views": scored, **{name: value for name, value in means.items() if value is not None}}


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


def _mean(values: Sequence[float]) -> float | None:
    finite = [value for value in values if np.isfinite(value)]
    return float(np.mean(finite)) if finite else None


def views_to_score(capture: Capture, split: Literal["test", "train"]) -> tuple[npt.NDArray[np.int64], str]:
    """The view indices to score and the split they are from; without held-out views, training ones."""
    if split == "test" and len(capture.test_indices):
        return capture.test_indices, "test"
    train = capture.train_indices
    sample = np.unique(np.linspace(0, len(train) - 1, min(TRAIN_SAMPLE, len(train))).round().astype(int))
    return train[sample], "train"


def evaluate(
    scene_path: Path,
    split: Literal["test", "train"] = "test",
    device: str = "auto",
    report: Callable[[str, float], None] = lambda message, fraction: None,
) -> dict[str, Any]:
    """Score a trained scene against its capture as it was split for the training.

    Returns ``{split, psnr, ssim[, psnr_moving], views: [...]}``; ``split`` says which views were scored.

    Raises:
        NeuralRenderError: the scene or its capture cannot be read.
    """
    if split not in ("test", "train"):
        raise OptionError(f"split {split!r} does not exist; choose test or train")
    scene = Scene(scene_path)
    options = TrainOptions.from_json(scene.read_info().training)
    capture = open_capture(Path(options.capture), options.split)
    method = load_method(scene, device)
    indices, scored_split = views_to_score(capture, split)
    with Frames(capture, indices, downscale=options.downscale, report=report) as frames:
        return {"split": scored_split, **score_views(method, capture, frames, report)}
