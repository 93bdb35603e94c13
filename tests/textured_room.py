"""A small room with noise on its walls, ray-traced here, that cameras can be solved in: poses are known.

World: metres, z up, the floor at z = 0. Every picture costs milliseconds.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from tiny_capture import camera_to_world

WIDTH, HEIGHT, FOCAL = 320, 240, 300.0

# axis, level, and half size of each textured square around the origin: floor, walls, and a table's top.
SURFACES = ((2, 0.0, 4.0), (1, 2.0, 4.0), (0, -2.0, 4.0), (0, 2.0, 4.0), (2, 0.7, 0.6))
TEXELS = 512


@cache
def texture(index: int) -> np.ndarray:
    """(TEXELS, TEXELS, 3) float in [0, 1]: noise of several sizes, so that there are features of each."""
    random = np.random.default_rng(index)
    total = np.zeros((TEXELS, TEXELS, 3))
    for size, weight in ((16, 0.5), (64, 0.3), (256, 0.2)):
        noise = random.random((size, size, 3))
        total += weight * np.kron(noise, np.ones((TEXELS // size, TEXELS // size, 1)))
    return total


def room_rig(count: int = 8) -> list[np.ndarray]:
    """Poses (4, 4) on an arc before the back wall, held level, tilted differently."""
    angles = np.linspace(-0.45, 0.45, count)
    return [
        camera_to_world(
            np.array([3.4 * np.sin(a), -3.0 * np.cos(a), 1.3 + 0.3 * (i % 3)]),
            np.array([0.15 * (i % 2), 0.8, 0.6 + 0.1 * (i % 4)]),
        )
        for i, a in enumerate(angles)
    ]


def room_picture(pose: np.ndarray, ball: np.ndarray | None = None) -> np.ndarray:
    """(HEIGHT, WIDTH, 3) uint8 of the room from ``pose``, with a striped ball at ``ball`` where given."""
    x, y = np.meshgrid(
        (np.arange(WIDTH) + 0.5 - WIDTH / 2) / FOCAL, (np.arange(HEIGHT) + 0.5 - HEIGHT / 2) / FOCAL
    )
    directions = np.stack([x, -y, -np.ones_like(x)], axis=-1) @ pose[:3, :3].T
    origin = pose[:3, 3]
    depth = np.full(x.shape, np.inf)
    color = np.zeros((*x.shape, 3))
    with np.errstate(divide="ignore", invalid="ignore"):
        for index, (axis, level, half) in enumerate(SURFACES):
            distance = (level - origin[axis]) / directions[..., axis]
            across = np.delete(origin + distance[..., None] * directions, axis, axis=-1)
            seen = (distance > 0) & (distance < depth) & (np.abs(across) < half).all(axis=-1)
            places = ((across / half + 1.0) * (0.5 * TEXELS) * (half / 4.0)).clip(0, TEXELS - 1)
            # The table's texture is as fine as the walls'.
            texels = texture(index)[places[..., 0].astype(int) % TEXELS, places[..., 1].astype(int) % TEXELS]
            color[seen], depth[seen] = texels[seen], distance[seen]
        if ball is not None:
            to_ball = ball - origin
            along = (directions @ to_ball) / (directions**2).sum(axis=-1)
            off = np.linalg.norm(origin + along[..., None] * directions - ball, axis=-1)
            hit = (off < 0.35) & (along < depth)
            stripes = (np.floor(20.0 * (directions @ [0.3, 0.1, 1.0])) % 2)[..., None]
            color[hit] = (np.array([0.9, 0.2, 0.1]) * (0.4 + 0.6 * stripes))[hit]
    return (np.nan_to_num(color).clip(0, 1) * 255).round().astype(np.uint8)
