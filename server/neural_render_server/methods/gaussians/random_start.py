"""Points without stereo: pixels of the cameras at random depths, for comparison and where stereo fails."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from ...cameras import Camera
from .cloud import Float32Array, SurfacePoints
from .plane_sweep import unproject
from .surfaces import DepthRanges, _points

BoolArray = npt.NDArray[np.bool_]


def random_points(
    cameras: Mapping[int, Camera],
    images: Mapping[int, Float32Array],
    usable: Mapping[int, BoolArray],
    ranges: DepthRanges,
    count: int,
    timestep: int,
    random: np.random.Generator,
) -> SurfacePoints:
    """About ``count`` points with the colours of random usable pixels, at depths uniform in inverse depth."""
    share = -(-count // max(len(images), 1))
    parts: list[SurfacePoints] = []
    for index, image in images.items():
        candidates = np.argwhere(usable[index])
        if not len(candidates):
            continue
        pixels = candidates[random.integers(len(candidates), size=share)]
        near, far = ranges[index]
        depth = 1.0 / random.uniform(1.0 / far, 1.0 / near, size=share)
        parts.append(_points(unproject(cameras[index], pixels, depth), image, pixels, timestep))
    points = SurfacePoints.join(parts)
    return points.take(random.permutation(len(points))[:count])
