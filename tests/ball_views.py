"""Training views of a ball that flies before a wall, drawn here, in memory."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from neural_render_server.cameras import Camera
from neural_render_server.captures.capture import PointCloud

TIMES = np.arange(4) / 24.0


def camera_at(angle: float, width: int = 64, height: int = 48, distance: float = 4.0) -> Camera:
    """On a circle around the origin, looking at it, z up."""
    backward = np.array([np.sin(angle), -np.cos(angle), 0.0])
    right = np.array([np.cos(angle), np.sin(angle), 0.0])
    camera_to_world = np.eye(4)
    camera_to_world[:3] = np.stack([right, [0, 0, 1], backward, distance * backward], axis=1)
    return Camera(width, height, width * 0.9, width * 0.9, width / 2, height / 2, camera_to_world)


def ball_scene(camera: Camera, time: float) -> tuple[np.ndarray, np.ndarray]:
    """A ball that flies along x before a wall in the plane y = 1: colour (H, W, 3) uint8, the ball (H, W)."""
    origin, direction = (array.astype(np.float64) for array in camera.rays())
    wall = origin + direction * ((1.0 - origin[..., 1:2]) / direction[..., 1:2])
    color = 0.5 + 0.2 * np.sin(4 * wall[..., [0, 2, 0]] + np.array([0.0, 1.0, 2.0]))
    center = np.array([2.0 * (time - TIMES.mean()), 0.0, 0.0])
    to_center = center - origin
    along = (to_center * direction).sum(-1) / (direction**2).sum(-1)
    ball = np.linalg.norm(to_center - along[..., None] * direction, axis=-1) < 0.5
    color = np.where(ball[..., None], [0.9, 0.3, 0.1], color)
    return (color * 255).round().astype(np.uint8), ball


@dataclass
class Views:
    """Training views in memory."""

    cameras: list[Camera]
    times: np.ndarray
    camera_indices: np.ndarray
    timestep_indices: np.ndarray
    images: list[np.ndarray]
    alphas: list[np.ndarray] | None = None
    masks: list[np.ndarray] | None = None
    points: PointCloud | None = None
    near_far: np.ndarray | None = None
    shutters: list | None = None

    @property
    def view_times(self) -> np.ndarray:
        return self.times[self.timestep_indices]

    @property
    def has_alpha(self) -> bool:
        return self.alphas is not None

    def __len__(self) -> int:
        return len(self.images)

    def rgb(self, index: int) -> np.ndarray:
        return self.images[index]

    def alpha(self, index: int) -> np.ndarray | None:
        return self.alphas[index] if self.alphas is not None else None

    def mask(self, index: int) -> np.ndarray | None:
        return self.masks[index] if self.masks is not None else None


def make_views(times: np.ndarray = TIMES, with_alpha: bool = False, second_size: bool = False) -> Views:
    cameras = [camera_at(angle) for angle in np.linspace(-0.5, 0.5, 5)]
    if second_size:
        cameras[1::2] = [camera_at(angle, 50, 70) for angle in np.linspace(-0.4, 0.4, 2)]
    pairs = [(c, t) for c in range(len(cameras)) for t in range(len(times))]
    drawn = [ball_scene(cameras[c], times[t]) for c, t in pairs]
    return Views(
        cameras,
        times,
        np.array([c for c, _ in pairs]),
        np.array([t for _, t in pairs]),
        [color for color, _ in drawn],
        [ball.astype(np.uint8) * 255 for _, ball in drawn] if with_alpha else None,
    )
