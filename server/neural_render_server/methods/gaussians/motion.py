"""Velocities of points that were found anew at every sampled timestep."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from ..base import Report
from .cloud import Float32Array, SurfacePoints

# Colour counts beside position when a point is sought again: this many scene radii for the whole range.
COLOR_WEIGHT = 0.07
# A velocity is the median over this many neighbouring points.
SMOOTHING_NEIGHBOURS = 9


def nearest_point_velocities(
    points: SurfacePoints, times: npt.NDArray[np.float64], report: Report
) -> Float32Array:
    """(N, 3) velocity of every moving point, in units a second; static points rest.

    A point goes to the one nearest in position and colour at the next sampled timestep (the last
    timestep looks back), and takes the median of its neighbours' displacements.
    """
    velocities = np.zeros((len(points), 3), dtype=np.float32)
    steps = np.unique(points.timesteps[~points.is_static])
    if len(steps) < 2:
        return velocities
    positions = points.positions[~points.is_static]
    radius = float(np.median(np.linalg.norm(positions - np.median(positions, axis=0), axis=1)))
    features = np.concatenate([points.positions, points.colors * np.float32(COLOR_WEIGHT * radius)], axis=1)
    members = {int(step): np.flatnonzero(points.timesteps == step) for step in steps}
    for done, step in enumerate(steps):
        report("Following what moves", done / len(steps))
        target = steps[done + 1] if done + 1 < len(steps) else steps[done - 1]
        here, there = members[int(step)], members[int(target)]
        _, found = cKDTree(features[there]).query(features[here])
        displacement = points.positions[there[found]] - points.positions[here]
        near = min(SMOOTHING_NEIGHBOURS, len(here))
        _, neighbours = cKDTree(points.positions[here]).query(points.positions[here], k=near)
        smooth = np.median(displacement[np.reshape(neighbours, (len(here), near))], axis=1)
        velocities[here] = smooth / np.float32(times[target] - times[step])
    return velocities
