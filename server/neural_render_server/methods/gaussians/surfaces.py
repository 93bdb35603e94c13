"""Points on still surfaces that several cameras agree on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from ...cameras import Camera
from ..base import Report
from .cloud import Float32Array, SurfacePoints
from .plane_sweep import DepthMap, compare, sweep, unproject
from .rig import LARGEST_ANGLE, choose_neighbours, middle_depth

BoolArray = npt.NDArray[np.bool_]
DepthRanges = Mapping[int, tuple[float, float]]

# Images that each reference image is compared with.
NEIGHBOURS = 4
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
    largest_angle: float = LARGEST_ANGLE,
) -> tuple[SurfacePoints, dict[int, DepthMap]]:
    """Points of a scene that stands still, and every reference camera's depth map, confident at the points.

    ``images`` and ``usable`` are keyed by camera. Unless ``agreements_needed`` says otherwise, with
    eight or more depth maps a point needs the agreement of two others, with fewer of one; and always
    more agreements than contradictions.
    """
    maps: dict[int, DepthMap] = {}
    for done, reference in enumerate(references):
        report("Finding surfaces", done / len(references))
        near, far = ranges[reference]
        neighbours = choose_neighbours(reference, cameras, middle_depth(near, far), NEIGHBOURS, largest_angle)
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
    checked: dict[int, DepthMap] = {}
    for done, (reference, depth_map) in enumerate(maps.items()):
        report("Comparing surfaces", done / len(maps))
        pixels = np.argwhere(depth_map.confident)
        points = unproject(depth_map.camera, pixels, depth_map.depth[depth_map.confident])
        agreements = np.zeros(len(points), dtype=np.int64)
        contradictions = np.zeros(len(points), dtype=np.int64)
        for other in cameras_to_check(reference, swept, middle_depth(*ranges[reference])):
            comparison = compare(points, maps[other])
            agreements += comparison.agrees
            contradictions += comparison.contradicts
        accepted = (agreements >= needed) & (contradictions < agreements)
        parts.append(colored_points(points[accepted], images[reference], pixels[accepted], -1))
        confident = np.zeros_like(depth_map.confident)
        confident[pixels[accepted, 0], pixels[accepted, 1]] = True
        checked[reference] = replace(depth_map, confident=confident)
    return SurfacePoints.join(parts), checked


def cameras_to_check(reference: int, cameras: Mapping[int, Camera], depth: float) -> Sequence[int]:
    """The cameras to check a reference's points against: the nearest of many, all of a few.

    A few may face the scene from all sides, and a wrong point of one then stands before another.
    """
    if len(cameras) <= CHECKS + 1:
        return [index for index in cameras if index != reference]
    return choose_neighbours(reference, cameras, depth, CHECKS)


def colored_points(
    positions: npt.NDArray[np.float64],
    image: Float32Array,
    pixels: npt.NDArray[np.int64],
    timestep: int,
    velocities: npt.NDArray[np.float64] | None = None,
) -> SurfacePoints:
    """Points (N, 3) with the colours that ``image`` (H, W, C) has at ``pixels`` (N, 2) (row, column)."""
    color = image[pixels[:, 0], pixels[:, 1]]
    if color.shape[1] == 4:  # premultiplied
        color = (color[:, :3] / np.maximum(color[:, 3:], 1.0 / 255.0)).astype(np.float32)
    return SurfacePoints(
        positions.astype(np.float32),
        np.clip(color[:, :3], 0.0, 1.0).astype(np.float32),
        np.full(len(positions), timestep, dtype=np.int64),
        np.zeros_like(positions, dtype=np.float32) if velocities is None else velocities.astype(np.float32),
    )
