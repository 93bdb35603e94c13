"""A capture in words and numbers: for the service, the command line and the add-on."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import psutil

from .amendments import read_amendments
from .capture import Capture, VideoSource, View
from .needs import TrainingNeeds, training_needs
from .overlap import check_overlap, scene_bounds

NAMES_LISTED = 8


def describe(capture: Capture) -> dict[str, Any]:
    """What ``POST /v1/captures/inspect`` answers, ready for JSON; lengths in capture units.

    A camera's ``source`` says with ``numbers`` and ``times`` (seconds) which of its frames was taken when: a
    video's frames count from 0, an image's number is the last one in its file's name.
    ``times`` beside it is there only for a camera that did not film every timestep.

    Raises:
        CaptureError: no two training cameras see a common point.
    """
    bounds, needs = scene_bounds(capture), training_needs(capture)
    return {
        "name": capture.name,
        "path": str(capture.path),
        "format": capture.format,
        "fps": capture.fps,
        "is_dynamic": capture.is_dynamic,
        "timesteps": len(capture.times),
        "times": [float(time) for time in capture.times],
        "duration": capture.duration,
        "has_alpha": capture.has_alpha,
        "cameras": _cameras(capture),
        "points": 0 if capture.points is None else len(capture.points.positions),
        "bounds": None if bounds is None else {"min": bounds[0].tolist(), "max": bounds[1].tolist()},
        "splits": {"train": len(capture.train_indices), "test": len(capture.test_indices)},
        "readouts": {name: own.to_json() for name, own in read_amendments(capture.path).readouts.items()},
        "needs": asdict(needs),
        "warnings": [*capture.warnings, *check_overlap(capture), *_shortages(needs)],
    }


def _shortages(needs: TrainingNeeds) -> list[str]:
    """Sentences on what training it would lack on this machine as it is now."""
    warnings, remedy = [], "use a higher downscale or fewer timesteps"
    memory, folder = psutil.virtual_memory().available, tempfile.gettempdir()
    disk = shutil.disk_usage(folder).free
    if needs.memory > memory:
        warnings.append(
            f"Training it takes about {needs.memory / 1e9:.1f} GB of memory, and {memory / 1e9:.1f} GB "
            f"are free; close other programs, or {remedy}."
        )
    if needs.disk > disk:
        warnings.append(
            f"Training it takes {needs.disk / 1e9:.1f} GB of disk in {folder}, and {disk / 1e9:.1f} GB are "
            f"free; free some space, or {remedy}."
        )
    return warnings


def _cameras(capture: Capture) -> list[dict[str, Any]]:
    own: list[list[int]] = [[] for _ in capture.cameras]
    for index, view in enumerate(capture.views):
        own[view.camera].append(index)
    entries = []
    for camera, indices in zip(capture.cameras, own, strict=True):
        indices = sorted(indices, key=lambda index: capture.views[index].timestep)
        entry = camera.to_json()
        if indices:
            entry["source"] = _source(capture, indices)
        if len(indices) != len(capture.times):
            entry["times"] = [float(capture.times[capture.views[index].timestep]) for index in indices]
        entry["is_test"] = bool(indices) and bool(capture.is_test[indices].all())
        entries.append(entry)
    return entries


def _source(capture: Capture, indices: Sequence[int]) -> dict[str, Any]:
    """The file or files of a camera, whose views are ``indices`` in the order of their timesteps."""
    views = [capture.views[index] for index in indices]
    source = views[0].source
    told: dict[str, Any] = {"path": str(source.path), "frames": len(views), "first_frame": 0}
    if isinstance(source, VideoSource):
        told["kind"], told["first_frame"] = "video", source.frame
    else:
        told["kind"] = "sequence" if len(views) > 1 else "image"
    if told["kind"] != "image":
        told["numbers"] = [_number(view, position) for position, view in enumerate(views)]
        told["times"] = [float(capture.times[view.timestep] + view.time_shift) for view in views]
    return told


def _number(view: View, position: int) -> int:
    if isinstance(view.source, VideoSource):
        return view.source.frame
    digits = re.findall(r"\d+", view.source.path.stem)
    return int(digits[-1]) if digits else position + 1


def format_description(description: dict[str, Any]) -> str:
    """The text that ``neural-render capture`` prints for what ``describe`` returns."""
    cameras = description["cameras"]
    sizes = Counter((camera["w"], camera["h"]) for camera in cameras)
    models = Counter(camera.get("camera_model", "PINHOLE") for camera in cameras)
    held_out = [camera["name"] for camera in cameras if camera["is_test"]]
    splits = description["splits"]
    lines = [
        f"{description['name']} ({description['format']})",
        f"  cameras    {len(cameras)}: {_listed([camera['name'] for camera in cameras])}",
        f"  sizes      {', '.join(f'{w}x{h} ({count})' for (w, h), count in sizes.items())}",
        f"  lenses     {', '.join(f'{model} ({count})' for model, count in models.items())}",
        f"  timesteps  {_timesteps(description)}",
        f"  split      {splits['train']} views to train on, {splits['test']} held out"
        + (f" ({_listed(held_out)})" if held_out else ""),
        f"  alpha      {'yes' if description['has_alpha'] else 'no'}",
        f"  points     {description['points']}",
        f"  extent     {_extent(description['bounds'])}",
        f"  training   {_needs(description['needs'])}",
    ]
    lines += [f"  warning    {warning}" for warning in description["warnings"]]
    return "\n".join(lines)


def _timesteps(description: dict[str, Any]) -> str:
    if not description["is_dynamic"]:
        return "1 (static)"
    fps = description["fps"]
    rate = f" at {fps:g} frames a second" if fps else ""
    return f"{description['timesteps']}{rate}, {description['duration']:.3f} s"


def _extent(bounds: dict[str, list[float]] | None) -> str:
    if bounds is None:
        return "unknown"
    low, high = (", ".join(f"{value:.3g}" for value in bounds[corner]) for corner in ("min", "max"))
    return f"({low}) to ({high})"


def _needs(needs: dict[str, int]) -> str:
    disk = f", {needs['disk'] / 1e9:.1f} GB of temporary disk" if needs["disk"] else ""
    return f"about {needs['memory'] / 1e9:.1f} GB of memory{disk}"


def _listed(names: list[str]) -> str:
    more = len(names) - NAMES_LISTED
    return ", ".join(names[:NAMES_LISTED]) + (f" and {more} more" if more > 0 else "")
