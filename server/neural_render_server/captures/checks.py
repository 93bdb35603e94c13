"""Checks that every capture reader shares: poses, names, paths, JSON."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..cameras import Camera, FloatArray, pose_matrix
from ..errors import CaptureError
from ..files import read_json

# Larger than any sensor sold (a 150-megapixel back is 14204 wide), small enough to fit in memory.
MAX_IMAGE_SIDE = 32768

# How far a frame's aspect ratio may be from its calibration's (beyond a pixel of rounding).
ASPECT_TOLERANCE = 0.01

# Calibrations are often written with four decimals; anything further off is not a rounded rotation.
ROTATION_TOLERANCE = 1e-2


def rigid_pose(value: Any, where: str) -> FloatArray:
    """A (4, 4) camera-to-world matrix whose rotation is orthonormal, from nested lists or an array.

    Rounding errors are taken out (the nearest rotation, by SVD); a scaled, sheared or mirrored
    matrix is refused, for rays and projections would then disagree about depth.

    Raises:
        CaptureError: not a 3x4 or 4x4 matrix of finite numbers, or not a rotation and translation.
        CameraFileError: as ``cameras.pose_matrix``; ``open_capture`` turns it into a CaptureError.
    """
    matrix = pose_matrix(value, where)
    rotation = matrix[:3, :3]
    if np.linalg.det(rotation) < 0:
        raise CaptureError(f"{where}: the pose mirrors the world; check the file's axis convention")
    if np.abs(rotation.T @ rotation - np.eye(3)).max() > ROTATION_TOLERANCE:
        raise CaptureError(
            f"{where}: the pose is not a pure rotation and translation; export the cameras without scale"
        )
    u, _, vt = np.linalg.svd(rotation)
    matrix[:3, :3] = u @ vt
    return matrix


def scaled_to_photo(camera: Camera, width: int, height: int, where: str) -> Camera:
    """A calibrated camera at the size its photos have, when they were only made smaller or larger.

    Raises:
        CaptureError: the photos have another aspect ratio, so that they were cropped or are others.
    """
    if camera.width < 1 or camera.height < 1:
        raise CaptureError(f"{where}: calibrated at {camera.width}x{camera.height} pixels, which is no size")
    expected = camera.width * height / camera.height
    if abs(width - expected) > max(1.0, ASPECT_TOLERANCE * expected):
        raise CaptureError(
            f"{where}: calibrated at {camera.width}x{camera.height}, but the frames are {width}x{height}, "
            "another aspect ratio; use the frames that were calibrated"
        )
    return camera.scaled(width, height)


def check_cameras(path: Path, cameras: Sequence[Camera]) -> None:
    """Raise CaptureError where cameras share a name, or a size or focal length is absurd."""
    if not cameras:
        raise CaptureError(f"{path}: the capture has no cameras")
    seen: set[str] = set()
    for camera in cameras:
        if camera.name in seen:
            raise CaptureError(f"{path}: two cameras are named {camera.name!r}; rename one of them")
        seen.add(camera.name)
        if not (1 <= camera.width <= MAX_IMAGE_SIDE and 1 <= camera.height <= MAX_IMAGE_SIDE):
            raise CaptureError(
                f"{path}: camera {camera.name} has a size of {camera.width}x{camera.height} pixels; "
                f"sides from 1 to {MAX_IMAGE_SIDE} can be used"
            )
        numbers = [camera.fl_x, camera.fl_y, camera.cx, camera.cy, *camera.distortion]
        if not np.isfinite(numbers).all() or camera.fl_x <= 0 or camera.fl_y <= 0:
            raise CaptureError(
                f"{path}: camera {camera.name} has unusable intrinsics (a focal length that is not positive, "
                "or a value that is not finite); calibrate it again"
            )


def natural_key(name: str) -> list[tuple[int, int | str]]:
    """Sort key that puts ``cam2`` before ``cam10``."""
    return [(0, int(part)) if part.isdigit() else (1, part) for part in re.split(r"(\d+)", name) if part]


def natural_sorted(paths: Iterable[Path]) -> list[Path]:
    return sorted(paths, key=lambda path: natural_key(path.name))


def path_inside(root: Path, value: Any, where: str) -> Path:
    """``root / value``, where ``value`` comes from a file and must stay inside ``root``.

    Raises:
        CaptureError: it is not a relative path, or it leads out of the capture's folder.
    """
    if not isinstance(value, str) or not value or "\0" in value:
        raise CaptureError(f"{where}: {value!r} is not a file path")
    relative = Path(value.replace("\\", "/"))
    try:
        resolved = (root / relative).resolve()
    except (OSError, RuntimeError, ValueError) as error:  # a loop of links, or no name of any file
        raise CaptureError(f"{where}: {value!r} is not a file path") from error
    if relative.is_absolute() or not resolved.is_relative_to(root.resolve()):
        raise CaptureError(
            f"{where}: the path {value!r} leads out of the capture's folder; "
            "put the files inside it and use relative paths"
        )
    return root / relative


def read_json_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file.

    Raises:
        CaptureError: it cannot be read or does not hold a JSON object.
    """
    try:
        data = read_json(path)
    except OSError as error:
        raise CaptureError(f"{path}: cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise CaptureError(f"{path}: not valid JSON ({error})") from error
    if not isinstance(data, dict):
        raise CaptureError(f"{path}: holds no JSON object")
    return data
