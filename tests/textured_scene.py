"""A textured square that moves before a textured wall, rendered here by ray intersection."""

from __future__ import annotations

import numpy as np
from ball_views import Views

from neural_render_server.cameras import Camera

WIDTH, HEIGHT, FOCAL = 72, 54, 60.0
FPS = 24.0
# The scene: a wall in the plane y = 2 and a square before it in the plane y = 0 that moves along x.
WALL, SQUARE_SIZE, SPEED = 2.0, 0.8, 1.5


def look_at(position: list[float], target: list[float]) -> np.ndarray:
    backward = np.subtract(position, target)
    backward = backward / np.linalg.norm(backward)
    right = np.cross([0.0, 0.0, 1.0], backward)
    right /= np.linalg.norm(right)
    matrix = np.eye(4)
    matrix[:3] = np.stack([right, np.cross(backward, right), backward, np.array(position)], axis=1)
    return matrix


def texture(x: np.ndarray, y: np.ndarray, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    color = np.zeros((*x.shape, 3))
    for _ in range(16):
        frequency, phase = random.uniform(-11, 11, size=2), random.uniform(0, 2 * np.pi, size=3)
        color += np.sin(frequency[0] * x[..., None] + frequency[1] * y[..., None] + phase)
    return np.clip(0.5 + 0.12 * color, 0, 1)


def render(camera: Camera, time: float, with_wall: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Colour (H, W, 3) uint8 and whether a surface is hit (H, W)."""
    origin, direction = (array.astype(np.float64) for array in camera.rays())

    def hit(plane: float) -> np.ndarray:
        return origin + direction * ((plane - origin[..., 1:2]) / direction[..., 1:2])

    wall, square = hit(WALL), hit(0.0)
    x, z = square[..., 0] - SPEED * time, square[..., 2]
    on_square = (np.abs(x) < SQUARE_SIZE / 2) & (np.abs(z) < SQUARE_SIZE / 2)
    color = np.where(on_square[..., None], texture(x, z, 1), texture(wall[..., 0], wall[..., 2], 2))
    opaque = on_square | with_wall
    return (np.where(opaque[..., None], color, 0.0) * 255).round().astype(np.uint8), opaque


def film(positions: list[list[float]], timesteps: int, one_each: bool = False, wall: bool = True) -> Views:
    """Film the scene from ``positions``; ``one_each`` gives every camera one timestep of its own."""
    cameras = [
        Camera(WIDTH, HEIGHT, FOCAL, FOCAL, WIDTH / 2, HEIGHT / 2, look_at(position, [0.0, 0.5, 0.0]))
        for position in positions
    ]
    if one_each:
        pairs = [(k, k) for k in range(len(cameras))]
    else:
        pairs = [(k, step) for k in range(len(cameras)) for step in range(timesteps)]
    frames = [render(cameras[k], step / FPS, wall) for k, step in pairs]
    return Views(
        cameras,
        np.arange(timesteps) / FPS,
        np.array([k for k, _ in pairs]),
        np.array([step for _, step in pairs]),
        [color for color, _ in frames],
        None if wall else [(opaque * 255).astype(np.uint8) for _, opaque in frames],
    )


ARC = [[x, -3.0 + 0.15 * x * x, z] for z in (-0.3, 0.4) for x in (-1.0, -0.35, 0.35, 1.0)]


def moving_film() -> Views:
    """The scene filmed for five timesteps, its depths stated."""
    views = film(ARC, 5)
    views.near_far = np.tile([1.5, 9.0], (len(ARC), 1))
    return views


def quiet(message: str, fraction: float) -> None:
    assert 0.0 <= fraction <= 1.0, message
