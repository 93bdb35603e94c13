"""Rendered views become a capture on disk: ``transforms.json``, or N3DV's videos and ``poses_bounds.npy``."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..cameras.projections import FloatArray
from ..errors import AddonError, CameraError
from ..service.jobs import write_atomically
from .plan import IMAGES, CapturePlan, n3dv_names
from .rendering import RenderedView
from .videos import write_video

# N3DV's rows hold one focal length and no principal point: both may be off by this part of the picture.
N3DV_TOLERANCE = 1e-4


def write_transforms(plan: CapturePlan, views: Sequence[RenderedView], fps: float) -> Path:
    """Write ``transforms.json`` (instant-ngp's and nerfstudio's) over the views that are rendered.

    Depths are listed as nerfstudio does (``depth_file_path``; here OpenEXR in scene units).

    Raises:
        AddonError: it cannot be written.
    """
    is_dynamic = len({view.frame for view in views}) > 1
    frames = [_entry(plan, view, is_dynamic) for view in views]
    data: dict[str, Any] = {"camera_model": "PINHOLE", "frames": frames}
    if is_dynamic:
        data["fps"] = fps / plan.frames.step
    if plan.held_out:
        for key, is_test in (("train_filenames", False), ("test_filenames", True)):
            data[key] = [
                frame["file_path"]
                for frame, view in zip(frames, views, strict=True)
                if (view.camera in plan.held_out) == is_test
            ]
    path = plan.folder / "transforms.json"
    write_file(path, json.dumps(data, indent=1).encode("utf-8"))
    return path


def _entry(plan: CapturePlan, view: RenderedView, is_dynamic: bool) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "file_path": _relative(view.image, plan.folder),
        "name": f"{view.stem}_{view.frame:04d}" if is_dynamic else view.stem,
        "transform_matrix": view.camera_to_world.tolist(),
        **view.projection.entry(),
    }
    if is_dynamic:
        entry["time"] = view.time
    if view.depth is not None:
        entry["depth_file_path"] = _relative(view.depth, plan.folder)
    if view.mask is not None:
        entry["mask_path"] = _relative(view.mask, plan.folder)
    return entry


def write_n3dv(plan: CapturePlan, views: Sequence[RenderedView], fps: tuple[int, float]) -> Iterator[float]:
    """Write the views' pictures as videos, then ``poses_bounds.npy``; tells the part done in [0, 1].

    ``fps`` is the scene's rate as Blender has it, ``(fps, fps_base)``.

    Raises:
        CameraError: a camera moves, or its lens cannot be told in a row.
        AddonError: a file cannot be written.
    """
    rows = [_n3dv_row([view for view in views if view.camera == name]) for name in plan.cameras]
    rate = (fps[0], fps[1] * plan.frames.step)
    for index, (stem, name) in enumerate(zip(plan.stems, n3dv_names(len(plan.cameras)), strict=True)):
        write_video([plan.file(IMAGES, stem, frame) for frame in plan.frames], plan.folder / name, rate)
        yield (index + 1) / len(plan.cameras)
    content = io.BytesIO()
    np.save(content, np.array(rows))
    write_file(plan.folder / "poses_bounds.npy", content.getvalue())


def _n3dv_row(views: Sequence[RenderedView]) -> FloatArray:
    """(17,) LLFF's 3x5 matrix (down, right, back, position, size and focal length), near and far."""
    first = views[0]
    projection, pose = first.projection, first.camera_to_world
    if any(not np.allclose(view.camera_to_world, pose, rtol=0.0, atol=1e-6) for view in views) or any(
        view.projection != projection for view in views
    ):
        raise CameraError(
            f"Camera {first.camera!r} moves or zooms, which N3DV videos cannot tell; write images"
        )
    tolerance = N3DV_TOLERANCE * projection.width
    off_centre = abs(projection.cx - 0.5 * projection.width), abs(projection.cy - 0.5 * projection.height)
    if max(*off_centre, abs(projection.fl_x - projection.fl_y)) > tolerance:
        raise CameraError(
            f"Camera {first.camera!r} has a shifted lens, or the scene's pixels are not square, which N3DV "
            "videos cannot tell; write images"
        )
    right, up, back, position = pose[:3, 0], pose[:3, 1], pose[:3, 2], pose[:3, 3]
    size = np.array([projection.height, projection.width, projection.fl_x])
    near, far = min(view.near_far[0] for view in views), max(view.near_far[1] for view in views)
    return np.concatenate([np.stack([-up, right, back, position, size], axis=1).ravel(), [near, far]])


def write_file(path: Path, content: bytes) -> None:
    """Write a file, whole or not at all. Raises AddonError."""
    try:
        write_atomically(path, content)
    except OSError as error:
        raise AddonError(
            f"{path}: cannot be written ({error.strerror}); free some space or choose another folder"
        ) from error


def _relative(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix()
