"""Cameras.

World: the capture's own coordinates and units. ``camera_to_world`` has OpenGL axes, as in Blender:
x right, y up, looking down -z. Pixel centres lie at (i + 0.5, j + 0.5), origin top left.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from . import lens_models
from .errors import CameraFileError

FloatArray = npt.NDArray[np.float64]

# Multiplying camera-to-world by this flips between OpenGL and OpenCV camera axes (y and z).
OPENGL_TO_OPENCV = np.diag([1.0, -1.0, -1.0, 1.0])

RENDER_ONLY_MODELS = ("ORTHOGRAPHIC", "EQUIRECTANGULAR")
CAMERA_MODELS = ("PINHOLE", "OPENCV", "OPENCV_FISHEYE", *lens_models.COEFFICIENTS, *RENDER_ONLY_MODELS)


@dataclass(frozen=True, eq=False)
class Camera:
    """One posed camera.

    ``fl_x, fl_y, cx, cy`` are in pixels. ``distortion`` holds OpenCV's coefficients in OpenCV's
    order: ``(k1, k2, p1, p2[, k3[, k4, k5, k6]])`` for ``OPENCV``, ``(k1, k2, k3, k4)`` for
    ``OPENCV_FISHEYE``, those of ``lens_models`` for its models, and nothing for the others.
    ``ORTHOGRAPHIC`` has its focal lengths in pixels by capture unit, ``EQUIRECTANGULAR`` in pixels by radian
    of longitude and latitude, with ``cx, cy`` straight ahead; neither trains, both render. ``window`` (left,
    top, full width, full height) says that the image is cut out of a larger one: it shows the same as there,
    pixel by pixel.
    """

    width: int
    height: int
    fl_x: float
    fl_y: float
    cx: float
    cy: float
    camera_to_world: FloatArray
    name: str = ""
    camera_model: str = "PINHOLE"
    distortion: tuple[float, ...] = ()
    window: tuple[int, int, int, int] | None = None

    @property
    def is_pinhole(self) -> bool:
        # An equidistant fisheye lens is no pinhole though all its coefficients are 0.
        return self.camera_model == "PINHOLE" or (self.camera_model == "OPENCV" and not any(self.distortion))

    @property
    def intrinsics(self) -> FloatArray:
        """OpenCV's 3x3 camera matrix. Its pixel centres are at whole numbers, ours at +0.5."""
        return np.array([[self.fl_x, 0.0, self.cx], [0.0, self.fl_y, self.cy], [0.0, 0.0, 1.0]])

    @property
    def position(self) -> FloatArray:
        return self.camera_to_world[:3, 3].copy()

    @property
    def forward(self) -> FloatArray:
        """Unit viewing direction in world coordinates."""
        return -self.camera_to_world[:3, 2] / np.linalg.norm(self.camera_to_world[:3, 2])

    def world_to_camera_opencv(self) -> FloatArray:
        """(4, 4) world to camera with x right, y down, z forward."""
        return np.asarray(np.linalg.inv(self.camera_to_world @ OPENGL_TO_OPENCV), dtype=np.float64)

    def scaled(self, width: int, height: int) -> Camera:
        """The same camera with its image resized to ``width`` x ``height``."""
        scale_x, scale_y = width / self.width, height / self.height
        return replace(
            self,
            width=width,
            height=height,
            fl_x=self.fl_x * scale_x,
            fl_y=self.fl_y * scale_y,
            cx=self.cx * scale_x,
            cy=self.cy * scale_y,
            window=None,
        )

    def uncut(self) -> Camera:
        """The camera whose image this one's is a window of; itself without a window."""
        if self.window is None:
            return self
        left, top, width, height = self.window
        return replace(self, width=width, height=height, cx=self.cx + left, cy=self.cy + top, window=None)

    def downscaled(self, factor: float) -> Camera:
        """The same camera with its image ``factor`` times smaller, at least one pixel wide."""
        return self.scaled(max(1, round(self.width / factor)), max(1, round(self.height / factor)))

    def rays(self) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """World-space rays through the pixel centres of any camera without lens distortion.

        Returns ``rays_o`` and ``rays_d``, both (height, width, 3); ``rays_d`` has unit planar
        depth (its component along ``forward`` is 1), so that distance along it is planar depth.
        Those of an equirectangular camera have unit length.
        """
        columns = (np.arange(self.width) + 0.5 - self.cx) / self.fl_x
        rows = -(np.arange(self.height) + 0.5 - self.cy) / self.fl_y
        rotation, position = self.camera_to_world[:3, :3], self.camera_to_world[:3, 3]
        # what of a column's and of a row's number is in a place: a sum of the two costs less than a product
        place = columns[None, :, None] * rotation[:, 0] + rows[:, None, None] * rotation[:, 1]
        origins, directions = np.broadcast_to(position, place.shape), place - rotation[:, 2]
        if self.camera_model == "ORTHOGRAPHIC":
            origins, directions = place + position, np.broadcast_to(-rotation[:, 2], place.shape)
        elif self.camera_model == "EQUIRECTANGULAR":
            longitude, latitude = np.meshgrid(columns, rows)
            ahead = -np.cos(latitude) * np.cos(longitude)
            in_camera = np.stack([np.cos(latitude) * np.sin(longitude), np.sin(latitude), ahead], axis=-1)
            directions = in_camera @ rotation.T
        return origins.astype(np.float32), directions.astype(np.float32)

    def project(self, points: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Project world points (N, 3) with a pinhole model to pixels (N, 2) and planar depth (N,)."""
        in_camera = np.asarray(points, dtype=np.float64) @ self.world_to_camera_opencv()[:3, :3].T
        in_camera = in_camera + self.world_to_camera_opencv()[:3, 3]
        depth = in_camera[:, 2]
        with np.errstate(divide="ignore", invalid="ignore"):
            pixels = np.stack(
                [
                    self.fl_x * in_camera[:, 0] / depth + self.cx,
                    self.fl_y * in_camera[:, 1] / depth + self.cy,
                ],
                axis=-1,
            )
        return pixels, depth

    def to_json(self) -> dict[str, Any]:
        """This camera as an entry of a camera file's ``frames``."""
        entry: dict[str, Any] = {
            "w": self.width,
            "h": self.height,
            "fl_x": self.fl_x,
            "fl_y": self.fl_y,
            "cx": self.cx,
            "cy": self.cy,
            "transform_matrix": self.camera_to_world.tolist(),
        }
        if self.name:
            entry["name"] = self.name
        if not self.is_pinhole:
            entry["camera_model"] = self.camera_model
        if self.distortion:
            entry.update(zip(_distortion_names(self.camera_model), self.distortion, strict=False))
        if self.window is not None:
            entry["window"] = list(self.window)
        return entry


def is_finite_number(value: Any) -> bool:
    """Whether a JSON value is a number that fits a float (truth values are no numbers here)."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # JSON's integers have no limit
        return False


def _distortion_names(camera_model: str) -> tuple[str, ...]:
    if camera_model == "OPENCV_FISHEYE":
        return ("k1", "k2", "k3", "k4")
    if camera_model in lens_models.COEFFICIENTS:
        return lens_models.COEFFICIENTS[camera_model]
    return ("k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6")


def camera_from_json(entry: dict[str, Any], shared: dict[str, Any], where: str) -> Camera:
    """Read one camera from a ``transforms.json`` frame; ``shared`` holds the file's common values.

    ``where`` names the file and frame in error messages. Intrinsics may be given as focal lengths
    in pixels or as ``camera_angle_x`` (radians).

    Raises:
        CameraFileError: a value is missing, not a number, or the matrix is not a usable pose.
    """

    def number(key: str, default: float | None = None) -> float | None:
        value = entry.get(key, shared.get(key))
        if value is None:
            return default
        if not is_finite_number(value):
            raise CameraFileError(f"{where}: {key!r} is {value!r}, but must be a finite number")
        return float(value)

    width, height = number("w"), number("h")
    if width is None or height is None or width < 1 or height < 1:
        raise CameraFileError(f"{where}: 'w' and 'h' (image size in pixels) are missing or not positive")
    fl_x, fl_y = number("fl_x"), number("fl_y")
    angle_x, angle_y = number("camera_angle_x"), number("camera_angle_y")
    if fl_x is None and angle_x is not None and 0 < angle_x < math.pi:
        fl_x = 0.5 * width / math.tan(0.5 * angle_x)
    if fl_y is None and angle_y is not None and 0 < angle_y < math.pi:
        fl_y = 0.5 * height / math.tan(0.5 * angle_y)
    fl_x = fl_y if fl_x is None else fl_x
    fl_y = fl_x if fl_y is None else fl_y
    if fl_x is None or fl_y is None or fl_x <= 0 or fl_y <= 0:
        raise CameraFileError(
            f"{where}: no focal length; give 'fl_x' and 'fl_y' in pixels or 'camera_angle_x' in radians"
        )
    matrix = pose_matrix(entry.get("transform_matrix"), where)
    model = str(entry.get("camera_model", shared.get("camera_model", "OPENCV")))
    if model in ("OPENCV_FISHEYE", "FISHEYE") or bool(entry.get("is_fisheye", shared.get("is_fisheye"))):
        model = "OPENCV_FISHEYE"
    elif model in (
        "OPENCV",
        "PINHOLE",
        "SIMPLE_PINHOLE",
        "SIMPLE_RADIAL",
        "RADIAL",
        "FULL_OPENCV",
        "PERSPECTIVE",
    ):
        model = "PINHOLE" if "PINHOLE" in model else "OPENCV"
    elif model not in CAMERA_MODELS:
        raise CameraFileError(f"{where}: camera_model {model!r} is not one of {', '.join(CAMERA_MODELS)}")
    distortion: tuple[float, ...] = ()
    if model not in ("PINHOLE", *RENDER_ONLY_MODELS):
        distortion = tuple(number(key, 0.0) or 0.0 for key in _distortion_names(model))
        if model in ("OPENCV", lens_models.FOV) and not any(distortion):
            model, distortion = "PINHOLE", ()
    cx, cy = number("cx", width / 2), number("cy", height / 2)
    assert cx is not None and cy is not None
    return Camera(
        width=int(width),
        height=int(height),
        fl_x=fl_x,
        fl_y=fl_y,
        cx=cx,
        cy=cy,
        camera_to_world=matrix,
        name=str(entry.get("name", "")),
        camera_model=model,
        distortion=distortion,
        window=_window(entry.get("window"), int(width), int(height), where),
    )


def _window(value: Any, width: int, height: int, where: str) -> tuple[int, int, int, int] | None:
    if value is None:
        return None
    if isinstance(value, list) and len(value) == 4 and all(is_finite_number(number) for number in value):
        left, top, full_width, full_height = (int(number) for number in value)
        if min(left, top) >= 0 and left + width <= full_width and top + height <= full_height:
            return left, top, full_width, full_height
    raise CameraFileError(
        f"{where}: 'window' is {value!r}, but must be [left, top, full width, full height] in pixels with "
        "the image inside"
    )


def pose_matrix(value: Any, where: str) -> FloatArray:
    """A checked (4, 4) camera-to-world matrix from nested lists (3x4 gets its last row).

    Raises:
        CameraFileError: it is not a 3x4 or 4x4 matrix of finite numbers with an invertible rotation and the
            last row (0, 0, 0, 1).
    """
    try:
        matrix = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):  # JSON's integers have no limit
        matrix = np.empty(0)
    if matrix.shape == (3, 4):
        matrix = np.vstack([matrix, [0.0, 0.0, 0.0, 1.0]])
    if matrix.shape != (4, 4):
        raise CameraFileError(f"{where}: 'transform_matrix' is not a 4x4 matrix of numbers")
    if not np.isfinite(matrix).all():
        raise CameraFileError(
            f"{where}: the pose has NaN or infinite values; solve this camera again or remove it"
        )
    if abs(np.linalg.det(matrix[:3, :3])) < 1e-9:
        raise CameraFileError(
            f"{where}: the pose's rotation is singular; solve this camera again or remove it"
        )
    if not np.allclose(matrix[3], [0.0, 0.0, 0.0, 1.0], atol=1e-6):
        raise CameraFileError(f"{where}: the last row of a pose is 0 0 0 1; write the matrix by rows")
    return matrix
