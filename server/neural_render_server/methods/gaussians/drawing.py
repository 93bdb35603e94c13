"""Gaussians drawn for a camera, whole or in parts, out of a backend's buffers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch

from ...cameras import Camera
from ...crop import Crop
from ...kernels import layout
from ...kernels.backend import Backend, Rendering
from ...kernels.ray_parts import RayParts, ray_parts
from ..base import RenderedFrame, SplitFrame
from .model import Gaussians


def draw(backend: Backend, model: Gaussians, camera: Camera, time: float, crop: Crop | None) -> RenderedFrame:
    """What ``crop`` keeps of ``model`` at ``time`` seconds, with its mattes if it has them."""
    if crop is not None:
        return _draw_parts(backend, model, camera, time, crop, None)[0]
    rows, view = _drawn(model, camera, time, crop)
    return _frame(_cut(backend.render(rows, view, with_depth=True), camera))


def draw_split(
    backend: Backend,
    model: Gaussians,
    camera: Camera,
    time: float,
    split_depth: npt.NDArray[np.float32],
    crop: Crop | None,
) -> SplitFrame:
    """As ``draw``, split at ``split_depth`` (H, W), planar, capture units."""
    whole, front = _draw_parts(backend, model, camera, time, crop, split_depth)
    assert front is not None
    return SplitFrame(whole, front.color.cpu().numpy().copy(), _opacity(front))


def _draw_parts(
    backend: Backend,
    model: Gaussians,
    camera: Camera,
    time: float,
    crop: Crop | None,
    split_depth: npt.NDArray[np.float32] | None,
) -> tuple[RenderedFrame, Rendering | None]:
    """The whole of what is kept and, with ``split_depth`` (H, W), the part in front."""
    rows, view = _drawn(model, camera, time, crop)
    device = rows.device
    rays_o, rays_d = (torch.from_numpy(rays).reshape(-1, 3).to(device) for rays in camera.rays())
    if camera.camera_model != "ORTHOGRAPHIC":
        rays_o = rays_o[:1]  # all start at the camera
    split = None if split_depth is None else torch.from_numpy(split_depth).reshape(-1).to(device)
    parts = _uncut(ray_parts(crop, rays_o, rays_d, split), camera)
    found = backend.render_parts(rows, view, parts)
    frame = _frame(_cut(found.whole, camera))
    if crop is not None and crop.with_mattes:
        mattes = found.mattes[:, *_window(camera)].movedim(0, -1).cpu().numpy().copy()
        frame = replace(frame, mattes=mattes)
    return frame, None if found.front is None else _cut(found.front, camera)


def _drawn(
    model: Gaussians, camera: Camera, time: float, crop: Crop | None
) -> tuple[torch.Tensor, layout.View]:
    """The rows to draw and the view to draw them in."""
    rows = model.alive if crop is None else model.reaching(crop, time)
    # At a longer focal length than trained with, a pixel's footprint stays that of a training pixel:
    # the Gaussians were fitted with it, and would leave gaps without (Yu et al. 2024, Mip-Splatting).
    pixels = camera.fl_x * (model.distance if camera.camera_model == "ORTHOGRAPHIC" else 1.0)
    magnification = max(1.0, pixels / model.focal)
    view = layout.make_view(
        camera.uncut(),  # Gaussians outside of the image are drawn by how far outside they are
        model.timestep(time),
        model.near,
        layout.DILATION * magnification**2,
        tiles=layout.window_tiles(camera),
    )
    return rows, view


def _window(camera: Camera) -> tuple[slice, slice]:
    """Rows and columns of the camera's image within the uncut one."""
    left, top = camera.window[:2] if camera.window else (0, 0)
    return slice(top, top + camera.height), slice(left, left + camera.width)


def _uncut(parts: RayParts, camera: Camera) -> RayParts:
    """The parts of the window's pixels among those of the uncut image; the others are not drawn."""
    if camera.window is None:
        return parts
    _, _, width, height = camera.window

    def spread(values: torch.Tensor) -> torch.Tensor:
        image = values.new_zeros((*values.shape[:-1], height, width))
        image[..., *_window(camera)] = values.reshape(*values.shape[:-1], camera.height, camera.width)
        return image.flatten(-2)

    return replace(
        parts,
        depths=spread(parts.depths),
        signs=spread(parts.signs),
        constants=spread(parts.constants),
        near=spread(parts.near),
        far=spread(parts.far),
    )


def _cut(rendering: Rendering, camera: Camera) -> Rendering:
    part = _window(camera)
    depth = None if rendering.depth is None else rendering.depth[part]
    return Rendering(rendering.color[part], rendering.transmittance[part], depth)


def _opacity(rendering: Rendering) -> npt.NDArray[np.float32]:
    return np.asarray(np.float32(1.0) - rendering.transmittance.cpu().numpy())


def _frame(rendering: Rendering) -> RenderedFrame:
    """A rendering with depth, out of the backend's buffers."""
    assert rendering.depth is not None
    opacity, weighted = _opacity(rendering), rendering.depth.cpu().numpy()
    depth = np.divide(weighted, opacity, out=np.zeros_like(weighted), where=opacity > 1e-6)
    return RenderedFrame(rendering.color.cpu().numpy().copy(), opacity, depth)
