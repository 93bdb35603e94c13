"""How far a rig's cameras are apart and how much of their pictures neighbours share. No ``bpy``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..cameras.projections import FloatArray, Projection

# Places of a picture, along each side, at which the overlap is measured.
SAMPLES = 32

# Optical axes that meet within less than about this angle squared (radians, mean over the rig) are taken
# for parallel: where they meet is then noise.
PARALLEL = 1e-6


@dataclass(frozen=True)
class RigSpacing:
    """Of every camera and its nearest neighbour: (least, mean, largest).

    ``angle`` between their viewing directions in degrees, ``distance`` in scene units, ``overlap`` the part
    of a camera's picture, at the depth of what the rig looks at, that the neighbour sees too. None where the
    cameras look at no common point. ``focus`` is that point.
    """

    count: int
    angle: tuple[float, float, float]
    distance: tuple[float, float, float]
    overlap: tuple[float, float, float] | None
    focus: tuple[float, float, float] | None


def measure_spacing(poses: npt.ArrayLike, projections: Sequence[Projection]) -> RigSpacing | None:
    """Spacing of cameras with camera-to-world ``poses`` (N, 4, 4); None for fewer than two."""
    poses = np.asarray(poses, dtype=np.float64)
    if len(poses) < 2:
        return None
    positions, forward = poses[:, :3, 3], -poses[:, :3, 2]
    apart = np.linalg.norm(positions[:, None] - positions[None], axis=-1)
    np.fill_diagonal(apart, np.inf)
    nearest = apart.argmin(axis=1)
    cosines = np.clip(np.sum(forward * forward[nearest], axis=1), -1.0, 1.0)
    focus = meeting_point(positions, forward)
    overlap = None
    if focus is not None:
        shares = [
            shared_part(poses[index], projections[index], poses[other], projections[other], focus)
            for index, other in enumerate(nearest)
        ]
        overlap = _summary(np.array(shares))
    return RigSpacing(
        count=len(poses),
        angle=_summary(np.degrees(np.arccos(cosines))),
        distance=_summary(apart[np.arange(len(poses)), nearest]),
        overlap=overlap,
        focus=None if focus is None else (float(focus[0]), float(focus[1]), float(focus[2])),
    )


def meeting_point(positions: FloatArray, forward: FloatArray) -> FloatArray | None:
    """(3,) the point nearest to all optical axes, by least squares, if it lies before every camera."""
    across = np.eye(3) - forward[:, :, None] * forward[:, None, :]
    normal = across.mean(axis=0)
    if np.linalg.eigvalsh(normal)[0] < PARALLEL:
        return None
    point = np.linalg.solve(normal, np.einsum("nij,nj->i", across, positions) / len(positions))
    ahead = np.sum((point - positions) * forward, axis=1)
    return np.asarray(point) if (ahead > 0.0).all() else None


def shared_part(
    pose: FloatArray,
    projection: Projection,
    other: FloatArray,
    other_projection: Projection,
    focus: FloatArray,
) -> float:
    """The part in [0, 1] of a camera's picture, on the plane it faces at ``focus``, that another sees."""
    coarse = projection.resized(SAMPLES, SAMPLES)
    depth = float((focus - pose[:3, 3]) @ -pose[:3, 2])
    points = coarse.points(np.full((SAMPLES, SAMPLES), depth)).reshape(-1, 3)
    world = points @ pose[:3, :3].T + pose[:3, 3]
    inside = (world - other[:3, 3]) @ other[:3, :3]
    pixels = other_projection.pixels(inside)
    size = np.array([other_projection.width, other_projection.height])
    seen = (inside[:, 2] < 0.0) & ((pixels >= 0.0) & (pixels <= size)).all(axis=1)
    return float(seen.mean())


def _summary(values: FloatArray) -> tuple[float, float, float]:
    return float(values.min()), float(values.mean()), float(values.max())
