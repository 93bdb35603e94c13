"""Points without stereo: pixels of the cameras at depths that no other camera contradicts too much.

For rigs too sparse to match, and (with depths wholly random) to compare the stereo start with.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from ...cameras import Camera
from ...kernels.stereo import COST_LIMIT
from .cloud import Float32Array, SurfacePoints
from .plane_sweep import locate, unproject
from .surfaces import DepthRanges, colored_points

BoolArray = npt.NDArray[np.bool_]


# Depths tried along a pixel's ray when the most consistent one is wanted.
CONSISTENT_TRIALS = 24
# Depths tried along a ray for the front of the visual hull.
HULL_TRIALS = 64
# A pixel shows something moving where it differs by more than this from the still image (sum of channels).
FOREGROUND_DIFFERENCE = 0.15
# More than any number of cameras that see no difference can average out.
_BLOCKING_COST = 1e6


def random_points(
    cameras: Mapping[int, Camera],
    images: Mapping[int, Float32Array],
    usable: Mapping[int, BoolArray],
    ranges: DepthRanges,
    count: int,
    timestep: int,
    random: np.random.Generator,
    trials: int = 1,
) -> SurfacePoints:
    """About ``count`` points with the colours of random usable pixels.

    Of ``trials`` depths, stratified in inverse depth, each takes the one at which the other cameras
    see the most similar colours.
    """
    share = -(-count // max(len(images), 1))
    parts: list[SurfacePoints] = []
    for index, image in images.items():
        candidates = np.argwhere(usable[index])
        if not len(candidates):
            continue
        pixels = candidates[random.integers(len(candidates), size=share)]
        depths = _stratified_depths(ranges[index], share, trials, random)
        cost = np.zeros(depths.shape)
        if trials > 1:
            others = [other for other in images if other != index]
            wanted = image[pixels[:, 0], pixels[:, 1]]
            for trial in range(trials):
                positions = unproject(cameras[index], pixels, depths[:, trial])
                cost[:, trial] = _color_difference(positions, wanted, cameras, images, ranges, others)
        chosen = np.take_along_axis(depths, cost.argmin(axis=1)[:, None], axis=1)[:, 0]
        parts.append(colored_points(unproject(cameras[index], pixels, chosen), image, pixels, timestep))
    points = SurfacePoints.join(parts)
    return points.take(random.permutation(len(points))[:count])


def hull_points(
    cameras: Mapping[int, Camera],
    images: Mapping[int, Float32Array],
    still: Mapping[int, Float32Array],
    moving: Mapping[int, BoolArray],
    ranges: DepthRanges,
    count: int,
    timestep: int,
    random: np.random.Generator,
) -> SurfacePoints:
    """About ``count`` points on the visual hull of what moves at ``timestep``.

    A pixel that differs from its camera's still image sees the hull where its ray first passes
    through a place that all cameras facing it (two others at least, if there are) see as different.
    """
    foreground = {
        index: moving[index] & (np.abs(image - still[index]).sum(axis=-1) > FOREGROUND_DIFFERENCE)
        for index, image in images.items()
    }
    pixel_count = sum(int(np.count_nonzero(mask)) for mask in foreground.values())
    needed = min(2, len(images) - 1)
    parts: list[SurfacePoints] = []
    for index, image in images.items():
        candidates = np.argwhere(foreground[index])
        share = min(len(candidates), -(-2 * count * len(candidates) // max(pixel_count, 1)))
        if not share or not needed:
            continue
        pixels = random.permutation(candidates)[:share]
        depths = np.sort(_stratified_depths(ranges[index], share, HULL_TRIALS, random), axis=1)
        inside = np.zeros(depths.shape, dtype=bool)
        for trial in range(HULL_TRIALS):
            positions = unproject(cameras[index], pixels, depths[:, trial])
            seen = np.zeros(share, dtype=np.int64)
            missed = np.zeros(share, dtype=bool)
            for other in images:
                if other != index:
                    in_view, row, column, _ = locate(positions, cameras[other])
                    seen += in_view
                    missed |= in_view & ~foreground[other][row, column]
            inside[:, trial] = (seen >= needed) & ~missed
        hit = inside.any(axis=1)
        front = np.take_along_axis(depths, inside.argmax(axis=1)[:, None], axis=1)[:, 0]
        positions = unproject(cameras[index], pixels[hit], front[hit])
        parts.append(colored_points(positions, image, pixels[hit], timestep))
    points = SurfacePoints.join(parts)
    return points.take(random.permutation(len(points))[:count])


def _stratified_depths(
    depth_range: tuple[float, float], count: int, trials: int, random: np.random.Generator
) -> npt.NDArray[np.float64]:
    """(count, trials) depths from near to far or far to near, one in each of equal steps of inverse depth."""
    near, far = depth_range
    part = (np.arange(trials) + random.uniform(size=(count, trials))) / trials
    return np.asarray(1.0 / (1.0 / far + part * (1.0 / near - 1.0 / far)))


def _color_difference(
    positions: npt.NDArray[np.float64],
    wanted: Float32Array,
    cameras: Mapping[int, Camera],
    images: Mapping[int, Float32Array],
    ranges: DepthRanges,
    others: list[int],
) -> npt.NDArray[np.float64]:
    """(N,) mean truncated difference to the cameras that see each position, COST_LIMIT where none does.

    What would stand right before another camera costs more than anything else.
    """
    total, count = np.zeros(len(positions)), np.zeros(len(positions))
    for other in others:
        in_view, row, column, depth = locate(positions, cameras[other])
        difference = np.minimum(np.abs(images[other][row, column] - wanted).sum(axis=1), COST_LIMIT)
        total += in_view * np.where(depth < ranges[other][0], _BLOCKING_COST, difference)
        count += in_view
    return np.where(count > 0, total / np.maximum(count, 1.0), COST_LIMIT)
