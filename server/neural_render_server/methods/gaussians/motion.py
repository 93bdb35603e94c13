"""Velocities in space from how pixels move in several cameras (scene flow from optical flow)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from ...cameras import Camera

FloatArray = npt.NDArray[np.float64]
Float32Array = npt.NDArray[np.float32]

# Share of a camera's own strength given to resting in a direction that no camera sees (its depth).
REST_WEIGHT = 0.02
# A velocity is the median over this many neighbouring points.
SMOOTHING_NEIGHBOURS = 9


class SceneFlow:
    """Least squares for the displacement of N points from the flow seen in the cameras that see them.

    A camera with projection pi says ``(d pi / d x) displacement = flow``; every camera adds its two
    equations for each point it sees (Vedula et al., "Three-dimensional scene flow", ICCV 1999).
    """

    def __init__(self, points: FloatArray) -> None:
        self._points = points
        self._normal = np.zeros((len(points), 3, 3))
        self._right = np.zeros((len(points), 3))

    def add(
        self, camera: Camera, flow: Float32Array, seen: npt.NDArray[np.bool_], pixels: npt.NDArray[np.int64]
    ) -> None:
        """Add a camera's ``flow`` (H, W, 2), at ``pixels`` (N, 2) (row, column), for points ``seen`` (N,)."""
        pose = camera.world_to_camera_opencv()
        inside = self._points[seen] @ pose[:3, :3].T + pose[:3, 3]
        depth = inside[:, 2:]
        # rows of the projection's Jacobian, in world axes
        along_x = camera.fl_x / depth * (pose[0, :3] - inside[:, :1] / depth * pose[2, :3])
        along_y = camera.fl_y / depth * (pose[1, :3] - inside[:, 1:2] / depth * pose[2, :3])
        jacobian = np.stack([along_x, along_y], axis=1)
        moved = flow[pixels[seen, 0], pixels[seen, 1]].astype(np.float64)
        self._normal[seen] += np.einsum("nij,nik->njk", jacobian, jacobian)
        self._right[seen] += np.einsum("nij,ni->nj", jacobian, moved)

    def displacements(self) -> FloatArray:
        """(N, 3) displacement of every point; directions that no camera saw rest."""
        strength = np.trace(self._normal, axis1=1, axis2=2) / 3.0
        rest = (REST_WEIGHT * strength + 1e-12)[:, None, None] * np.eye(3)
        result: FloatArray = np.linalg.solve(self._normal + rest, self._right[..., None])[..., 0]
        return result


def smoothed(positions: Float32Array, values: Float32Array) -> Float32Array:
    """(N, 3) median of ``values`` (N, 3) over the nearest points of each position, itself among them."""
    if len(positions) == 0:
        return values
    near = min(SMOOTHING_NEIGHBOURS, len(positions))
    _, neighbours = cKDTree(positions).query(positions, k=near)
    result: Float32Array = np.median(values[np.reshape(neighbours, (len(positions), near))], axis=1)
    return result
