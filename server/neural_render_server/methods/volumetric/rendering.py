"""A camera rendered in chunks of rays."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
import torch

from ...cameras import Camera
from ...kernels.threads import thread_count
from ..base import CropBox, RenderedFrame, SplitFrame
from .boxes import intersect_box

# Rays rendered at once: bounds the memory that samples take, whatever the camera's size.
RAYS_PER_CHUNK = 16384
# Below this opacity there is no depth to speak of.
LEAST_OPACITY = 1e-4

# Premultiplied colour (R, 3), opacity (R,), sum of weights times planar depth (R,)
Composited = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
# rays_o (R, 3), rays_d (R, 3) of unit planar depth, near (R,), far (R,) in planar depth (near >= far: nothing
# to render), planar depth (R,) to split at -> the whole and the part before that depth
RenderRays = Callable[
    [torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor | None],
    tuple[Composited, Composited | None],
]


def render_in_chunks(
    camera: Camera,
    crop: CropBox | None,
    device: torch.device,
    render_rays: RenderRays,
    rays_per_chunk: int = RAYS_PER_CHUNK,
) -> RenderedFrame:
    """Render a pinhole camera; ``crop`` bounds each ray's near and far, which else are 0 and infinity."""
    whole, _ = _render(camera, crop, device, render_rays, rays_per_chunk, None)
    return whole


def split_in_chunks(
    camera: Camera,
    crop: CropBox | None,
    device: torch.device,
    render_rays: RenderRays,
    split_depth: npt.NDArray[np.float32],
    rays_per_chunk: int = RAYS_PER_CHUNK,
) -> SplitFrame:
    """As ``render_in_chunks``, with the part before ``split_depth`` (H, W)."""
    whole, front = _render(camera, crop, device, render_rays, rays_per_chunk, split_depth)
    return SplitFrame(whole, front.color, front.opacity)


def share_before(split: torch.Tensor, starts: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """Share in [0, 1] of each interval that lies before ``split``; all broadcast.

    The density of an interval is constant, so this share of its thickness is in front, the rest behind.
    """
    return ((split - starts) / lengths.clamp_min(torch.finfo(starts.dtype).tiny)).clamp(0.0, 1.0)


def _render(
    camera: Camera,
    crop: CropBox | None,
    device: torch.device,
    render_rays: RenderRays,
    rays_per_chunk: int,
    split_depth: npt.NDArray[np.float32] | None,
) -> tuple[RenderedFrame, RenderedFrame]:
    """The whole and the part in front, which is empty without ``split_depth``."""
    rays_o, rays_d = (torch.from_numpy(np.ascontiguousarray(a)).reshape(-1, 3) for a in camera.rays())
    splits = None if split_depth is None else torch.from_numpy(split_depth).reshape(-1)
    planes = torch.zeros(2, len(rays_o), 5)  # colour, opacity, depth

    def render_chunk(start: int) -> None:
        part = slice(start, start + rays_per_chunk)
        origins, directions = rays_o[part].to(device), rays_d[part].to(device)
        near, far = _limits(origins, directions, crop)
        split = None if splits is None else splits[part].to(device)
        with torch.no_grad():  # which holds for one thread
            found = render_rays(origins, directions, near, far, split)
        for own, composited in zip(planes, found, strict=True):
            if composited is not None:
                own[part, :3] = composited[0].float().cpu()
                own[part, 3] = composited[1].float().cpu()
                own[part, 4] = composited[2].float().cpu()

    # Much of a chunk's work runs on one core, so as many chunks are rendered at once as there are cores.
    with ThreadPoolExecutor(thread_count() if device.type == "cpu" else 1) as pool:
        list(pool.map(render_chunk, range(0, len(rays_o), rays_per_chunk)))
    whole, front = (_frame(own.reshape(camera.height, camera.width, 5)) for own in planes)
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


def _limits(
    rays_o: torch.Tensor, rays_d: torch.Tensor, crop: CropBox | None
) -> tuple[torch.Tensor, torch.Tensor]:
    if crop is None:
        return torch.zeros_like(rays_o[:, 0]), torch.full_like(rays_o[:, 0], float("inf"))
    minimum = torch.tensor(crop.minimum, dtype=rays_o.dtype, device=rays_o.device)
    maximum = torch.tensor(crop.maximum, dtype=rays_o.dtype, device=rays_o.device)
    return intersect_box(rays_o, rays_d, minimum, maximum)
