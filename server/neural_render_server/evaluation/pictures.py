"""The pictures of a report: truth, render and error maps, as PNG files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from ..files import write_bytes
from ..training.metrics import Image, without_unusable
from ..training.scoring import true_image
from . import flip
from .evaluate import Evaluation
from .films import Picture, to_bytes

# An error map is white-hot at this mean absolute difference over the channels, values in [0, 1].
ERROR_SCALE = 0.1

Layers = dict[str, str]  # layer name -> file path relative to the report


def error_picture(image: Image, truth: Image) -> Picture:
    """(H, W, 3) absolute difference, averaged over the channels, from black to white-hot (magma)."""
    return magma(np.abs(image - truth).mean(axis=-1) / ERROR_SCALE)


def magma(values: npt.NDArray[np.float32]) -> Picture:
    """(H, W) values in [0, 1] as the magma colours, (H, W, 3) RGB."""
    return np.asarray(
        cv2.cvtColor(cv2.applyColorMap(to_bytes(values), cv2.COLORMAP_MAGMA), cv2.COLOR_BGR2RGB)
    )


def shown_views(evaluation: Evaluation, limit: int) -> list[int]:
    """The views that get pictures, in order: all, or ``limit``: half the worst, half an even choice."""
    count = len(evaluation.frames)
    if count <= limit:
        return list(range(count))
    quality = [min(scene.views[index]["psnr"] for scene in evaluation.scenes) for index in range(count)]
    worst = sorted(range(count), key=quality.__getitem__)
    shown = set(worst[: limit // 2])
    rest = [index for index in range(count) if index not in shown]
    even = np.linspace(0, len(rest) - 1, limit - len(shown)).round().astype(int)
    return sorted(shown | {rest[place] for place in even})


def write_pictures(
    evaluation: Evaluation, folder: Path, views: Sequence[int]
) -> list[tuple[str, list[Layers]]]:
    """Write the pictures of ``views``; per view the truth's path and each scene's layers.

    Raises:
        SceneError: a file cannot be written.
    """
    with_flip = all("flip" not in scene.unavailable for scene in evaluation.scenes)
    written = []
    for index in views:
        name, truth = evaluation.view_name(index), true_image(evaluation.frames, index)
        truth_path = _write(folder, "truth", name, to_bytes(truth))
        layers = []
        for number, scene in enumerate(evaluation.scenes, start=1):
            image, own = scene.rendered.get(index), f"scene{number}"
            floats = image.astype(np.float32) / np.float32(255.0)
            scored = without_unusable(floats, truth, evaluation.frames.mask(index))
            paths = {
                "render": _write(folder, own, name, image),
                "error": _write(folder, own, f"{name}_error", error_picture(scored, truth)),
            }
            if with_flip:
                errors = flip.flip_map(scored, truth)
                paths["flip"] = _write(folder, own, f"{name}_flip", magma(errors))
            layers.append(paths)
        written.append((truth_path, layers))
    return written


def _write(folder: Path, group: str, name: str, picture: Picture) -> str:
    relative = f"pictures/{group}/{name}.png"
    _, data = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    write_bytes(folder / relative, data.tobytes())
    return relative
