"""Points on the surfaces that several cameras agree on: what stands still, and what moves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from ...cameras import Camera
from ..base import Report
from .cloud import Float32Array, SurfacePoints
from .plane_sweep import DepthMap, compare, sweep, unproject
from .rig import choose_neighbours, middle_depth, spread_out
from .working_views import WorkingViews

BoolArray = npt.NDArray[np.bool_]
DepthRanges = Mapping[int, tuple[float, float]]

# Images that each reference image is compared with.
NEIGHBOURS = 4
# Cameras whose depth maps are swept at every sampled timestep.
MOVING_REFERENCES = 6
# Depth maps that each point is checked against.
CHECKS = 8


def still_surfaces(
    cameras: Mapping[int, Camera],
    images: Mapping[int, Float32Array],
    usable: Mapping[int, BoolArray],
    ranges: DepthRanges,
    references: Sequence[int],
    report: Report,
    agreements_needed: int | None = None,
) -> tuple[SurfacePoints, dict[int, DepthMap]]:
    """Points of a scene that stands still, and the depth map of every reference camera.

    ``images`` and ``usable`` are keyed by camera. Unless ``agreements_needed`` says otherwise, with
    eight or more depth maps a point needs the agreement of two others, with fewer of one; and always
    more agreements than contradictions.
    """
    maps: dict[int, DepthMap] = {}
    for done, reference in enumerate(references):
        report("Finding surfaces", done / len(references))
        near, far = ranges[reference]
        neighbours = choose_neighbours(reference, cameras, middle_depth(near, far), NEIGHBOURS)
        if neighbours:
            maps[reference] = sweep(
                cameras[reference],
                images[reference],
                [cameras[index] for index in neighbours],
                [images[index] for index in neighbours],
                near,
                far,
                usable[reference],
            )
    needed = agreements_needed or (2 if len(maps) >= 8 else 1)
    parts: list[SurfacePoints] = []
    swept = {index: cameras[index] for index in maps}
    for done, (reference, depth_map) in enumerate(maps.items()):
        report("Comparing surfaces", done / len(maps))
        pixels = np.argwhere(depth_map.confident)
        points = unproject(depth_map.camera, pixels, depth_map.depth[depth_map.confident])
        agreements = np.zeros(len(points), dtype=np.int64)
        contradictions = np.zeros(len(points), dtype=np.int64)
        for other in choose_neighbours(reference, swept, middle_depth(*ranges[reference]), CHECKS):
            comparison = compare(points, maps[other])
            agreements += comparison.agrees
            contradictions += comparison.contradicts
        accepted = (agreements >= needed) & (contradictions < agreements)
        parts.append(colored_points(points[accepted], images[reference], pixels[accepted], -1))
    return SurfacePoints.join(parts), maps


def moving_surfaces(
    working: WorkingViews,
    moving: Mapping[int, BoolArray],
    still: Mapping[int, DepthMap],
    ranges: DepthRanges,
    timesteps: Sequence[int],
    report: Report,
) -> SurfacePoints:
    """Points of what moves at each of ``timesteps``, and of what moving things uncover (static).

    Only pixels that move are swept; the rest of each depth map is the still scene's. A point is
    static if a camera that agrees on it sees nothing move there.
    """
    cameras = working.cameras
    references = spread_out({index: cameras[index] for index in still}, MOVING_REFERENCES)
    neighbours = {
        reference: choose_neighbours(reference, cameras, middle_depth(*ranges[reference]), NEIGHBOURS)
        for reference in references
    }
    parts: list[SurfacePoints] = []
    for done, timestep in enumerate(timesteps):
        images = {index: working.image(index, timestep) for index in cameras if working.has(index, timestep)}
        maps: dict[int, DepthMap] = {}
        for reference in references:
            report("Finding what moves in depth", done / len(timesteps))
            others = [index for index in neighbours[reference] if index in images]
            if reference not in images or not others:
                continue
            near, far = ranges[reference]
            found = sweep(
                cameras[reference],
                images[reference],
                [cameras[index] for index in others],
                [images[index] for index in others],
                near,
                far,
                moving[reference] & working.usable(reference, timestep),
            )
            maps[reference] = DepthMap(
                found.camera,
                np.where(moving[reference], found.depth, still[reference].depth),
                np.where(moving[reference], found.confident, still[reference].confident),
            )
        parts.extend(_agreed_moving(maps, images, moving, timestep))
    return SurfacePoints.join(parts)


def _agreed_moving(
    maps: Mapping[int, DepthMap],
    images: Mapping[int, Float32Array],
    moving: Mapping[int, BoolArray],
    timestep: int,
) -> Sequence[SurfacePoints]:
    parts: list[SurfacePoints] = []
    for reference, depth_map in maps.items():
        wanted = depth_map.confident & moving[reference]
        pixels = np.argwhere(wanted)
        points = unproject(depth_map.camera, pixels, depth_map.depth[wanted])
        agreements = np.zeros(len(points), dtype=np.int64)
        contradictions = np.zeros(len(points), dtype=np.int64)
        stands_still = np.zeros(len(points), dtype=bool)
        for other, other_map in maps.items():
            if other == reference:
                continue
            comparison = compare(points, other_map)
            agreements += comparison.agrees
            contradictions += comparison.contradicts
            row, column = comparison.pixels.T
            stands_still |= comparison.agrees & ~moving[other][row, column]
        accepted = (agreements > 0) & (contradictions < agreements)
        for still, label in ((False, timestep), (True, -1)):
            chosen = accepted & (stands_still == still)
            parts.append(colored_points(points[chosen], images[reference], pixels[chosen], label))
    return parts


def colored_points(
    positions: npt.NDArray[np.float64],
    image: Float32Array,
    pixels: npt.NDArray[np.int64],
    timestep: int,
) -> SurfacePoints:
    """Points (N, 3) with the colours that ``image`` (H, W, C) has at ``pixels`` (N, 2) (row, column)."""
    color = image[pixels[:, 0], pixels[:, 1]]
    if color.shape[1] == 4:  # premultiplied
        color = (color[:, :3] / np.maximum(color[:, 3:], 1.0 / 255.0)).astype(np.float32)
    return SurfacePoints(
        positions.astype(np.float32),
        np.clip(color[:, :3], 0.0, 1.0).astype(np.float32),
        np.full(len(positions), timestep, dtype=np.int64),
    )
