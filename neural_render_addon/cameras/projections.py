"""How a camera's picture maps directions to pixels, as the server is told it. No ``bpy``.

Pixels: origin top left, pixel centres at (i + 0.5, j + 0.5). A camera looks down its -z, y up.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

Model = Literal["PINHOLE", "ORTHOGRAPHIC", "EQUIRECTANGULAR"]


@dataclass(frozen=True)
class Projection:
    """A picture of ``width`` x ``height`` pixels; ``fl_x, fl_y, cx, cy`` are the camera file's.

    The focal lengths are in pixels, by unit tangent for ``PINHOLE``, by unit of length for
    ``ORTHOGRAPHIC`` and by radian of longitude and latitude for ``EQUIRECTANGULAR``; ``(cx, cy)`` is
    what lies straight ahead. ``window`` (left, top, full width, full height) says that the picture is
    cut out of a larger one.
    """

    width: int
    height: int
    fl_x: float
    fl_y: float
    cx: float
    cy: float
    model: Model = "PINHOLE"
    window: tuple[int, int, int, int] | None = None

    def cut(self, left: int, top: int, width: int, height: int) -> Projection:
        """The part of the picture whose upper left pixel is (``left``, ``top``)."""
        outer_left, outer_top, full_width, full_height = self.window or (0, 0, self.width, self.height)
        return replace(
            self,
            width=width,
            height=height,
            cx=self.cx - left,
            cy=self.cy - top,
            window=(outer_left + left, outer_top + top, full_width, full_height),
        )

    def resized(self, width: int, height: int) -> Projection:
        """The same picture in another size; its window is forgotten."""
        scale_x, scale_y = width / self.width, height / self.height
        return Projection(
            width, height, self.fl_x * scale_x, self.fl_y * scale_y, self.cx * scale_x, self.cy * scale_y,
            self.model,
        )  # fmt: skip

    def scaled(self, scale: float) -> Projection:
        """The projection in units of length that are ``scale`` times as long."""
        if self.model != "ORTHOGRAPHIC":
            return self
        return replace(self, fl_x=self.fl_x * scale, fl_y=self.fl_y * scale)

    def entry(self) -> dict[str, Any]:
        """The projection's part of a camera file's entry."""
        entry: dict[str, Any] = {
            "w": self.width, "h": self.height,
            "fl_x": self.fl_x, "fl_y": self.fl_y, "cx": self.cx, "cy": self.cy,
        }  # fmt: skip
        if self.model != "PINHOLE":
            entry["camera_model"] = self.model
        if self.window is not None:
            entry["window"] = list(self.window)
        return entry

    def points(self, depth: npt.ArrayLike) -> FloatArray:
        """(height, width, 3) points in camera axes that the pixels' centres see at ``depth`` (height, width).

        Depth is planar, but the distance from the camera for ``EQUIRECTANGULAR``.
        """
        x = (np.arange(self.width) + 0.5 - self.cx) / self.fl_x
        y = -(np.arange(self.height) + 0.5 - self.cy) / self.fl_y
        x, y = np.meshgrid(x, y)
        z = np.asarray(depth, dtype=np.float64)
        if self.model == "ORTHOGRAPHIC":
            return np.stack([x, y, -z], axis=-1)
        if self.model == "PINHOLE":
            return np.stack([x * z, y * z, -z], axis=-1)
        direction = [np.cos(y) * np.sin(x), np.sin(y), -np.cos(y) * np.cos(x)]
        return np.stack(direction, axis=-1) * z[..., None]

    def pixels(self, points: FloatArray) -> FloatArray:
        """(..., 2) pixel positions of points in camera axes: the inverse of ``points``."""
        x, y, ahead = points[..., 0], points[..., 1], -points[..., 2]
        with np.errstate(divide="ignore", invalid="ignore"):
            if self.model == "PINHOLE":
                x, y = x / ahead, y / ahead
            elif self.model == "EQUIRECTANGULAR":
                x, y = np.arctan2(x, ahead), np.arctan2(y, np.hypot(x, ahead))
        return np.stack([self.fl_x * x + self.cx, -self.fl_y * y + self.cy], axis=-1)


def projection_from_matrix(matrix: FloatArray, width: int, height: int) -> Projection:
    """A pinhole or orthographic projection from OpenGL's matrix (4, 4); clip space spans [-1, 1], y up."""
    if matrix[3, 3] == 1.0:  # the fourth coordinate does not depend on depth
        center_x, center_y = -matrix[0, 3], -matrix[1, 3]
        model: Model = "ORTHOGRAPHIC"
    else:
        center_x, center_y = matrix[0, 2], matrix[1, 2]
        model = "PINHOLE"
    return Projection(
        width=width,
        height=height,
        fl_x=float(0.5 * width * matrix[0, 0]),
        fl_y=float(0.5 * height * matrix[1, 1]),
        cx=float(0.5 * width * (1.0 - center_x)),
        cy=float(0.5 * height * (1.0 + center_y)),
        model=model,
    )
