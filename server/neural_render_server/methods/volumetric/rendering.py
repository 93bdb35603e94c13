"""A camera rendered in chunks of rays."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch

from ...cameras import Camera
from ...crop import Crop
from ...kernels.ray_parts import RayParts, ray_parts
from ...kernels.threads import thread_count
from ..base import RenderedFrame, SplitFrame

# Rays rendered at once: bounds the memory that samples take, whatever the camera's size.
RAYS_PER_CHUNK = 16384
# Below this opacity there is no depth to speak of.
LEAST_OPACITY = 1e-4

# Premultiplied colour (R, 3), opacity (R,), sum of weights times planar depth (R,)
Composited = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


@dataclass(frozen=True, eq=False)
class RenderedRays:
    """The ``whole`` of what is kept; the part in ``front``, if the rays are split; ``mattes`` (R, M)."""

    whole: Composited
    front: Composited | None
    mattes: torch.Tensor


# rays_o (R, 3), rays_d (R, 3) of unit planar depth, and the parts that they are cut into
RenderRays = Callable[[torch.Tensor, torch.Tensor, RayParts], RenderedRays]


def render_in_chunks(
    camera: Camera,
    crop: Crop | None,
    device: torch.device,
    render_rays: RenderRays,
    rays_per_chunk: int = RAYS_PER_CHUNK,
) -> RenderedFrame:
    """Render a pinhole camera; of the field there is what ``crop`` keeps."""
    whole, _ = _render(camera, crop, device, render_rays, rays_per_chunk, None)
    return whole


def split_in_chunks(
    camera: Camera,
    crop: Crop | None,
    device: torch.device,
    render_rays: RenderRays,
    split_depth: npt.NDArray[np.float32],
    rays_per_chunk: int = RAYS_PER_CHUNK,
) -> SplitFrame:
    """As ``render_in_chunks``, with the part before ``split_depth`` (H, W)."""
    whole, front = _render(camera, crop, device, render_rays, rays_per_chunk, split_depth)
    return SplitFrame(whole, front.color, front.opacity)


def _render(
    camera: Camera,
    crop: Crop | None,
    device: torch.device,
    render_rays: RenderRays,
    rays_per_chunk: int,
    split_depth: npt.NDArray[np.float32] | None,
) -> tuple[RenderedFrame, RenderedFrame]:
    """The whole and the part in front, which is empty without ``split_depth``."""
    rays_o, rays_d = (torch.from_numpy(np.ascontiguousarray(a)).reshape(-1, 3) for a in camera.rays())
    splits = None if split_depth is None else torch.from_numpy(split_depth).reshape(-1)
    planes = torch.zeros(2, len(rays_o), 5)  # colour, opacity, depth
    mattes = torch.zeros(len(rays_o), len(crop.mattes) if crop is not None else 0)

    def render_chunk(start: int) -> None:
        part = slice(start, start + rays_per_chunk)
        origins, directions = rays_o[part].to(device), rays_d[part].to(device)
        split = None if splits is None else splits[part].to(device)
        with torch.no_grad():  # which holds for one thread
            found = render_rays(origins, directions, ray_parts(crop, origins, directions, split))
        for own, composited in zip(planes, (found.whole, found.front), strict=True):
            if composited is not None:
                own[part, :3] = composited[0].float().cpu()
                own[part, 3] = composited[1].float().cpu()
                own[part, 4] = composited[2].float().cpu()
        mattes[part] = found.mattes.float().cpu()

    # Much of a chunk's work runs on one core, so as many chunks are rendered at once as there are cores.
    with ThreadPoolExecutor(thread_count() if device.type == "cpu" else 1) as pool:
        list(pool.map(render_chunk, range(0, len(rays_o), rays_per_chunk)))
    whole, front = (_frame(own.reshape(camera.height, camera.width, 5)) for own in planes)
    if crop is not None and crop.with_mattes:
        whole = replace(whole, mattes=mattes.reshape(camera.height, camera.width, -1).numpy())
    return whole, front


def _frame(planes: torch.Tensor) -> RenderedFrame:
    """A frame of (H, W, 5) colour, opacity, weighted depth."""
    opacity = planes[..., 3]
    is_there = opacity > LEAST_OPACITY
    depth = torch.where(is_there, planes[..., 4] / opacity.clamp_min(LEAST_OPACITY), 0.0)
    return RenderedFrame(
        color=planes[..., :3].contiguous().numpy(),
        opacity=opacity.clamp(0.0, 1.0).contiguous().numpy(),
        depth=depth.numpy(),
    )
