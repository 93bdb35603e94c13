"""Points where stereo sees no texture to match: the depth there continues that of what surrounds it."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np
import numpy.typing as npt

from .cloud import Float32Array, SurfacePoints
from .plane_sweep import DepthMap, compare, unproject
from .rig import middle_depth
from .surfaces import DepthRanges, cameras_to_check, colored_points

BoolArray = npt.NDArray[np.bool_]

# A map with fewer known pixels than this share says too little about the rest.
FEWEST_KNOWN = 0.02


def filled_depth(depth: Float32Array, known: BoolArray) -> Float32Array:
    """``depth`` (H, W) with its unknown pixels filled in smoothly, in inverse depth.

    Pull-push (Gortler et al., "The lumigraph", 1996): averages of known pixels on ever coarser
    levels, then back down wherever a level knows nothing. Linear inverse depth is a plane in space.

    ``known`` has at least one pixel.
    """
    weight = known.astype(np.float32)
    value = np.where(known, 1.0 / np.where(known, depth, 1.0), 0.0).astype(np.float32)
    levels = [(value, weight)]
    while max(weight.shape) > 1:
        size = (max(1, (weight.shape[1] + 1) // 2), max(1, (weight.shape[0] + 1) // 2))
        total = np.asarray(cv2.resize(value * weight, size, interpolation=cv2.INTER_AREA))
        weight = np.asarray(cv2.resize(weight, size, interpolation=cv2.INTER_AREA))
        value = (total / np.maximum(weight, 1e-12)).astype(np.float32)
        # A quarter of the pixels known is as good as all: holes are filled by the finest level that knows.
        weight = np.minimum(weight * 4.0, 1.0).astype(np.float32)
        levels.append((value, weight))
    filled = levels[-1][0]
    for value, weight in levels[-2::-1]:
        coarse = cv2.resize(filled, weight.shape[::-1], interpolation=cv2.INTER_LINEAR)
        filled = (weight * value + (1.0 - weight) * coarse).astype(np.float32)
    return np.asarray(1.0 / filled, dtype=np.float32)


def filled_points(
    maps: Mapping[int, DepthMap],
    images: Mapping[int, Float32Array],
    wanted: Mapping[int, BoolArray],
    ranges: DepthRanges,
    timesteps: Mapping[int, int],
    empty: Mapping[int, BoolArray],
) -> SurfacePoints:
    """Points at the ``wanted`` (H, W) pixels of each camera's depth map that it knows nothing certain about.

    What another camera sees through is left out, and what it sees as ``empty`` (H, W). ``timesteps``
    labels each camera's points (-1: static).
    """
    cameras = {index: depth_map.camera for index, depth_map in maps.items()}
    parts: list[SurfacePoints] = []
    for index, depth_map in maps.items():
        if depth_map.confident.mean() < FEWEST_KNOWN:
            continue
        depth = filled_depth(depth_map.depth, depth_map.confident)
        pixels = np.argwhere(wanted[index] & ~depth_map.confident)
        points = unproject(depth_map.camera, pixels, depth[pixels[:, 0], pixels[:, 1]])
        possible = np.ones(len(points), dtype=bool)
        for other in cameras_to_check(index, cameras, middle_depth(*ranges[index])):
            comparison = compare(points, maps[other])
            row, column = comparison.pixels.T
            possible &= ~comparison.contradicts & ~(comparison.in_view & empty[other][row, column])
        parts.append(colored_points(points[possible], images[index], pixels[possible], timesteps[index]))
    return SurfacePoints.join(parts)
