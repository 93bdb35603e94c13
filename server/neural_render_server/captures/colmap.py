"""COLMAP sparse models, text or binary, with their points.

Format: https://colmap.github.io/format.html, read by pycolmap. Poses there are world-to-camera
with OpenCV axes; principal points have pixel centres at +0.5, as ours.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..cameras import OPENGL_TO_OPENCV, Camera
from ..errors import CaptureError
from ..lens_models import FOV, THIN_PRISM_FISHEYE
from .capture import Capture, ImageSource, PointCloud, View
from .checks import natural_key, path_inside, rigid_pose, scaled_to_photo
from .colmap_counts import check_counts
from .image import image_header

# Where models are usually put; after these, any folder up to two levels down.
MODEL_FOLDERS = (".", "sparse/0", "sparse", "colmap/sparse/0", "distorted/sparse/0", "dense/sparse")
IMAGE_FOLDERS = ("images", "input", ".")

# COLMAP's parameters (src/colmap/sensor/models.h) -> ours, as indices into them:
# (fl_x, fl_y, cx, cy), our model, distortion in our order.
_PERSPECTIVE: dict[str, tuple[tuple[int, ...], str, tuple[int, ...]]] = {
    "SIMPLE_PINHOLE": ((0, 0, 1, 2), "PINHOLE", ()),
    "PINHOLE": ((0, 1, 2, 3), "PINHOLE", ()),
    "SIMPLE_RADIAL": ((0, 0, 1, 2), "OPENCV", (3,)),
    "RADIAL": ((0, 0, 1, 2), "OPENCV", (3, 4)),
    "OPENCV": ((0, 1, 2, 3), "OPENCV", (4, 5, 6, 7)),
    "FULL_OPENCV": ((0, 1, 2, 3), "OPENCV", (4, 5, 6, 7, 8, 9, 10, 11)),
    "SIMPLE_FISHEYE": ((0, 0, 1, 2), "OPENCV_FISHEYE", ()),
    "FISHEYE": ((0, 1, 2, 3), "OPENCV_FISHEYE", ()),
    "SIMPLE_RADIAL_FISHEYE": ((0, 0, 1, 2), "OPENCV_FISHEYE", (3,)),
    "RADIAL_FISHEYE": ((0, 0, 1, 2), "OPENCV_FISHEYE", (3, 4)),
    "OPENCV_FISHEYE": ((0, 1, 2, 3), "OPENCV_FISHEYE", (4, 5, 6, 7)),
    "FOV": ((0, 1, 2, 3), FOV, (4,)),
    "THIN_PRISM_FISHEYE": ((0, 1, 2, 3), THIN_PRISM_FISHEYE, (4, 5, 6, 7, 8, 9, 10, 11)),
}


def model_folder(path: Path) -> Path | None:
    """The folder at or below ``path`` that holds a sparse model; the first in the usual order."""
    if not path.is_dir():
        return None
    usual = [path / name for name in MODEL_FOLDERS]
    others = sorted(entry.parent for entry in [*path.glob("*/cameras.*"), *path.glob("*/*/cameras.*")])
    return next((folder for folder in [*usual, *others] if _suffix(folder) is not None), None)


def _suffix(folder: Path) -> str | None:
    names = ("cameras", "images", "points3D")
    return next((s for s in (".bin", ".txt") if all((folder / (n + s)).is_file() for n in names)), None)


def is_colmap(path: Path) -> bool:
    return model_folder(path) is not None


def read_colmap(path: Path) -> Capture:
    """Read the sparse model at or below ``path``, with the photos it was made from.

    Photos that are missing are skipped and counted; photos made smaller than they were solved at
    keep their aspect ratio and have their intrinsics scaled.

    Raises:
        CaptureError: the model cannot be read, or its photos or camera models cannot be used.
    """
    folder = model_folder(path)
    assert folder is not None
    model = load_model(folder)
    try:
        images = sorted((i for i in model.images.values() if i.has_pose), key=lambda i: natural_key(i.name))
    except UnicodeDecodeError as error:
        raise CaptureError(
            f"{folder}: a photo's name in the COLMAP model is not UTF-8; rename the photo and solve again"
        ) from error
    if not images:
        raise CaptureError(f"{folder}: the COLMAP model has no posed images; run the mapper again")
    root = _images_folder(path, folder, [image.name for image in images])
    cameras: list[Camera] = []
    views: list[View] = []
    alphas: list[bool] = []
    for image in images:
        where = f"{folder}, image {image.name}"
        file = path_inside(root, image.name, where)
        if file.is_file():
            width, height, has_alpha = image_header(file)
            cameras.append(posed_camera(image, model.cameras[image.camera_id], width, height, where))
            views.append(View(len(views), 0, ImageSource(file)))
            alphas.append(has_alpha)
    warnings = []
    if len(views) < len(images):
        warnings.append(
            f"{len(images) - len(views)} of the model's {len(images)} photos are missing; they are skipped."
        )
    return Capture(
        path=path,
        format="colmap",
        cameras=_with_distinct_names(cameras),
        times=np.zeros(1),
        fps=None,
        views=views,
        is_test=np.zeros(len(views), dtype=np.bool_),
        points=_points(model),
        has_alpha=all(alphas),
        warnings=warnings,
    )


def load_model(folder: Path) -> Any:
    """The ``pycolmap.Reconstruction`` in a folder.

    Raises:
        CaptureError: it cannot be read.
    """
    check_counts(folder)
    import pycolmap  # here, for it takes half a second and other formats do not need it

    try:
        return pycolmap.Reconstruction(str(folder))
    except (ValueError, RuntimeError, IndexError, KeyError, MemoryError, OverflowError, TypeError) as error:
        raise CaptureError(
            f"{folder}: the COLMAP model cannot be read; export it again with colmap model_converter"
        ) from error


def _images_folder(path: Path, folder: Path, names: list[str]) -> Path:
    """The folder the image names are relative to: beside the model, or up to two levels above it."""
    bases = [path, folder, *list(folder.parents)[:2]]
    for base in bases:
        for candidate in IMAGE_FOLDERS:
            root = base / candidate
            if any((root / name).is_file() for name in names[:100]):
                return root
    raise CaptureError(
        f"{path}: the COLMAP model's photos (such as {names[0]}) are not there; put them in {path / 'images'}"
    )


def posed_camera(image: Any, lens: Any, width: int, height: int, where: str) -> Camera:
    """The camera of one of pycolmap's images and its lens, for a photo of ``width`` x ``height`` pixels.

    Raises:
        CaptureError: its lens, pose or the photo's size cannot be used.
    """
    if lens.model_name not in _PERSPECTIVE:
        raise CaptureError(
            f"{where}: the camera model {lens.model_name} cannot be used; run colmap image_undistorter first"
        )
    places, camera_model, coefficients = _PERSPECTIVE[lens.model_name]
    fl_x, fl_y, cx, cy = (float(lens.params[place]) for place in places)
    distortion = [float(lens.params[place]) for place in coefficients]
    if camera_model.startswith("OPENCV"):
        distortion += [0.0] * (4 - len(distortion))
    if camera_model == FOV and distortion == [0.0]:
        camera_model, distortion = "PINHOLE", []
    world_to_camera = np.vstack([image.cam_from_world().matrix(), [0.0, 0.0, 0.0, 1.0]])
    if not np.isfinite(world_to_camera).all():
        raise CaptureError(
            f"{where}: the pose has NaN or infinite values; solve this camera again or remove it"
        )
    if abs(np.linalg.det(world_to_camera[:3, :3])) < 1e-9:
        raise CaptureError(f"{where}: the pose's rotation is singular; solve this camera again or remove it")
    solved = Camera(
        width=int(lens.width),
        height=int(lens.height),
        fl_x=fl_x,
        fl_y=fl_y,
        cx=cx,
        cy=cy,
        camera_to_world=rigid_pose(np.linalg.inv(world_to_camera) @ OPENGL_TO_OPENCV, where),
        name=image.name,
        camera_model=camera_model,
        distortion=tuple(distortion),
    )
    return scaled_to_photo(solved, width, height, where)


def _with_distinct_names(cameras: list[Camera]) -> list[Camera]:
    """Cameras named by their photos' stems, with the folders in front where stems are not distinct."""
    stems = [Path(camera.name).stem for camera in cameras]
    if len(set(stems)) < len(stems):
        stems = [
            str(Path(camera.name).with_suffix("")).replace("\\", "/").replace("/", "_") for camera in cameras
        ]
    return [replace(camera, name=stem) for camera, stem in zip(cameras, stems, strict=True)]


def _points(model: Any) -> PointCloud | None:
    points = list(model.points3D.values())
    if not points:
        return None
    positions = np.array([point.xyz for point in points], dtype=np.float32)
    colors = np.array([point.color for point in points], dtype=np.uint8)
    usable = np.isfinite(positions).all(axis=1)
    return PointCloud(positions[usable], colors[usable])
