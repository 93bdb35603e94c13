"""Moving a capture to other axes: rotation, one scale, translation."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ..cameras import Camera, FloatArray, pose_matrix
from ..errors import CaptureError
from .capture import Capture, PointCloud

# How far a matrix' axes may be from right angles and one length: those written by other programs are rounded.
TOLERANCE = 1e-3


def similarity(value: Any, where: str) -> FloatArray:
    """A (4, 4) matrix of a rotation, one positive scale and a translation.

    Raises:
        CaptureError, CameraFileError: ``value`` is no such matrix.
    """
    matrix = pose_matrix(value, where)
    linear = matrix[:3, :3]
    determinant = float(np.linalg.det(linear))
    if not determinant > 0:
        raise CaptureError(f"{where}: the alignment mirrors or flattens the world; use one positive scale")
    scale = np.cbrt(determinant)
    if np.abs(linear.T @ linear / scale**2 - np.eye(3)).max() > TOLERANCE:
        raise CaptureError(f"{where}: the alignment is no rotation with one scale; scale all axes alike")
    u, _, vt = np.linalg.svd(linear)
    matrix[:3, :3] = scale * u @ vt
    return matrix


def scale_of(matrix: FloatArray) -> float:
    return float(np.cbrt(np.linalg.det(matrix[:3, :3])))


def moved_camera(camera: Camera, matrix: FloatArray) -> Camera:
    """The camera in the world that ``matrix``, a similarity, maps its own to."""
    pose = matrix @ camera.camera_to_world
    pose[:3, :3] /= scale_of(matrix)
    return replace(camera, camera_to_world=pose)


def moved_points(positions: FloatArray, matrix: FloatArray) -> FloatArray:
    """(N, 3) points mapped by a (4, 4) matrix."""
    return np.asarray(positions @ matrix[:3, :3].T + matrix[:3, 3])


def moved_capture(capture: Capture, matrix: FloatArray) -> Capture:
    """The capture with its cameras, points and depth bounds mapped by ``matrix``, a similarity."""
    points = capture.points
    if points is not None:
        positions = moved_points(points.positions.astype(np.float64), matrix).astype(np.float32)
        points = PointCloud(positions, points.colors)
    near_far = capture.near_far
    return replace(
        capture,
        cameras=[moved_camera(camera, matrix) for camera in capture.cameras],
        points=points,
        near_far=None if near_far is None else near_far * scale_of(matrix),
    )
