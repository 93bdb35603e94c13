"""What pycolmap found: posed pictures and points, and which pictures see the same things."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..cameras import Camera, FloatArray
from ..captures.checks import natural_key
from ..captures.colmap import load_model, posed_camera

# A picture's coverage is counted in cells of this grid.
COVERAGE_CELLS = 8

# COLMAP's pair_id is id1 * this + id2 (src/colmap/util/types.h, kMaxNumImages).
_PAIR_BASE = 2147483647


@dataclass(frozen=True, eq=False)
class SolvedPicture:
    """A picture whose camera is found, in the solver's world.

    ``error`` is the mean reprojection error of what it sees, in pixels of the picture; ``coverage`` the
    part of its area where something was found in 3D.
    """

    name: str
    camera: Camera
    observations: int
    error: float
    coverage: float


@dataclass(frozen=True, eq=False)
class SolvedModel:
    """``positions`` (N, 3), ``colors`` (N, 3) uint8 sRGB; ``error`` is the mean, in pixels."""

    pictures: tuple[SolvedPicture, ...]
    positions: FloatArray
    colors: npt.NDArray[np.uint8]
    error: float

    @property
    def names(self) -> list[str]:
        return [picture.name for picture in self.pictures]


def read_models(folder: Path) -> list[SolvedModel]:
    """The models in the numbered folders of ``folder``, the one with most pictures first."""
    found = [_read(load_model(entry), entry) for entry in sorted(folder.iterdir()) if entry.is_dir()]
    found = [model for model in found if model.pictures]
    return sorted(found, key=lambda model: (-len(model.pictures), model.error))


def _read(model: Any, folder: Path) -> SolvedModel:
    pictures = []
    errors = {point_id: float(point.error) for point_id, point in model.points3D.items()}
    for image in sorted(model.images.values(), key=lambda image: natural_key(image.name)):
        if not image.has_pose:
            continue
        lens = model.cameras[image.camera_id]
        camera = posed_camera(image, lens, int(lens.width), int(lens.height), f"{folder}, {image.name}")
        seen = [point for point in image.points2D if point.has_point3D()]
        places = np.array([point.xy for point in seen]).reshape(-1, 2)
        own = [errors[point.point3D_id] for point in seen]
        pictures.append(
            SolvedPicture(
                name=image.name,
                camera=camera,
                observations=len(seen),
                error=float(np.mean(own)) if own else 0.0,
                coverage=coverage(places, camera.width, camera.height),
            )
        )
    points = list(model.points3D.values())
    return SolvedModel(
        pictures=tuple(pictures),
        positions=np.array([point.xyz for point in points], dtype=np.float64).reshape(-1, 3),
        colors=np.array([point.color for point in points], dtype=np.uint8).reshape(-1, 3),
        error=float(model.compute_mean_reprojection_error()) if points else 0.0,
    )


def coverage(places: FloatArray, width: int, height: int) -> float:
    """Part of a picture's cells in which at least one of ``places`` (N, 2) pixels lies."""
    cells = np.floor(places * COVERAGE_CELLS / [width, height]).astype(int).clip(0, COVERAGE_CELLS - 1)
    return len(np.unique(cells, axis=0)) / COVERAGE_CELLS**2 if len(cells) else 0.0


def shared_matches(database: Path) -> dict[frozenset[str], int]:
    """How many verified matches each pair of pictures has; pairs without any are absent."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as opened:
        names = dict(opened.execute("SELECT image_id, name FROM images"))
        rows = opened.execute("SELECT pair_id, rows FROM two_view_geometries WHERE rows > 0").fetchall()
    return {frozenset((names[pair // _PAIR_BASE], names[pair % _PAIR_BASE])): count for pair, count in rows}
