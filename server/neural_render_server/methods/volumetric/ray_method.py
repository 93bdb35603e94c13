"""What all methods share that render ray by ray."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
import numpy.typing as npt

from ...cameras import Camera
from ...crop import Crop
from ..base import Method, RenderedFrame, SplitFrame
from .rendering import RAYS_PER_CHUNK, RenderRays, render_in_chunks, split_in_chunks


class RayMethod(Method):
    """Renders frames, whole and split, from what a subclass knows of rays."""

    @abstractmethod
    def rays_renderer(self, camera: Camera, time: float) -> RenderRays:
        """How rays of ``camera`` are rendered at ``time``, in seconds of the capture."""

    @property
    def rays_at_once(self) -> int:
        """Rays rendered at once: bounds the memory that their samples take."""
        return RAYS_PER_CHUNK

    def render(self, camera: Camera, time: float, crop: Crop | None = None) -> RenderedFrame:
        return render_in_chunks(
            camera, crop, self.device, self.rays_renderer(camera, time), self.rays_at_once
        )

    def render_split(
        self, camera: Camera, time: float, split_depth: npt.NDArray[np.float32], crop: Crop | None = None
    ) -> SplitFrame:
        render_rays = self.rays_renderer(camera, time)
        return split_in_chunks(camera, crop, self.device, render_rays, split_depth, self.rays_at_once)
