"""The plane that a picture lies in, found from the cameras of its tiles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from ...cameras import Camera
from ...errors import CaptureError
from ..base import Tensors


@dataclass(frozen=True, eq=False)
class PicturePlane:
    """One unit in front of ``camera_to_world`` (4, 4), from ``left``, ``top`` to ``right``, ``bottom``.

    Lengths are in capture units, y up; ``pixel`` is a pixel's size on the plane. In *field* coordinates
    the picture's longer side is [0, 1], (0, 0) is its top left corner.
    """

    camera_to_world: npt.NDArray[np.float64]
    left: float
    top: float
    right: float
    bottom: float
    pixel: float

    @staticmethod
    def of_cameras(cameras: Sequence[Camera]) -> PicturePlane:
        """The smallest plane that all cameras see parts of.

        Raises:
            CaptureError: the cameras do not stand in one place, looking the same way.
        """
        pose = cameras[0].camera_to_world
        if any(not np.allclose(camera.camera_to_world, pose) for camera in cameras):
            raise CaptureError(
                "ngp-image is for a single picture, but this capture has several cameras; give it an image "
                "file, or use instant-ngp"
            )
        return PicturePlane(
            pose,
            min(-c.cx / c.fl_x for c in cameras),
            max(c.cy / c.fl_y for c in cameras),
            max((c.width - c.cx) / c.fl_x for c in cameras),
            min((c.cy - c.height) / c.fl_y for c in cameras),
            min(1.0 / c.fl_x for c in cameras),
        )

    @property
    def size(self) -> float:
        """The longer side."""
        return max(self.right - self.left, self.top - self.bottom)

    @property
    def corners(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Minimum and maximum corner in capture coordinates, a hundredth of its size thick."""
        thick = 0.005 * self.size
        local = np.array([[x, y, -1.0] for x in (self.left, self.right) for y in (self.bottom, self.top)])
        world = local @ self.camera_to_world[:3, :3].T + self.camera_to_world[:3, 3]
        return world.min(axis=0) - thick, world.max(axis=0) + thick

    def hit(
        self, rays_o: torch.Tensor, rays_d: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Field coordinates (R, 2) where rays meet the plane, distance (R,) along them, and whether (R,)."""
        inverse = torch.from_numpy(np.linalg.inv(self.camera_to_world)).to(rays_o)
        origins = rays_o @ inverse[:3, :3].T + inverse[:3, 3]
        directions = rays_d @ inverse[:3, :3].T
        along = directions[:, 2]
        safe = torch.where(along.abs() < 1e-12, torch.full_like(along, 1e-12), along)
        distance = (-1.0 - origins[:, 2]) / safe
        x = origins[:, 0] + distance * directions[:, 0]
        y = origins[:, 1] + distance * directions[:, 1]
        is_hit = (distance > 0) & (x >= self.left) & (x <= self.right) & (y <= self.top) & (y >= self.bottom)
        return torch.stack([x - self.left, self.top - y], dim=-1) / self.size, distance, is_hit

    def tensors(self) -> Tensors:
        rest = [self.left, self.top, self.right, self.bottom, self.pixel]
        values = [*self.camera_to_world.ravel(), *rest]
        return {"plane": torch.tensor(values, dtype=torch.float64)}

    @staticmethod
    def from_tensors(tensors: Tensors) -> PicturePlane:
        values = tensors["plane"].cpu().numpy()
        return PicturePlane(values[:16].reshape(4, 4), *(float(value) for value in values[16:]))
