"""Where the Gaussians start: on surfaces found by plane-sweep stereo in the training views themselves."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from ..base import Report, TrainingViews
from .cloud import STATIC_EXTENT, Float32Array, GaussianCloud, SurfacePoints
from .filling import filled_points
from .moving_surfaces import moving_surfaces
from .random_start import CONSISTENT_TRIALS, hull_points, random_points
from .rig import DESPERATE_ANGLE, spread_out
from .still_scene import StillScene, still_scene
from .surfaces import still_surfaces

__all__ = ["GaussianCloud", "initial_gaussians"]

BoolArray = npt.NDArray[np.bool_]

# Share of the Gaussians that move, where there are enough moving points.
MOVING_SHARE = 0.55
# Temporal extent of a moving Gaussian, in sampled timesteps.
EXTENT_IN_STEPS = 0.6
# Standard deviation of a Gaussian, in distances to the nearest other one at its timestep.
SCALE_IN_SPACINGS = 0.8
START_OPACITY = 0.5
# Random points hide the scene behind them, so that they start as faint as in 3DGS (Kerbl et al. 2023).
RANDOM_OPACITY = 0.1
# Stereo failed where it found less than this share of the points wanted.
STEREO_FAILED_SHARE = 0.25
# Share of the Gaussians that may be the capture's own points.
SPARSE_SHARE = 0.4
# Views whose depth maps are swept in a still scene, at most.
STILL_REFERENCES = 64


def initial_gaussians(
    views: TrainingViews,
    count: int,
    seed: int,
    report: Report,
    start: Literal["plane-sweep", "random"],
    time_step: int,
) -> GaussianCloud:
    """At most ``count`` Gaussians to start training from.

    ``plane-sweep`` puts them on surfaces found by stereo, with the velocities seen there; ``random``
    puts them at random depths along random pixels. Moving ones are sought every ``time_step``
    timesteps. Deterministic for a ``seed``.

    Raises:
        Cancelled: from ``report``.
    """
    random = np.random.default_rng(seed)
    scene = still_scene(views, report)
    timesteps = scene.working.timesteps[:: max(1, time_step)]
    if start == "random":
        points = _chosen(_random_everywhere(scene, timesteps, count, random), count, random)
        return _cloud(points, RANDOM_OPACITY, views.times, timesteps)
    # the capture's own points were triangulated from the full images, so they come first
    points = _sparse_points(views)
    points = points.take(random.permutation(len(points))[: round(count * SPARSE_SHARE)])
    found = _stereo_points(scene, timesteps, random, report)
    guessed = _where_stereo_failed(scene, found, timesteps, count, random, report)
    found = _chosen(SurfacePoints.join([found, *guessed]), count - len(points), random)
    return _cloud(SurfacePoints.join([points, found]), START_OPACITY, views.times, timesteps)


def _sparse_points(views: TrainingViews) -> SurfacePoints:
    """The capture's own points, without those at infinity."""
    if views.points is None:
        return SurfacePoints.empty()
    positions = views.points.positions.astype(np.float32)
    points = SurfacePoints(
        positions,
        views.points.colors.astype(np.float32) / np.float32(255.0),
        np.full(len(positions), -1, dtype=np.int64),
        np.zeros_like(positions),
    )
    return points.take(np.flatnonzero(np.isfinite(positions).all(axis=1)))


def _stereo_points(
    scene: StillScene, timesteps: npt.NDArray[np.int64], random: np.random.Generator, report: Report
) -> SurfacePoints:
    working = scene.working
    references = spread_out(working.cameras, STILL_REFERENCES)
    arguments = (working.cameras, scene.images, scene.usable, scene.ranges, references, report)
    found, maps = still_surfaces(*arguments)
    if not maps:
        found, maps = still_surfaces(*arguments, largest_angle=DESPERATE_ANGLE)
    still_pixels = {index: scene.usable[index] & ~scene.moving[index] for index in maps}
    always = dict.fromkeys(maps, -1)
    has_alpha = working.views.has_alpha
    empty = {index: ~scene.usable[index] & has_alpha for index in maps}
    parts = [found]
    if working.is_static_rig and maps:
        parts.append(filled_points(maps, scene.images, still_pixels, scene.ranges, always, empty))
        steps = [int(step) for step in timesteps]
        parts.append(moving_surfaces(working, scene.moving, maps, scene.ranges, steps, report))
    elif len(working.timesteps) > 1:
        # What cameras at different times do not agree on may move, or have no texture: some of each.
        moves = {index: random.random(mask.shape) < MOVING_SHARE for index, mask in still_pixels.items()}
        own = {index: int(working.timesteps_of(index)[0]) for index in maps}
        for chosen, labels in ((True, own), (False, always)):
            wanted = {index: mask & (moves[index] == chosen) for index, mask in still_pixels.items()}
            parts.append(filled_points(maps, scene.images, wanted, scene.ranges, labels, empty))
    else:
        parts.append(filled_points(maps, scene.images, still_pixels, scene.ranges, always, empty))
    points = SurfacePoints.join(parts)
    return points.take(np.flatnonzero(np.isfinite(points.positions).all(axis=1)))


