"""A first guess at the world of solved cameras: which way is up, where the ground is, how large it all is.

A solve fixes neither axes nor scale. The guess puts z up, the ground at z = 0, the middle of what is
filmed at the origin, and what the cameras look at along +y.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..cameras import Camera, FloatArray
from ..errors import OptionError

# Cameras' sides count as spread around the vertical when the middle spread of their directions exceeds this
# (of 1 in all); below it they all point one way, and the mean of the ups says more.
LEAST_SPREAD = 0.02

# The ground's normal lies within this angle of what the cameras say is up.
GROUND_ANGLE = np.radians(20.0)

# Points within this part of the median viewing distance of a plane lie on it; a ground holds at least this
# part of the points, and no more than BELOW of them lie under it (stray ones).
ON_PLANE, LEAST_ON_GROUND, BELOW = 0.01, 0.08, 0.15

TRIALS, POINTS_TRIED = 2000, 4000

# What the scale is guessed from: people hold and set up cameras at about this height over the ground, else
# stand about this far from what they film (both in metres).
CAMERA_HEIGHT, VIEWING_DISTANCE = 1.5, 3.0


@dataclass(frozen=True, eq=False)
class WorldGuess:
    """``matrix`` (4, 4) maps the solver's world to ours; the others say in words what it rests on."""

    matrix: FloatArray
    up_from: str
    scale_from: str

    def to_json(self) -> dict[str, Any]:
        return {"up_from": self.up_from, "scale_from": self.scale_from}


def guess_world(cameras: Sequence[Camera], positions: FloatArray) -> WorldGuess:
    """The similarity from the world of ``cameras`` and points ``positions`` (N, 3) to the guessed one."""
    centers = np.array([camera.position for camera in cameras])
    distance = viewing_distance(cameras, positions)
    up, up_from = cameras_up(cameras)
    ground = find_ground(positions, centers, up, distance)
    if ground is not None:
        up, level = ground
        up_from = "the ground's plane"
    else:
        level = float(np.percentile(positions @ up, 2.0)) if len(positions) else float((centers @ up).min())
    height = float(np.median(centers @ up)) - level
    if ground is not None and height > 0:
        scale, scale_from = CAMERA_HEIGHT / height, f"cameras {CAMERA_HEIGHT:g} m above the ground"
    else:
        scale, scale_from = VIEWING_DISTANCE / distance, f"things filmed {VIEWING_DISTANCE:g} m away"
    rotation = _axes(up, cameras)
    middle = looked_at(cameras, positions)
    middle = middle - (middle @ up - level) * up
    matrix = np.eye(4)
    matrix[:3, :3] = scale * rotation
    matrix[:3, 3] = -scale * rotation @ middle
    return WorldGuess(matrix, up_from, scale_from)


def cameras_up(cameras: Sequence[Camera]) -> tuple[FloatArray, str]:
    """Unit vector against gravity, and in words what it was taken from.

    Cameras that are held level have their sides (x axes) at right angles to gravity however they are
    tilted; where the sides point all ways, that fixes it. Else the mean of their ups is taken.
    """
    poses = np.array([camera.camera_to_world[:3, :3] for camera in cameras])
    mean = poses[:, :, 1].mean(axis=0)
    mean = mean / max(float(np.linalg.norm(mean)), 1e-12)
    sides = poses[:, :, 0]
    spread, directions = np.linalg.eigh(sides.T @ sides / len(sides))
    up = directions[:, 0] * (1.0 if directions[:, 0] @ mean >= 0 else -1.0)
    if spread[1] > LEAST_SPREAD and up @ mean > np.cos(np.radians(60.0)):
        return up, "the cameras' sides"
    return mean, "the cameras' ups"


def find_ground(
    positions: FloatArray, centers: FloatArray, up: FloatArray, distance: float
) -> tuple[FloatArray, float] | None:
    """The ground's normal and its level along it, or None where the points show no ground.

    The plane with most points (RANSAC, Fischler and Bolles 1981) among those that are nearly level, lie
    below the cameras and have hardly any points under them.
    """
    random = np.random.default_rng(0)
    low = positions[positions @ up < np.median(centers @ up)]
    if len(low) < 50:
        return None
    if len(low) > POINTS_TRIED:
        low = low[random.choice(len(low), POINTS_TRIED, replace=False)]
    corners = low[random.integers(0, len(low), (TRIALS, 3))]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    lengths = np.linalg.norm(normals, axis=1)
    usable = lengths > 1e-12
    normals, corners = normals[usable] / lengths[usable, None], corners[usable]
    normals *= np.sign(normals @ up)[:, None]
    level = normals @ up > np.cos(GROUND_ANGLE)
    normals, corners = normals[level], corners[level, 0]
    if not len(normals):
        return None
    heights = low @ normals.T - (corners * normals).sum(axis=1)
    near = ON_PLANE * distance
    on = np.abs(heights) < near
    under = (heights < -3.0 * near).mean(axis=0)
    counts = np.where(under <= BELOW, on.sum(axis=0), 0)
    best = int(np.argmax(counts))
    if counts[best] < LEAST_ON_GROUND * len(positions[:POINTS_TRIED]):
        return None
    held = low[on[:, best]]
    center = held.mean(axis=0)
    normal = np.linalg.svd(held - center, full_matrices=False)[2][2]
    normal *= 1.0 if normal @ up >= 0 else -1.0
    return normal, float(center @ normal)


