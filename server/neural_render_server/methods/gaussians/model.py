"""What is trained: the Gaussians' rows with their optimiser's state, and the background colour."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from ...cameras import Camera
from ...crop import Crop
from ...errors import SceneError
from ...kernels import layout
from ..base import Tensors
from .cloud import GaussianCloud

# Of the scene's usual distance: what is nearer to the camera is not drawn.
NEAR_SHARE = 0.02

# Deviations from its centre beyond which a Gaussian counts as nothing: less than 1e-4 of it is there.
REACH = 4.0


@dataclass(eq=False)
class Gaussians:
    """``count`` rows of ``rows`` (capacity, 28) are alive; times in them are in timesteps.

    A capture second s is timestep ``(s - start_time) / time_unit``. ``distance`` is the scene's usual
    distance from the training cameras, ``focal`` their usual focal length in pixels. ``background`` (3,)
    is learned; ``has_background`` is False for captures with alpha.
    """

    rows: torch.Tensor
    count: int
    background: torch.Tensor
    has_background: bool
    start_time: float
    time_unit: float
    distance: float
    focal: float

    @property
    def alive(self) -> torch.Tensor:
        """(count, 28), sharing memory with ``rows``."""
        return self.rows[: self.count]

    @property
    def near(self) -> float:
        return NEAR_SHARE * self.distance

    def timestep(self, seconds: float) -> float:
        return (seconds - self.start_time) / self.time_unit

    def reaching(self, crop: Crop, seconds: float) -> torch.Tensor:
        """The rows that may reach into what ``crop`` keeps at ``seconds``: the others need not be drawn."""
        kept = [shape for shape in crop.shapes if shape.role == "keep"]
        if not kept:
            return self.alive
        alive = self.alive
        elapsed = self.timestep(seconds) - alive[:, layout.TIME]
        center = alive[:, layout.POSITION] + elapsed[:, None] * alive[:, layout.VELOCITY]
        radius = REACH * torch.exp(alive[:, layout.SCALE].amax(1))
        reaches = torch.zeros_like(radius, dtype=torch.bool)
        for shape in kept:
            to_shape = torch.from_numpy(shape.to_shape).to(alive.dtype).to(alive.device)
            place = center @ to_shape[:3, :3].T + to_shape[:3, 3]
            # a ball around the centre reaches this far along the shape's axes
            further = radius[:, None] * to_shape[:3, :3].norm(dim=1)
            reaches |= (place.abs() <= 1.0 + further).all(1)
        return alive[reaches]

    def bounds(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Corners of the box that holds all but the outermost half per cent on each side."""
        if self.count == 0:
            return np.zeros(3), np.zeros(3)
        positions = self.alive[:, layout.POSITION].double().cpu().numpy()
        return np.quantile(positions, 0.005, axis=0), np.quantile(positions, 0.995, axis=0)

    def tensors(self) -> Tensors:
        frame = [self.start_time, self.time_unit, self.distance, self.focal, float(self.has_background)]
        return {
            "gaussians": self.alive.detach().cpu().clone(),
            "background": self.background.detach().cpu().clone(),
            "frame": torch.tensor(frame, dtype=torch.float64),
        }

    @staticmethod
    def from_tensors(tensors: Tensors, capacity: int, device: torch.device) -> Gaussians:
        """Read ``tensors()``; ``capacity`` rows are kept at least.

        Raises:
            SceneError: tensors are missing or have the wrong shape.
        """
        alive, background, frame = (tensors.get(name) for name in ("gaussians", "background", "frame"))
        if (
            alive is None
            or background is None
            or frame is None
            or alive.ndim != 2
            or alive.shape[1] != layout.WIDTH
            or background.shape != (3,)
            or frame.shape != (5,)
        ):
            raise SceneError(
                "model.safetensors does not hold a Gaussians model of this version; train the scene again"
            )
        rows = torch.zeros((max(capacity, len(alive)), layout.WIDTH), device=device)
        rows[: len(alive)] = alive.to(device)
        start_time, time_unit, distance, focal, has_background = frame.tolist()
        return Gaussians(
            rows,
            len(alive),
            background.to(device).clone(),
            bool(has_background),
            start_time,
            time_unit,
            distance,
            focal,
        )


def rows_of_cloud(cloud: GaussianCloud, start_time: float, time_unit: float) -> torch.Tensor:
    """(N, 28) rows of the start's isotropic Gaussians."""
    rows = np.zeros((len(cloud), layout.WIDTH), np.float32)
    rows[:, layout.POSITION] = cloud.positions
    rows[:, layout.VELOCITY] = cloud.velocities * time_unit
    rows[:, layout.TIME] = (cloud.time_centers - start_time) / time_unit
    rows[:, layout.EXTENT] = np.log(cloud.time_extents / time_unit)
    opacities = np.clip(cloud.opacities, 1e-3, 1.0 - 1e-3)
    rows[:, layout.OPACITY] = np.log(opacities / (1.0 - opacities))
    rows[:, layout.SCALE] = np.log(np.maximum(cloud.scales, 1e-12))[:, None]
    rows[:, layout.ROTATION.start] = 1.0
    rows[:, layout.COLOR] = cloud.colors
    return torch.from_numpy(rows)


def usual_distance(positions: npt.NDArray[np.float32], cameras: list[Camera]) -> float:
    """Median planar depth of points over the cameras that see them; 1 where none does."""
    medians = []
    for camera in cameras:
        pixels, depth = camera.project(positions)
        seen = (depth > 0) & (pixels >= 0).all(1) & (pixels < (camera.width, camera.height)).all(1)
        if seen.any():
            medians.append(float(np.median(depth[seen])))
    return float(np.median(medians)) if medians else 1.0
