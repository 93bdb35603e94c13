"""The columns of a Gaussian's row, and a view packed for the kernels.

One float32 row a Gaussian keeps all that an iteration touches of it together in memory.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..cameras import Camera
from ..rolling_shutter import RollingShutter

POSITION = slice(0, 3)  # mean at the centre in time, capture units
VELOCITY = slice(3, 6)  # capture units a timestep
TIME = 6  # centre in time, timesteps
EXTENT = 7  # log of the temporal standard deviation, timesteps
OPACITY = 8  # logit
SCALE = slice(9, 12)  # log of the standard deviations, capture units
ROTATION = slice(12, 16)  # quaternion (w, x, y, z), any length
COLOR = slice(16, 19)  # rgb in the capture's encoding
HARMONICS = slice(19, 28)  # degree-1 spherical harmonics, basis (-y, z, -x) by channel
WIDTH = 28

TILE = 16
# Blending as in 3D Gaussian Splatting (Kerbl et al. 2023, appendix C): what is fainter than 1/255 is
# skipped, alpha is capped, and a pixel is finished when its transmittance is below 1e-4.
ALPHA_MINIMUM = 1.0 / 255.0
ALPHA_MAXIMUM = 0.99
TRANSMITTANCE_MINIMUM = 1e-4
# Variance in square pixels added to every projected Gaussian, a pixel's own footprint (ibid.).
DILATION = 0.3
# How far outside the image (share of its size) a centre may lie before the projection's linearisation
# is clamped there (Kerbl et al.'s released code: 1.3 times the half angle).
GUARD = 0.15
# Capture units to where an orthographic camera is seen from: its rays' directions then differ by no more than
# float32's own rounding over any scene.
FAR_AWAY = 1e8
# Degree-1 real spherical harmonic's constant, sqrt(3 / (4 pi)).
SH_C1 = 0.4886025119029199


@dataclass(frozen=True, eq=False)
class View:
    """A pinhole or orthographic camera at a time, as kernels take it.

    ``packed`` (33,) float64: world-to-camera rotation (9, row by row, OpenCV axes) and translation (3),
    fl_x, fl_y, cx, cy, camera position (3), time in timesteps, dilation in square pixels, near depth,
    width, height, and 1 for a perspective picture, 0 for an orthographic one, which is only rendered, not
    trained; timesteps a pixel right and down by which the picture was taken later (a rolling shutter), and
    the world's turn (3) and drift (3) a timestep past the camera meanwhile. ``tiles``, if given, is (tile
    rows, tile columns) bool: only these are rendered.
    """

    width: int
    height: int
    packed: npt.NDArray[np.float64]
    tiles: npt.NDArray[np.bool_] | None = None

    @property
    def tile_columns(self) -> int:
        return -(-self.width // TILE)

    @property
    def tile_rows(self) -> int:
        return -(-self.height // TILE)


def make_view(
    camera: Camera,
    time: float,
    near: float,
    dilation: float = DILATION,
    tiles: npt.NDArray[np.bool_] | None = None,
    shutter: RollingShutter | None = None,
) -> View:
    """Pack a camera at ``time`` (timesteps); Gaussians nearer than ``near`` are not drawn.

    ``shutter``, with timesteps for seconds, is a rolling one; without, all is seen at ``time``.
    """
    rolling = shutter or RollingShutter()
    is_orthographic = camera.camera_model == "ORTHOGRAPHIC"
    # The colour that is seen depends on the direction to the camera: an orthographic one is seen from afar.
    seen_from = camera.position - is_orthographic * FAR_AWAY * camera.forward
    world_to_camera = camera.world_to_camera_opencv()
    packed = np.concatenate(
        [
            world_to_camera[:3, :3].ravel(),
            world_to_camera[:3, 3],
            [camera.fl_x, camera.fl_y, camera.cx, camera.cy],
            seen_from,
            [time, dilation, near, camera.width, camera.height, 0.0 if is_orthographic else 1.0],
            [rolling.across / camera.width, rolling.down / camera.height, *rolling.turn, *rolling.drift],
        ]
    )
    return View(camera.width, camera.height, packed, tiles)


def window_tiles(camera: Camera) -> npt.NDArray[np.bool_] | None:
    """The tiles of the uncut image (tile rows, tile columns) that a camera's window touches; None for all."""
    if camera.window is None:
        return None
    left, top, width, height = camera.window
    tiles = np.zeros((-(-height // TILE), -(-width // TILE)), np.bool_)
    tiles[
        top // TILE : -(-(top + camera.height) // TILE), left // TILE : -(-(left + camera.width) // TILE)
    ] = True
    return tiles