def _where_stereo_failed(
    scene: StillScene,
    found: SurfacePoints,
    timesteps: npt.NDArray[np.int64],
    count: int,
    random: np.random.Generator,
    report: Report,
) -> list[SurfacePoints]:
    """Points for a rig too sparse to match: the most consistent depths, and hulls of what moves."""
    working = scene.working
    moves = working.is_static_rig and any(mask.any() for mask in scene.moving.values())
    moving_count = round(count * MOVING_SHARE) if moves else 0
    still_count = count - moving_count
    parts: list[SurfacePoints] = []
    if np.count_nonzero(found.is_static) < STEREO_FAILED_SHARE * still_count:
        report("Guessing surfaces", 0.0)
        parts.append(
            random_points(
                working.cameras,
                scene.images,
                scene.usable,
                scene.ranges,
                still_count,
                -1,
                random,
                CONSISTENT_TRIALS,
            )
        )
    if np.count_nonzero(~found.is_static) < STEREO_FAILED_SHARE * moving_count:
        share = -(-moving_count // len(timesteps))
        for done, step in enumerate(map(int, timesteps)):
            report("Carving what moves", done / len(timesteps))
            there = [index for index in working.camera_indices if working.has(index, step)]
            images = {index: working.image(index, step) for index in there}
            parts.append(
                hull_points(
                    working.cameras, images, scene.images, scene.moving, scene.ranges, share, step, random
                )
            )
    return parts


def _random_everywhere(
    scene: StillScene, timesteps: npt.NDArray[np.int64], count: int, random: np.random.Generator
) -> SurfacePoints:
    working = scene.working
    is_dynamic = len(timesteps) > 1
    still = round(count * (1.0 - MOVING_SHARE)) if is_dynamic else count
    parts = [random_points(working.cameras, scene.images, scene.usable, scene.ranges, still, -1, random)]
    if is_dynamic:
        share = -(-(count - still) // len(timesteps))
        for step in map(int, timesteps):
            there = [index for index in working.camera_indices if working.has(index, step)]
            images = {index: working.image(index, step) for index in there}
            usable = {index: working.usable(index, step) for index in there}
            parts.append(random_points(working.cameras, images, usable, scene.ranges, share, step, random))
    return SurfacePoints.join(parts)


def _chosen(points: SurfacePoints, count: int, random: np.random.Generator) -> SurfacePoints:
    """A random ``count`` of the points, the moving ones up to their share."""
    moving = random.permutation(np.flatnonzero(~points.is_static))
    still = random.permutation(np.flatnonzero(points.is_static))
    moving_count = min(len(moving), max(round(count * MOVING_SHARE), count - len(still)))
    still_count = min(len(still), count - moving_count)
    return points.take(np.sort(np.concatenate([moving[:moving_count], still[:still_count]])))


def _cloud(
    points: SurfacePoints,
    opacity: float,
    times: npt.NDArray[np.float64],
    timesteps: npt.NDArray[np.int64],
) -> GaussianCloud:
    is_static = points.is_static
    middle = 0.5 * float(times[0] + times[-1]) if len(times) else 0.0
    centers = np.where(is_static, middle, times[np.maximum(points.timesteps, 0)])
    step = float(np.median(np.diff(times[timesteps]))) if len(timesteps) > 1 else STATIC_EXTENT
    extents = np.where(is_static, STATIC_EXTENT, EXTENT_IN_STEPS * step)
    return GaussianCloud(
        positions=points.positions,
        time_centers=centers.astype(np.float32),
        time_extents=extents.astype(np.float32),
        velocities=np.where(is_static[:, None], np.float32(0.0), points.velocities),
        scales=_spacings(points) * np.float32(SCALE_IN_SPACINGS),
        opacities=np.full(len(points), opacity, dtype=np.float32),
        colors=points.colors,
    )


def _spacings(points: SurfacePoints) -> Float32Array:
    """(N,) distance to the nearest other point of the same timestep, without extremes."""
    spacings = np.zeros(len(points), dtype=np.float32)
    for timestep in np.unique(points.timesteps):
        members = np.flatnonzero(points.timesteps == timestep)
        if len(members) < 2:
            continue
        distances, _ = cKDTree(points.positions[members]).query(points.positions[members], k=2)
        spacings[members] = distances[:, 1]
    usual = float(np.median(spacings[spacings > 0])) if (spacings > 0).any() else 1.0
    return np.clip(np.where(spacings > 0, spacings, usual), 0.2 * usual, 5.0 * usual).astype(np.float32)
