"""What the arrangement of cameras tells: which to compare with which, and how deep the scene is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from ...cameras import Camera

FloatArray = npt.NDArray[np.float64]

# The angle between two viewing rays that matches best: less gives poor depth, more different pictures.
BEST_ANGLE = np.radians(10.0)
# Outside these a pair is of no use for matching (a flat surface at 45 degrees is half as wide).
LEAST_ANGLE, LARGEST_ANGLE = np.radians(0.7), np.radians(45.0)
# With nothing nearer, a pair this far apart still matches in part, and better than no depth at all.
DESPERATE_ANGLE = np.radians(75.0)
# A second neighbour this close to a first one adds nothing to it.
DISTINCT_ANGLE = np.radians(2.0)


def middle_depth(near: float, far: float) -> float:
    """The depth in the middle of the range in inverse depth, where a rig usually looks."""
    return 2.0 / (1.0 / near + 1.0 / far)


def choose_neighbours(
    reference: int,
    cameras: Mapping[int, Camera],
    depth: float,
    count: int,
    largest_angle: float = LARGEST_ANGLE,
) -> Sequence[int]:
    """The cameras to compare with ``reference``, best first, at most ``count``.

    They see the point ``depth`` in front of the reference camera, by rays that make an angle near
    ``BEST_ANGLE`` with its own, and lie in different directions from one another.
    """
    camera = cameras[reference]
    target = camera.position + depth * camera.forward
    own_ray = _unit(camera.position - target)
    rated: list[tuple[float, int, FloatArray]] = []
    for index, other in cameras.items():
        if index == reference:
            continue
        pixel, target_depth = other.project(target[None])
        size = np.array([other.width, other.height])
        in_frame = bool(np.all(np.abs(pixel[0] / size - 0.5) < 0.75))
        ray = _unit(other.position - target)
        angle = float(np.arccos(np.clip(ray @ own_ray, -1.0, 1.0)))
        if target_depth[0] > 0 and in_frame and LEAST_ANGLE < angle < largest_angle:
            rated.append((abs(float(np.log(angle / BEST_ANGLE))), index, ray))
    rated.sort(key=lambda item: item[:2])
    chosen: list[tuple[int, FloatArray]] = []
    for _, index, ray in rated:
        if len(chosen) < count and all(ray @ seen < np.cos(DISTINCT_ANGLE) for _, seen in chosen):
            chosen.append((index, ray))
    return [index for index, _ in chosen]


def two_sides(reference: Camera, others: Sequence[Camera]) -> npt.NDArray[np.int64]:
    """(S,) group 0 or 1: which side of the reference camera each other one lies on.

    The sides are halves along the direction in which the others are spread most.
    """
    offsets = np.array(
        [reference.camera_to_world[:3, :3].T @ (c.position - reference.position) for c in others]
    )
    spread = offsets[:, :2]
    _, axes = np.linalg.eigh(spread.T @ spread)
    order = np.argsort(spread @ axes[:, -1], kind="stable")
    groups = np.zeros(len(others), dtype=np.int64)
    groups[order[len(others) // 2 :]] = 1
    return groups


def spread_out(cameras: Mapping[int, Camera], count: int) -> Sequence[int]:
    """``count`` cameras far from one another (farthest-point sampling), in ascending order."""
    indices = list(cameras)
    if len(indices) <= count:
        return indices
    positions = np.array([cameras[index].position for index in indices])
    chosen = [int(np.argmin(np.linalg.norm(positions - positions.mean(axis=0), axis=1)))]
    distance = np.linalg.norm(positions - positions[chosen[0]], axis=1)
    while len(chosen) < count:
        chosen.append(int(np.argmax(distance)))
        distance = np.minimum(distance, np.linalg.norm(positions - positions[chosen[-1]], axis=1))
    return sorted(indices[index] for index in chosen)


def focus_point(cameras: Sequence[Camera]) -> FloatArray | None:
    """The point nearest to all optical axes, or None where the axes do not meet in front of the rig."""
    if len(cameras) < 2:
        return None
    directions = np.array([camera.forward for camera in cameras])
    positions = np.array([camera.position for camera in cameras])
    projectors = np.eye(3) - directions[:, :, None] * directions[:, None, :]
    system = projectors.sum(axis=0)
    # Nearly parallel axes leave one direction undetermined; 1e-3 is axes within about two degrees.
    if np.linalg.eigvalsh(system)[0] < 1e-3 * len(cameras):
        return None
    point: FloatArray = np.linalg.solve(system, np.einsum("nij,nj->i", projectors, positions))
    depths = np.einsum("ni,ni->n", point - positions, directions)
    return point if np.mean(depths > 0) > 0.8 else None


def guessed_depth_range(cameras: Sequence[Camera], is_object: bool) -> FloatArray:
    """(C, 2) near and far of each camera from nothing but where the cameras stand, generously wide.

    Where the optical axes meet, distances to that point count; else the distance between cameras.
    ``is_object`` says that only an object at the focus matters (the rest is transparent).
    """
    positions = np.array([camera.position for camera in cameras])
    point = focus_point(cameras)
    if point is not None:
        distance = np.array([(point - c.position) @ c.forward for c in cameras])
        distance = np.maximum(distance, 0.3 * np.median(distance))
        # Cameras seldom come nearer to a thing than a fifth of the distance to their common focus.
        return np.stack([0.2 * distance, (3.0 if is_object else 15.0) * distance], axis=1)
    apart = np.linalg.norm(positions[:, None] - positions[None], axis=-1)
    np.fill_diagonal(apart, np.inf)
    nearest = float(np.median(apart.min(axis=1))) if len(cameras) > 1 else 1.0
    # Neighbours 45 to 0.5 degrees apart as the scene sees them.
    return np.tile([nearest * 1.3, nearest * 120.0], (len(cameras), 1))


def likely_depth_range(cameras: Sequence[Camera]) -> FloatArray:
    """(C, 2) near and far where most of a scene is likely to lie, if nothing can be measured."""
    point = focus_point(cameras)
    if point is None:
        return guessed_depth_range(cameras, is_object=False)
    distance = np.array([(point - c.position) @ c.forward for c in cameras])
    distance = np.maximum(distance, 0.3 * np.median(distance))
    # A room or stage: nothing nearer than halfway to what is looked at, walls a few times as far.
    return np.stack([0.5 * distance, 4.0 * distance], axis=1)


def depth_range_of_points(
    cameras: Sequence[Camera], positions: npt.ArrayLike, fallback: FloatArray
) -> FloatArray:
    """(C, 2) near and far that hold the points each camera sees, a little widened.

    Cameras that see fewer than 20 points keep their ``fallback`` (C, 2).
    """
    result = np.array(fallback, dtype=np.float64)
    for row, camera in enumerate(cameras):
        pixels, depth = camera.project(positions)
        with np.errstate(invalid="ignore"):
            seen = (depth > 0) & np.all((pixels >= 0) & (pixels <= [camera.width, camera.height]), axis=1)
        if np.count_nonzero(seen) >= 20:
            near, far = np.percentile(depth[seen], [0.5, 99.5])
            result[row] = 0.75 * near, 1.5 * far
    return result


def _unit(vector: FloatArray) -> FloatArray:
    result: FloatArray = vector / max(float(np.linalg.norm(vector)), 1e-12)
    return result
