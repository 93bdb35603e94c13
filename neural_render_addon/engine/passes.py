"""Several fields' pictures into one, and the passes that follow from its depth. No ``bpy``.

Pictures are (height, width, channels), rows from the top, float32.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from ..cameras.projections import Projection

Picture = npt.NDArray[np.float32]
FloatArray = npt.NDArray[np.float64]

# Blender's own depth where nothing is, and where a depth counts as nothing.
EMPTY_DEPTH = 1e10
NO_DEPTH = 1e9


@dataclass(frozen=True, eq=False)
class Layer:
    """One field's premultiplied ``combined`` (H, W, 4), ``depth`` (H, W) in scene units, and by name its
    ``mattes`` (H, W): what of its alpha lies in a crop object. ``motion`` (H, W, 3) is the velocity of what
    is seen within the field, in capture units a second and capture axes, where it was asked for.
    """

    combined: Picture
    depth: Picture
    mattes: Mapping[str, Picture] = field(default_factory=dict)
    motion: Picture | None = None


@dataclass(frozen=True, eq=False)
class Merged:
    """All fields in one: ``nearest`` (H, W) is the index of the one that gives the depth."""

    combined: Picture
    depth: Picture
    nearest: npt.NDArray[np.intp]
    mattes: Mapping[str, Picture] = field(default_factory=dict)


def merge(layers: Sequence[Layer]) -> Merged:
    """Each pixel's layers over one another by depth.

    A layer is taken as one thing a pixel: fields that reach through each other are sorted by the
    depth that they have there, not mixed along the ray.
    """
    if len(layers) == 1:
        only = layers[0]
        return Merged(only.combined, only.depth, np.zeros(only.depth.shape, dtype=np.intp), only.mattes)
    depths = np.stack([layer.depth for layer in layers])
    order = np.argsort(depths, axis=0, kind="stable")
    colors = np.stack([layer.combined for layer in layers])
    combined = np.zeros_like(colors[0])
    through = np.zeros_like(depths)  # what is seen of each layer
    for place in order:
        np.put_along_axis(through, place[None], 1.0 - combined[None, ..., 3], axis=0)
        here = np.take_along_axis(colors, place[None, :, :, None], axis=0)[0]
        combined += (1.0 - combined[..., 3:]) * here
    mattes: dict[str, Picture] = {}
    for layer, seen in zip(layers, through, strict=True):
        for name, matte in layer.mattes.items():
            mattes[name] = mattes.get(name, np.float32(0.0)) + seen * matte
    return Merged(combined, np.take_along_axis(depths, order[:1], axis=0)[0], order[0], mattes)


def mist(
    combined: Picture, depth: Picture, projection: Projection, start: float, reach: float, falloff: str
) -> Picture:
    """(H, W, 1) Blender's mist as Cycles has it: 0 before ``start``, 1 from ``start + reach`` on.

    ``falloff`` is the world's: QUADRATIC, LINEAR or INVERSE_QUADRATIC. Where there is nothing it is 1.
    """
    distance = np.linalg.norm(projection.points(np.where(depth < NO_DEPTH, depth, 0.0)), axis=-1)
    if projection.model == "ORTHOGRAPHIC":
        distance = depth.astype(np.float64)
    amount = np.clip((distance - start) / max(reach, 1e-9), 0.0, 1.0)
    if falloff == "QUADRATIC":
        amount = amount**2
    elif falloff == "INVERSE_QUADRATIC":
        amount = np.sqrt(amount)
    amount = np.where(depth < NO_DEPTH, amount, 1.0)
    return (1.0 - combined[..., 3] * (1.0 - amount)).astype(np.float32)[..., None]


def normals(depth: Picture, projection: Projection, camera_to_world: FloatArray) -> Picture:
    """(H, W, 3) unit normals in world space, of the surface that the depth describes; 0 where nothing is.

    Along each axis the neighbour that is closer in depth is taken, so that edges stay sharp; a pixel with
    no such neighbour has no normal.
    """
    points = projection.points(np.where(depth < NO_DEPTH, depth, np.nan))
    across, down = _difference(points, depth, 1), _difference(points, depth, 0)
    normal = np.cross(down, across)
    with np.errstate(invalid="ignore", divide="ignore"):
        normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    known = np.isfinite(normal).all(axis=-1, keepdims=True)
    return np.where(known, normal @ camera_to_world[:3, :3].T, 0.0).astype(np.float32)


def _difference(points: FloatArray, depth: Picture, axis: int) -> FloatArray:
    """The step from a pixel's point to the next along ``axis``, to the side of the smaller step in depth."""
    step = np.full(points.shape, np.nan)
    jump = np.full(depth.shape, np.inf)
    forward = np.diff(points, axis=axis)
    size = np.abs(np.diff(depth.astype(np.float64), axis=axis))
    ahead = [slice(None)] * 2
    behind = [slice(None)] * 2
    ahead[axis], behind[axis] = slice(0, -1), slice(1, None)
    for place in (tuple(ahead), tuple(behind)):
        better = size < jump[place]
        jump[place] = np.where(better, size, jump[place])
        step[place] = np.where(better[..., None], forward, step[place])
    return step


def vectors(
    depth: Picture,
    projection: Projection,
    before: Callable[[FloatArray], FloatArray],
    after: Callable[[FloatArray], FloatArray],
) -> Picture:
    """(H, W, 4) motion in pixels, y up, as Cycles has it: from the next frame's place to this one's in
    (z, w), from this one's to the one before in (x, y); 0 where nothing is.

    ``before`` and ``after`` say where points in camera axes (H, W, 3) were and will be, in pixels.
    """
    inside = (depth < NO_DEPTH)[..., None]
    points = projection.points(np.where(inside[..., 0], depth, 1.0))
    here = projection.pixels(points)
    flip = np.array([1.0, -1.0])
    motion = np.concatenate([(before(points) - here) * flip, (here - after(points)) * flip], axis=-1)
    return np.where(inside & np.isfinite(motion), motion, 0.0).astype(np.float32)
