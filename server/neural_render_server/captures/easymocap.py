"""EasyMocap and EasyVolcap: ``intri.yml``, ``extri.yml`` and ``videos/`` or ``images/<camera>/``.

Format: EasyMocap's ``doc/00_quickstart.md`` and ``easymocap/mytools/camera_utils.py``: OpenCV
FileStorage files with ``names``, and per camera ``K_`` (3x3), ``dist_`` (OpenCV's coefficients),
optionally ``W_`` and ``H_``; ``Rot_`` (3x3) or ``R_`` (Rodrigues vector) and ``T_``, world to
camera with OpenCV axes. OpenCV puts pixel centres at whole numbers, so half a pixel is added to the
principal point.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from ..cameras import OPENGL_TO_OPENCV, Camera
from ..errors import CaptureError
from .capture import Capture
from .checks import MAX_IMAGE_SIDE, rigid_pose, scaled_to_photo
from .film import film_of
from .letterbox import Area, in_letterbox
from .opencv_yaml import read_opencv_yaml
from .pixels import as_bytes
from .sequences import Sequence, image_sequence, video_sequence
from .video import is_video


def is_easymocap(path: Path) -> bool:
    return (path / "intri.yml").is_file() and (path / "extri.yml").is_file()


def read_easymocap(folder: Path) -> Capture:
    """Read an EasyMocap folder; cameras without a recording are skipped and named in a warning.

    Raises:
        CaptureError: the calibration or a recording cannot be used, or they do not fit each other.
    """
    intrinsics, extrinsics = folder / "intri.yml", folder / "extri.yml"
    inner, outer = _Storage(intrinsics), _Storage(extrinsics)
    names = outer.names() or inner.names()
    if not names:
        raise CaptureError(f"{extrinsics}: lists no camera 'names'; calibrate with EasyMocap's own tool")
    if len(set(names)) < len(names):
        repeated = next(name for name in names if names.count(name) > 1)
        raise CaptureError(f"{extrinsics}: two cameras are named {repeated!r}; rename one of them")
    found = [(name, sequence) for name in names if (sequence := _recording(folder, name)) is not None]
    if not found:
        raise CaptureError(
            f"{folder}: no recording of {', '.join(names)}; "
            f"put videos/{names[0]}.mp4 or images/{names[0]}/ there"
        )
    sequences = [sequence for _, sequence in found]
    warnings = []
    if len(found) < len(names):
        absent = sorted(set(names) - {name for name, _ in found})
        warnings.append(f"No recording of {', '.join(absent)}; these cameras are left out.")
    cameras: list[Camera] = []
    areas: list[Area | None] = []
    for name, sequence in found:
        camera, area, warning = _as_recorded(_camera(name, inner, outer), sequence, str(intrinsics))
        cameras.append(camera)
        areas.append(area)
        warnings += [warning] if warning else []
    film = film_of(folder, sequences)
    return Capture(
        path=folder,
        format="easymocap",
        cameras=cameras,
        times=film.times,
        fps=film.fps if film.is_dynamic else None,
        views=film.views,
        is_test=np.zeros(len(film.views), dtype=np.bool_),
        picture_areas=areas if any(areas) else None,
        warnings=[*warnings, *film.warnings],
    )


class _Storage:
    """An OpenCV FileStorage file, its values checked as they are taken out."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._values = read_opencv_yaml(path)

    def names(self) -> list[str]:
        """What ``names`` lists; nothing where the file has no such list."""
        names = self._values.get("names")
        return [str(name) for name in names] if isinstance(names, list) else []

    def matrix(self, key: str, size: int) -> npt.NDArray[np.float64] | None:
        """The values of a matrix as a flat array of at least ``size`` finite numbers; None without it."""
        values = self._values.get(key)
        if values is None:
            return None
        try:
            flat = np.asarray(values, dtype=np.float64).ravel()
        except ValueError as error:
            raise CaptureError(f"{self.path}: {key} is no matrix; calibrate again") from error
        if len(flat) < size or not np.isfinite(flat).all():
            raise CaptureError(
                f"{self.path}: {key} has NaN, infinite or missing values; "
                "solve this camera again or remove it"
            )
        return flat

    def number(self, key: str) -> float | None:
        value = self._values.get(key)
        if value is not None and not isinstance(value, float):
            raise CaptureError(f"{self.path}: {key} is no number; calibrate again")
        return value


