"""Rays with what was filmed along them, gathered from training views pixel by pixel."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch

from ...cameras import Camera
from ...captures.pixels import as_float
from ..base import TrainingViews

IntArray = npt.NDArray[np.int64]

# A square pixel's cone has the radius of a disc with the pixel's variance (mip-NeRF, Barron et al. 2021).
CONE_RADIUS_IN_PIXELS = 2.0 / np.sqrt(12.0)


@dataclass(frozen=True, eq=False)
class Pixels:
    """N pixels of training views: ``views``, ``rows``, ``columns``, each (N,)."""

    views: IntArray
    rows: IntArray
    columns: IntArray

    def __len__(self) -> int:
        return len(self.views)


class PixelSampler(Protocol):
    """Chooses the pixels of a training batch."""

    def sample(self, random: np.random.Generator, count: int) -> Pixels: ...


@dataclass(frozen=True, eq=False)
class RayBatch:
    """R rays and their true colours; float32 tensors on the method's device.

    ``rays_o``, ``rays_d`` (R, 3) in capture coordinates; ``rays_d`` has unit planar depth, so that distance
    along it is planar depth and its norm turns it into length. ``radii`` (R,) pixel cone radius at unit
    planar depth. ``colors`` (R, 3) in [0, 1], composited over ``backgrounds`` (R, 3) where the capture has
    alpha. ``alphas`` (R,), 1 where the capture has none. ``times`` (R,) seconds; ``timesteps`` (R,) and
    ``cameras`` (R,) indices, int64.
    """

    rays_o: torch.Tensor
    rays_d: torch.Tensor
    radii: torch.Tensor
    colors: torch.Tensor
    alphas: torch.Tensor
    backgrounds: torch.Tensor
    times: torch.Tensor
    timesteps: torch.Tensor
    cameras: torch.Tensor

    def __len__(self) -> int:
        return len(self.rays_o)

    def take(self, index: torch.Tensor) -> RayBatch:
        """The rays that ``index`` picks."""
        return RayBatch(**{item.name: getattr(self, item.name)[index] for item in fields(self)})


class RayGatherer:
    """Turns pixels of training views into rays with colours.

    ``background`` (3,) is composited behind captures with alpha; None draws a random colour per ray, which
    keeps the field from explaining transparency by that colour (Instant-NGP, released code).
    """

    def __init__(
        self, views: TrainingViews, device: torch.device, background: tuple[float, float, float] | None = None
    ) -> None:
        self._views = views
        self._device = device
        self._background = background
        cameras = views.cameras
        self._poses = np.stack([camera.camera_to_world[:3] for camera in cameras]).astype(np.float32)
        self._intrinsics = np.array([[c.fl_x, c.fl_y, c.cx, c.cy] for c in cameras], dtype=np.float32)
        self._radii = np.array([cone_radius(camera) for camera in cameras], dtype=np.float32)

    def gather(self, pixels: Pixels, random: np.random.Generator) -> RayBatch:
        """The rays through the pixels' centres."""
        cameras = self._views.camera_indices[pixels.views]
        timesteps = self._views.timestep_indices[pixels.views]
        rgba = self._colors(pixels)
        count = len(pixels)
        alphas = rgba[:, 3]
        if self._background is None and self._views.has_alpha:
            backgrounds = random.random((count, 3), dtype=np.float32)
        else:
            color = self._background or (0.0, 0.0, 0.0)
            backgrounds = np.tile(np.asarray(color, dtype=np.float32), (count, 1))
        colors = rgba[:, :3] * alphas[:, None] + backgrounds * (1.0 - alphas[:, None])
        focal_x, focal_y, center_x, center_y = self._intrinsics[cameras].T
        in_camera = np.stack(
            [
                (pixels.columns + np.float32(0.5) - center_x) / focal_x,
                -(pixels.rows + np.float32(0.5) - center_y) / focal_y,
                np.full(count, -1.0, dtype=np.float32),
            ],
            axis=-1,
        )
        poses = self._poses[cameras]
        times = self._views.view_times[pixels.views]
        origins = poses[:, :, 3]
        if self._views.shutters is not None:
            delays, starts, in_camera = self._rolled(pixels, cameras, in_camera)
            times = times + delays
            origins = origins + np.einsum("nij,nj->ni", poses[:, :, :3], starts)
        directions = np.einsum("nij,nj->ni", poses[:, :, :3], in_camera)
        return RayBatch(
            rays_o=self._tensor(origins),
            rays_d=self._tensor(directions),
            radii=self._tensor(self._radii[cameras]),
            colors=self._tensor(colors),
            alphas=self._tensor(alphas),
            backgrounds=self._tensor(backgrounds),
            times=self._tensor(times),
            timesteps=torch.from_numpy(timesteps).to(self._device),
            cameras=torch.from_numpy(cameras).to(self._device),
        )

    def _rolled(
        self, pixels: Pixels, cameras: IntArray, directions: npt.NDArray[np.float32]
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """What rolling shutters make of rays: delays (N,) in seconds, and origins and directions (N, 3).

        Both are in the axes of the cameras at their pictures' times.
        """
        delays, origins, turned = (
            np.zeros(len(pixels), np.float32),
            np.zeros_like(directions),
            directions.copy(),
        )
        assert self._views.shutters is not None
        for camera in np.unique(cameras):
            shutter, own = self._views.shutters[camera], np.flatnonzero(cameras == camera)
            size = self._views.cameras[camera].width, self._views.cameras[camera].height
            x, y = (places[own] + np.float32(0.5) for places in (pixels.columns, pixels.rows))
            delays[own] = shutter.delays(x, y, *size)
            # The camera moves against the world; from OpenCV's axes to OpenGL's, y and z change their signs.
            flip, passed = np.array([1.0, -1.0, -1.0]), -delays[own, None]
            origins[own] = passed * (flip * shutter.drift)
            turned[own] += passed * np.cross(flip * shutter.turn, directions[own])
        return delays, origins, turned

    def _colors(self, pixels: Pixels) -> npt.NDArray[np.float32]:
        """(N, 4) straight colour, clipped at white, and alpha in [0, 1]."""
        rgba = np.ones((len(pixels), 4), dtype=np.float32)
        order = np.argsort(pixels.views, kind="stable")
        views, starts = np.unique(pixels.views[order], return_index=True)
        for view, own in zip(views, np.split(order, starts[1:]), strict=True):
            place = pixels.rows[own], pixels.columns[own]
            rgba[own, :3] = as_float(self._views.rgb(int(view))[place])
            alpha = self._views.alpha(int(view))
            if alpha is not None:
                rgba[own, 3] = as_float(alpha[place])
        # These methods' colours are sigmoids: there is nothing beyond white.
        return np.minimum(rgba, np.float32(1.0))

    def _tensor(self, values: npt.NDArray[Any]) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32)).to(self._device)


def cone_radius(camera: Camera) -> float:
    """Radius of a pixel's cone at unit planar depth."""
    return float(CONE_RADIUS_IN_PIXELS / np.sqrt(camera.fl_x * camera.fl_y))


def step_random(seed: int, step: int, purpose: int = 0) -> np.random.Generator:
    """The random numbers of one training step: they depend on nothing else, so resuming repeats them."""
    return np.random.default_rng((seed, step, purpose))


def torch_random(random: np.random.Generator, *shape: int, device: torch.device) -> torch.Tensor:
    """Uniform float32 numbers in [0, 1) drawn by numpy, so that they are the same on every device."""
    return torch.from_numpy(random.random(shape, dtype=np.float32)).to(device)
