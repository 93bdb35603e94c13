"""Rays cut into parts along their depth: what is kept, what lies before CG, what lies in a shape.

Every part of a ray is a set of stretches of it. So the share of anything spread along the ray, be it a
sample's interval or a Gaussian, that belongs to a part is a sum over the cuts: with c(t) the share before
depth t, a stretch from a to b holds c(b) - c(a). Methods differ in c alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from ..crop import Crop, CropShape
from .ray_shapes import intersect_ball, intersect_box

# Depths are cut off here: infinity would give NaN where it is subtracted.
FURTHEST = 1e10


@dataclass(frozen=True, eq=False)
class RayParts:
    """R rays with K cuts at ``depths`` (K, R), planar, ascending, and P parts.

    A part's share of a thing is ``constants[p] + sum over k of signs[p, k] * (its share before depths[k])``;
    ``signs`` (P, K, R) int8, ``constants`` (P, R). Part 0 is what is kept; with ``has_front``, part 1 is what
    of it lies before a depth to split at; the others are what of part 0 lies in each matte's shape. What is
    kept lies between ``near`` and ``far`` (R,); near > far where nothing is.
    """

    depths: torch.Tensor
    signs: torch.Tensor
    constants: torch.Tensor
    has_front: bool
    near: torch.Tensor
    far: torch.Tensor

    @property
    def first_matte(self) -> int:
        return 2 if self.has_front else 1

    @property
    def mattes(self) -> int:
        return len(self.constants) - self.first_matte

    def shares(
        self, starts: torch.Tensor, lengths: torch.Tensor, rays: torch.Tensor | None = None
    ) -> torch.Tensor:
        """(P, ...) each part's share in [0, 1] of intervals at ``starts`` with ``lengths``.

        They are (R, S); or (N,), of the rays with the numbers ``rays`` (N,).
        """

        def spread(values: torch.Tensor) -> torch.Tensor:
            return values[..., None] if rays is None else values[..., rays]

        shares = spread(self.constants).expand(-1, *starts.shape)
        for cut, depth in enumerate(self.depths):
            before = share_before(spread(depth), starts, lengths)
            shares = shares + spread(self.signs[:, cut]).to(starts.dtype) * before
        return shares.clamp(0.0, 1.0)


def share_before(depth: torch.Tensor, starts: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """Share in [0, 1] of each interval that lies before ``depth``; all broadcast.

    The density of an interval is constant, so this share of its thickness is in front, the rest behind.
    """
    return ((depth - starts) / lengths.clamp_min(torch.finfo(starts.dtype).tiny)).clamp(0.0, 1.0)


def ray_parts(
    crop: Crop | None,
    rays_o: torch.Tensor,
    rays_d: torch.Tensor,
    split: torch.Tensor | None = None,
) -> RayParts:
    """The parts of rays (R, 3) in capture coordinates; distance along ``rays_d`` is their depth.

    ``rays_o`` may be one origin (1, 3) for all; ``split`` (R,): depth to split at.
    """
    shapes = crop.shapes if crop is not None else ()
    spans = [_span(shape, rays_o, rays_d) for shape in shapes]
    cuts = [depth for span in spans for depth in span]
    if split is not None:
        cuts.append(split.clamp(0.0, FURTHEST))
    edge = torch.zeros_like(rays_d[:, 0])
    depths = _ascending(cuts) if cuts else edge.new_empty(0, len(edge))
    starts = torch.cat([edge[None], depths])
    ends = torch.cat([depths, torch.full_like(edge, torch.inf)[None]])
    middles = 0.5 * (starts + ends)  # of the stretches between cuts, each wholly inside a shape or outside
    inside = [(enter <= middles) & (middles <= leave) for enter, leave in spans]

    def in_any(role: str) -> torch.Tensor:
        found = torch.zeros_like(middles, dtype=torch.bool)
        for shape, own in zip(shapes, inside, strict=True):
            if shape.role == role:
                found |= own
        return found

    kept = ~in_any("remove")
    if any(shape.role == "keep" for shape in shapes):
        kept &= in_any("keep")
    parts = [kept]
    if split is not None:
        parts.append(kept & (middles <= split))
    parts.extend(kept & inside[index] for index in (crop.mattes if crop is not None else ()))
    belongs = torch.stack(parts).to(torch.int8)
    return RayParts(
        depths=depths,
        signs=belongs[:, :-1] - belongs[:, 1:],
        constants=belongs[:, -1].to(rays_o.dtype),
        has_front=split is not None,
        near=torch.where(kept, starts, FURTHEST).amin(dim=0),
        far=torch.where(kept, ends, 0.0).amax(dim=0),
    )


def _ascending(cuts: Sequence[torch.Tensor]) -> torch.Tensor:
    """(K, R) the K depths of every ray in order: odd-even transposition, as a sort of columns is slow."""
    ordered = list(cuts)
    for turn in range(len(ordered)):
        for first in range(turn % 2, len(ordered) - 1, 2):
            pair = ordered[first], ordered[first + 1]
            ordered[first], ordered[first + 1] = torch.minimum(*pair), torch.maximum(*pair)
    return torch.stack(ordered)


def _span(shape: CropShape, rays_o: torch.Tensor, rays_d: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Depths (R,) at which rays enter and leave; both 0 where they miss, so that nothing lies between."""
    to_shape = torch.from_numpy(shape.to_shape).to(rays_o.dtype).to(rays_o.device)
    origins = rays_o @ to_shape[:3, :3].T + to_shape[:3, 3]
    directions = (to_shape[:3, :3] @ rays_d.T).T  # each component's values together in memory
    if shape.kind == "box":
        corner = torch.ones_like(directions[0])
        enter, leave = intersect_box(origins, directions, -corner, corner)
    else:
        enter, leave = intersect_ball(origins, directions)
    leave = torch.where(leave > enter, leave, 0.0).clamp(0.0, FURTHEST)
    return torch.minimum(enter, leave), leave
