"""A camera rendered in chunks of rays."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from ...cameras import Camera
from ..base import CropBox, RenderedFrame
from .boxes import intersect_box

# Rays rendered at once: bounds the memory that samples take, whatever the camera's size.
RAYS_PER_CHUNK = 16384
# Below this opacity there is no depth to speak of.
LEAST_OPACITY = 1e-4

# rays_o (R, 3), rays_d (R, 3) of unit planar depth, near (R,), far (R,) in planar depth (near >= far: nothing
# to render) -> premultiplied colour (R, 3), opacity (R,), sum of weights times planar depth (R,)
RenderRays = Callable[
    [torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor],
    tuple[torch.Tensor, torch.Tensor, torch.Tensor],
]


def render_in_chunks(
    camera: Camera,
    crop: CropBox | None,
    device: torch.device,
    render_rays: RenderRays,
    rays_per_chunk: int = RAYS_PER_CHUNK,
) -> RenderedFrame:
    """Render a pinhole camera; ``crop`` bounds each ray's near and far, which else are 0 and infinity."""
    rays_o, rays_d = (torch.from_numpy(np.ascontiguousarray(a)).reshape(-1, 3) for a in camera.rays())
    color = torch.empty(len(rays_o), 3)
    opacity = torch.empty(len(rays_o))
    depth = torch.empty(len(rays_o))
    with torch.no_grad():
        for start in range(0, len(rays_o), rays_per_chunk):
            part = slice(start, start + rays_per_chunk)
            origins, directions = rays_o[part].to(device), rays_d[part].to(device)
            near, far = _limits(origins, directions, crop)
            part_color, part_opacity, part_depth = render_rays(origins, directions, near, far)
            color[part] = part_color.float().cpu()
            opacity[part] = part_opacity.float().cpu()
            depth[part] = part_depth.float().cpu()
    is_there = opacity > LEAST_OPACITY
    depth = torch.where(is_there, depth / opacity.clamp_min(LEAST_OPACITY), 0.0)
    size = (camera.height, camera.width)
    return RenderedFrame(
        color=color.reshape(*size, 3).numpy(),
        opacity=opacity.clamp(0.0, 1.0).reshape(size).numpy(),
        depth=depth.reshape(size).numpy(),
    )


def _limits(
    rays_o: torch.Tensor, rays_d: torch.Tensor, crop: CropBox | None
) -> tuple[torch.Tensor, torch.Tensor]:
    if crop is None:
        return torch.zeros_like(rays_o[:, 0]), torch.full_like(rays_o[:, 0], float("inf"))
    minimum = torch.tensor(crop.minimum, dtype=rays_o.dtype, device=rays_o.device)
    maximum = torch.tensor(crop.maximum, dtype=rays_o.dtype, device=rays_o.device)
    return intersect_box(rays_o, rays_d, minimum, maximum)
