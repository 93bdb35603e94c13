"""Blender cameras and the server's cameras: with ``projections``, the only camera arithmetic in the add-on.

Pixels: origin top left, pixel centres at (i + 0.5, j + 0.5). Matrices are camera-to-world with
OpenGL axes, which are Blender's: x right, y up, looking down -z.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..errors import CameraError
from .projections import Projection, projection_from_matrix

if TYPE_CHECKING:
    import bpy

Matrix = npt.NDArray[np.float64]

# The longer side of the film back given to imported cameras, so that lenses read as on full-frame
# 35 mm film, which is also Blender's default sensor width. Millimetres.
FILM_SIZE = 36.0

# Relative difference of the scale along two axes beyond which a field's scale is not uniform: far
# above float32 rounding in a chain of parents, far below what moves a pixel.
SCALE_TOLERANCE = 1e-4


@dataclass(frozen=True)
class CameraSettings:
    """What Blender's camera data needs to show a pinhole: millimetres, and shift in film widths.

    ``pixel_aspect`` is the scene's (x, y): Blender has one for all cameras of a scene, and without
    it the camera shows ``fl_y`` equal to ``fl_x``.
    """

    lens: float
    sensor_width: float
    sensor_height: float
    shift_x: float
    shift_y: float
    pixel_aspect: tuple[float, float]

    def apply(self, camera: bpy.types.Camera) -> None:
        camera.type = "PERSP"
        camera.lens_unit = "MILLIMETERS"
        # Horizontal, not automatic: the view then does not depend on the scene's own proportions.
        camera.sensor_fit = "HORIZONTAL"
        camera.sensor_width = self.sensor_width
        camera.sensor_height = self.sensor_height
        camera.lens = self.lens
        camera.shift_x = self.shift_x
        camera.shift_y = self.shift_y


def settings_from_pinhole(pinhole: Projection) -> CameraSettings:
    """Blender settings that show exactly what ``pinhole`` shows: the inverse of ``evaluated_projection``.

    Follows Blender's view plane (BKE_camera_params_compute_viewplane) for a horizontal sensor fit:
    the plane is ``width`` by ``height * aspect`` units of ``sensor_width / (lens * width)`` each, moved
    by shift times ``width`` units, where ``aspect`` is the height of a pixel over its width.
    """
    width, height = pinhole.width, pinhole.height
    aspect = pinhole.fl_x / pinhole.fl_y
    film_unit = FILM_SIZE / max(width, height)
    return CameraSettings(
        lens=pinhole.fl_x * film_unit,
        sensor_width=width * film_unit,
        sensor_height=height * film_unit * aspect,
        shift_x=(0.5 * width - pinhole.cx) / width,
        shift_y=(pinhole.cy - 0.5 * height) * aspect / width,
        # Blender allows no pixel aspect below 1.
        pixel_aspect=(1.0, aspect) if aspect >= 1.0 else (1.0 / aspect, 1.0),
    )


def evaluated_projection(
    camera: bpy.types.Object,
    depsgraph: bpy.types.Depsgraph,
    width: int,
    height: int,
    pixel_aspect: tuple[float, float] = (1.0, 1.0),
) -> Projection:
    """What a camera object shows in an image of ``width`` x ``height``, in scene units.

    Perspective, orthographic and equirectangular cameras. The depsgraph must be up to date
    (``view_layer.update()`` after changes made by a script).

    Raises:
        CameraError: the object is no camera, or a panoramic one of another kind.
    """
    if camera.type != "CAMERA":
        raise CameraError(f"{camera.name!r} is not a camera; choose a camera object")
    evaluated = camera.evaluated_get(depsgraph)
    if camera.data.type == "PANO":
        return _panorama(camera.name, evaluated.data, width, height)
    if camera.data.type not in ("PERSP", "ORTHO"):
        raise CameraError(
            f"Camera {camera.name!r} is {camera.data.type.lower()}; set its lens type to Perspective, "
            "Orthographic or Panoramic"
        )
    matrix = np.array(
        evaluated.calc_matrix_camera(
            depsgraph, x=width, y=height, scale_x=pixel_aspect[0], scale_y=pixel_aspect[1]
        ),
        dtype=np.float64,
    )
    return projection_from_matrix(matrix, width, height)


def _panorama(name: str, camera: bpy.types.Camera, width: int, height: int) -> Projection:
    """As Cycles lays an equirectangular picture out: sensor, shift and pixel aspect have no part in it."""
    if camera.panorama_type != "EQUIRECTANGULAR":
        raise CameraError(
            f"Camera {name!r} is a panorama that is not equirectangular; set its panorama type to "
            "Equirectangular"
        )
    fl_x = width / (camera.longitude_max - camera.longitude_min)
    fl_y = height / (camera.latitude_max - camera.latitude_min)
    return Projection(
        width=width,
        height=height,
        fl_x=fl_x,
        fl_y=fl_y,
        cx=-camera.longitude_min * fl_x,
        cy=camera.latitude_max * fl_y,
        model="EQUIRECTANGULAR",
    )


def render_size(render: bpy.types.RenderSettings) -> tuple[int, int]:
    """Width and height in pixels of a scene's full frame, its percentage applied as Blender does."""
    percentage = render.resolution_percentage
    return (
        max(1, render.resolution_x * percentage // 100),
        max(1, render.resolution_y * percentage // 100),
    )


def render_border(
    render: bpy.types.RenderSettings, width: int, height: int
) -> tuple[int, int, int, int] | None:
    """Left, top, width and height in pixels of the render border, or None where there is none.

    Whole pixels as Blender cuts them (render_init_from_main in its pipeline, in single precision).
    """
    if not render.use_border:
        return None

    def pixel(fraction: float, size: int) -> int:
        return int(np.float32(fraction) * np.float32(size))

    left, right = pixel(render.border_min_x, width), pixel(render.border_max_x, width)
    bottom, top = pixel(render.border_min_y, height), pixel(render.border_max_y, height)
    return left, height - top, max(1, right - left), max(1, top - bottom)


def uniform_scale(matrix: Any, name: str) -> float:
    """The scale of a field object's world matrix (4, 4), scene units per capture unit.

    Raises:
        CameraError: the matrix shears, mirrors, is singular or scales its axes differently; ``name``
            tells the user which object.
    """
    linear = np.array(matrix, dtype=np.float64)[:3, :3]
    determinant = float(np.linalg.det(linear))
    scale = float(np.cbrt(abs(determinant)))
    if scale < 1e-9:
        raise CameraError(f"{name!r} has scale 0; give the field object a positive, uniform scale")
    if np.abs(linear.T @ linear / scale**2 - np.eye(3)).max() > SCALE_TOLERANCE:
        raise CameraError(
            f"{name!r} is scaled differently along its axes (or sheared by a parent); "
            "give the field object one uniform scale"
        )
    if determinant < 0:
        raise CameraError(f"{name!r} is mirrored by a negative scale; give the field object a positive one")
    return scale


def to_capture(camera_matrix: Any, field_matrix: Any, field_name: str) -> Matrix:
    """Camera-to-world in capture coordinates (4, 4) from two Blender world matrices.

    The camera's own scale is dropped, as Blender does when it renders.

    Raises:
        CameraError: the field's scale is not uniform, or the camera's matrix is singular.
    """
    uniform_scale(field_matrix, field_name)
    matrix: Matrix = np.linalg.inv(np.array(field_matrix, dtype=np.float64)) @ np.array(
        camera_matrix, dtype=np.float64
    )
    lengths = np.linalg.norm(matrix[:3, :3], axis=0)
    if lengths.min() < 1e-12:
        raise CameraError("A camera has scale 0; give it, or its parent, a scale of 1")
    matrix[:3, :3] /= lengths
    matrix[3] = (0.0, 0.0, 0.0, 1.0)
    return matrix
