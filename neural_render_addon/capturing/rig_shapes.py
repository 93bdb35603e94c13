"""Where the cameras of a rig stand, and how they look at what they film. No ``bpy``.

The world is Blender's, z up. Angles are in radians: a heading of 0 stands before the subject (at -y, as
Blender's front view does) and grows counter-clockwise seen from above; an elevation of 0 is level with it.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

# Turning by this from one point to the next spreads points evenly over a sphere of equal-area bands
# (the golden angle: Swinbank and Purser 2006, "Fibonacci grids: A novel approach to global modelling").
GOLDEN_ANGLE = math.pi * (3.0 - math.sqrt(5.0))

# A camera that looks along z within this (cosine of 0.03 degrees) takes y for up.
PARALLEL = 1.0 - 1e-7


def directions(heading: npt.ArrayLike, elevation: npt.ArrayLike) -> FloatArray:
    """(N, 3) unit vectors from the subject to cameras at these headings and elevations."""
    heading, elevation = np.broadcast_arrays(
        np.asarray(heading, dtype=np.float64), np.asarray(elevation, dtype=np.float64)
    )
    level = np.cos(elevation)
    return np.stack([level * np.sin(heading), -level * np.cos(heading), np.sin(elevation)], axis=-1)


def arc(count: int, radius: float, angle: float, heading: float, elevation: float) -> FloatArray:
    """(count, 3) offsets from the subject, evenly over ``angle`` with its middle at ``heading``."""
    turns = np.linspace(-0.5, 0.5, count) * angle if count > 1 else np.zeros(1)
    return radius * directions(heading + turns, elevation)


def ring(count: int, radius: float, heading: float, elevation: float) -> FloatArray:
    """(count, 3) offsets from the subject, evenly over the full circle from ``heading`` on."""
    return radius * directions(heading + np.arange(count) * 2.0 * math.pi / count, elevation)


def dome(count: int, radius: float, heading: float, lowest: float) -> FloatArray:
    """(count, 3) offsets from the subject, evenly over the sphere from elevation ``lowest`` to the zenith."""
    bottom = math.sin(lowest)
    height = bottom + (1.0 - bottom) * (np.arange(count) + 0.5) / count
    return radius * directions(heading + np.arange(count) * GOLDEN_ANGLE, np.arcsin(height))


def grid(
    columns: int, rows: int, radius: float, spacing: float, heading: float, elevation: float
) -> FloatArray:
    """(columns * rows, 3) offsets from the subject, on a plane that faces it at the distance ``radius``.

    Row by row from the top, ``spacing`` units between neighbours.
    """
    centre = directions(heading, elevation)
    pose = look_at(centre, np.zeros(3))
    x = (np.arange(columns) - 0.5 * (columns - 1)) * spacing
    y = (0.5 * (rows - 1) - np.arange(rows)) * spacing
    right, up = pose[:3, 0], pose[:3, 1]
    offsets = radius * centre + y[:, None, None] * up + x[None, :, None] * right
    return np.asarray(offsets.reshape(-1, 3))


def look_at(position: npt.ArrayLike, target: npt.ArrayLike) -> FloatArray:
    """(4, 4) camera-to-world at ``position``, looking at ``target``, with z upwards in the picture.

    A camera exactly above or below has y upwards; one exactly at the target looks along y.
    """
    position, target = np.asarray(position, dtype=np.float64), np.asarray(target, dtype=np.float64)
    back = position - target
    distance = float(np.linalg.norm(back))
    back = back / distance if distance > 0.0 else np.array([0.0, -1.0, 0.0])
    up = np.array([0.0, 1.0, 0.0]) if abs(back[2]) > PARALLEL else np.array([0.0, 0.0, 1.0])
    right = np.cross(up, back)
    right /= np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3, 0], pose[:3, 1], pose[:3, 2], pose[:3, 3] = right, np.cross(back, right), back, position
    return pose


def even_places(positions: npt.ArrayLike, count: int) -> FloatArray:
    """(count,) places along a path of positions (N, 3), as fractional indices, equally far apart on it.

    The first is 0 and the last N - 1. On a path that does not move they are equally far apart in index.
    """
    positions = np.asarray(positions, dtype=np.float64)
    last = len(positions) - 1
    steps = np.linalg.norm(np.diff(positions, axis=0), axis=1)
    travelled = np.concatenate([[0.0], np.cumsum(steps)])
    if travelled[-1] == 0.0:
        return np.linspace(0.0, last, count)
    wanted = np.linspace(0.0, travelled[-1], count)
    # np.interp needs growing abscissae: of places at one distance (the camera rests) the first is kept.
    moving = np.concatenate([[True], steps > 0.0])
    return np.interp(wanted, travelled[moving], np.flatnonzero(moving).astype(np.float64))
