"""Points on moving surfaces that several cameras of a static rig agree on, and their velocities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from ...optical_flow import image_flow
from ..base import Report
from .cloud import Float32Array, SurfacePoints
from .motion import SceneFlow, smoothed
from .plane_sweep import DepthMap, compare, sweep, unproject
from .rig import choose_neighbours, middle_depth, spread_out
from .surfaces import NEIGHBOURS, DepthRanges, colored_points
from .working_views import WorkingViews

BoolArray = npt.NDArray[np.bool_]

# Cameras whose depth maps are swept at every sampled timestep.
MOVING_REFERENCES = 6


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
    static if a camera that agrees on it sees nothing move there. Velocities come from the flow of
    the swept cameras' images to the next of ``timesteps``, of the last one to the one before.
    """
    cameras = working.cameras
    references = spread_out({index: cameras[index] for index in still}, MOVING_REFERENCES)
    neighbours = {
        reference: choose_neighbours(reference, cameras, middle_depth(*ranges[reference]), NEIGHBOURS)
        for reference in references
    }
    times = working.views.times
    parts: list[SurfacePoints] = []
    images = working.images_at(timesteps[0])
    previous = images
    for done, timestep in enumerate(timesteps):
        is_last = done + 1 == len(timesteps)
        following = previous if is_last else working.images_at(timesteps[done + 1])
        target = timesteps[done - 1] if is_last else timesteps[done + 1]
        maps: dict[int, DepthMap] = {}
        flows: dict[int, Float32Array] = {}
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
            if reference in following and target != timestep:
                flow = image_flow(images[reference], following[reference])
                flows[reference] = flow / np.float32(times[target] - times[timestep])
        parts.extend(_agreed_points(maps, flows, images, moving, timestep))
        previous, images = images, following
    return SurfacePoints.join(parts)


def _agreed_points(
    maps: Mapping[int, DepthMap],
    flows: Mapping[int, Float32Array],
    images: Mapping[int, Float32Array],
    moving: Mapping[int, BoolArray],
    timestep: int,
) -> Sequence[SurfacePoints]:
    """Moving and still points of one timestep; ``flows`` are in pixels a second."""
    movers: list[SurfacePoints] = []
    parts: list[SurfacePoints] = []
    for reference, depth_map in maps.items():
        wanted = depth_map.confident & moving[reference]
        pixels = np.argwhere(wanted)
        points = unproject(depth_map.camera, pixels, depth_map.depth[wanted])
        scene_flow = SceneFlow(points)
        if reference in flows:
            scene_flow.add(depth_map.camera, flows[reference], np.ones(len(points), dtype=bool), pixels)
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
            if other in flows:
                scene_flow.add(other_map.camera, flows[other], comparison.agrees, comparison.pixels)
        accepted = (agreements > 0) & (contradictions < agreements)
        moves, rests = accepted & ~stands_still, accepted & stands_still
        image = images[reference]
        velocities = scene_flow.displacements()[moves]
        movers.append(colored_points(points[moves], image, pixels[moves], timestep, velocities))
        parts.append(colored_points(points[rests], image, pixels[rests], -1))
    joined = SurfacePoints.join(movers)
    return [*parts, replace(joined, velocities=smoothed(joined.positions, joined.velocities))]