def viewing_distance(cameras: Sequence[Camera], positions: FloatArray) -> float:
    """Median depth of the points in the pictures that show them; the rig's size without points."""
    centers = np.array([camera.position for camera in cameras])
    depths = []
    for camera in cameras:
        pixels, depth = camera.project(positions)
        seen = (depth > 0) & (pixels >= 0).all(axis=1) & (pixels <= [camera.width, camera.height]).all(axis=1)
        depths.append(depth[seen])
    all_depths = np.concatenate(depths) if depths else np.zeros(0)
    if len(all_depths):
        return float(np.median(all_depths))
    return float(np.linalg.norm(np.ptp(centers, axis=0))) or 1.0


def looked_at(cameras: Sequence[Camera], positions: FloatArray) -> FloatArray:
    """(3,) point nearest to all optical axes, if it lies before most cameras; else the points' middle."""
    centers = np.array([camera.position for camera in cameras])
    forwards = np.array([camera.forward for camera in cameras])
    across = np.eye(3) - forwards[:, :, None] * forwards[:, None, :]
    system = across.sum(axis=0)
    if np.linalg.eigvalsh(system)[0] > 1e-3 * len(cameras):
        point = np.linalg.solve(system, (across @ centers[:, :, None]).sum(axis=0))[:, 0]
        if (((point - centers) * forwards).sum(axis=1) > 0).mean() > 0.8:
            return np.asarray(point)
    return np.asarray(np.median(positions, axis=0) if len(positions) else centers.mean(axis=0))


def _axes(up: FloatArray, cameras: Sequence[Camera]) -> FloatArray:
    """(3, 3) rotation that makes ``up`` z and what the cameras look along, taken level, y."""
    forwards = np.array([camera.forward for camera in cameras])
    level = forwards - np.outer(forwards @ up, up)
    ahead = level.sum(axis=0)
    if np.linalg.norm(ahead) < 0.2 * len(cameras):  # they stand all around: the first one decides
        ahead = level[0]
    if np.linalg.norm(ahead) < 1e-6:  # straight down: the top of its picture
        ahead = cameras[0].camera_to_world[:3, 1] - (cameras[0].camera_to_world[:3, 1] @ up) * up
    y = ahead / np.linalg.norm(ahead)
    return np.stack([np.cross(y, up), y, up])


def alignment_from(
    up: Sequence[float] | None,
    origin: Sequence[float] | None,
    between: Sequence[Sequence[float]] | None,
    distance: float | None,
) -> FloatArray:
    """(4, 4) similarity that makes ``up`` +z, ``origin`` 0 and the two points ``between`` ``distance`` apart.

    All in the present coordinates; None leaves as it is. The turn is the smallest one.

    Raises:
        OptionError: nothing is asked for, only one of ``between`` and ``distance``, or points that coincide.
    """
    if up is None and origin is None and between is None and distance is None:
        raise OptionError("nothing to align; give an up direction, an origin, or two points and a distance")
    if (between is None) != (distance is None):
        raise OptionError("a known distance needs both: two points (--between) and --distance")
    rotation, scale = np.eye(3), 1.0
    if up is not None:
        length = float(np.linalg.norm(up))
        if not length > 0:
            raise OptionError("the up direction 0,0,0 points nowhere; give another")
        rotation = _smallest_turn(np.asarray(up) / length)
    if between is not None and distance is not None:
        apart = float(np.linalg.norm(np.asarray(between[0]) - np.asarray(between[1])))
        if not apart > 0:
            raise OptionError("the two points coincide; pick two that are apart")
        scale = distance / apart
    matrix = np.eye(4)
    matrix[:3, :3] = scale * rotation
    if origin is not None:
        matrix[:3, 3] = -scale * rotation @ np.asarray(origin)
    return matrix


def _smallest_turn(up: FloatArray) -> FloatArray:
    """(3, 3) rotation of the unit vector ``up`` to +z (Rodrigues' formula)."""
    axis = np.cross(up, [0.0, 0.0, 1.0])
    cosine = float(up[2])
    if cosine < -1.0 + 1e-9:
        return np.diag([1.0, -1.0, -1.0])
    cross = np.array([[0.0, -axis[2], axis[1]], [axis[2], 0.0, -axis[0]], [-axis[1], axis[0], 0.0]])
    return np.asarray(np.eye(3) + cross + cross @ cross / (1.0 + cosine))