def _recording(folder: Path, name: str) -> Sequence | None:
    if name in ("", ".", "..") or any(character in name for character in "/\\:\0"):
        raise CaptureError(f"{folder / 'extri.yml'}: {name!r} cannot be a camera's name")
    videos = folder / "videos"
    if videos.is_dir():
        video = next(
            (entry for entry in sorted(videos.glob("*")) if entry.stem == name and is_video(entry)), None
        )
        if video is not None:
            return video_sequence(video)
    images = folder / "images" / name
    return image_sequence(images, name) if images.is_dir() else None


def _camera(name: str, inner: _Storage, outer: _Storage) -> Camera:
    """The camera as calibrated; its size is 0 where the file does not give it."""
    matrix = inner.matrix(f"K_{name}", 9)
    if matrix is None:
        raise CaptureError(f"{inner.path}: K_{name}, the intrinsics of camera {name}, is missing; add it")
    translation = outer.matrix(f"T_{name}", 3)
    rotation = outer.matrix(f"Rot_{name}", 9)
    rodrigues = outer.matrix(f"R_{name}", 3)
    if translation is None or (rotation is None and rodrigues is None):
        raise CaptureError(
            f"{outer.path}: Rot_{name} or T_{name}, the pose of camera {name}, is missing; add it"
        )
    world_to_camera = np.eye(4)
    world_to_camera[:3, 3] = translation[:3]
    if rotation is not None:
        world_to_camera[:3, :3] = rotation[:9].reshape(3, 3)
    elif rodrigues is not None:
        world_to_camera[:3, :3] = cv2.Rodrigues(rodrigues[:3])[0]
    where = f"{outer.path}, camera {name}"
    if abs(np.linalg.det(world_to_camera[:3, :3])) < 1e-9:
        raise CaptureError(f"{where}: the pose's rotation is singular; solve this camera again or remove it")
    distortion = inner.matrix(f"dist_{name}", 0)
    if distortion is None:
        distortion = inner.matrix(f"D_{name}", 0)
    coefficients = tuple(float(value) for value in distortion[:8]) if distortion is not None else ()
    is_distorted = any(coefficients)
    return Camera(
        width=_side(inner.number(f"W_{name}")),
        height=_side(inner.number(f"H_{name}")),
        fl_x=float(matrix[0]),
        fl_y=float(matrix[4]),
        cx=float(matrix[2]) + 0.5,
        cy=float(matrix[5]) + 0.5,
        camera_to_world=rigid_pose(np.linalg.inv(world_to_camera) @ OPENGL_TO_OPENCV, where),
        name=name,
        camera_model="OPENCV" if is_distorted else "PINHOLE",
        distortion=coefficients if is_distorted else (),
    )


def _side(stated: float | None) -> int:
    """An image side in pixels; 0 where the file states none."""
    if stated is None:
        return 0
    return round(stated) if 1 <= stated <= MAX_IMAGE_SIDE else -1


def _as_recorded(
    calibrated: Camera, sequence: Sequence, where: str
) -> tuple[Camera, Area | None, str | None]:
    """The camera at its recording's size, the area of its picture (None: all), and a warning or None.

    A recording of another size than calibrated was either made smaller as a whole, or fitted between
    black bars; anything else (a crop) cannot be told from its frames and is refused.
    """
    size = (sequence.width, sequence.height)
    if (calibrated.width, calibrated.height) in (size, (0, 0)):
        return replace(calibrated, width=size[0], height=size[1]), None, None
    name = calibrated.name
    stated = f"{name}: calibrated at {calibrated.width}x{calibrated.height}, recorded at {size[0]}x{size[1]}"
    place = f"{where}, camera {name}"
    if min(calibrated.width, calibrated.height) > 0:
        boxed = in_letterbox(calibrated, as_bytes(sequence.pixels(0)))
        if boxed is not None:
            camera, area = boxed
            return (
                camera,
                area,
                (
                    f"{stated} with black bars around the picture; "
                    "the intrinsics were scaled to the picture within and the bars are left out."
                ),
            )
    return scaled_to_photo(calibrated, *size, place), None, f"{stated}; the intrinsics were scaled."
