"""Run in the server's Python: a textured square seen through the server's cameras, by ray casting.

    python analytic_camera.py REQUEST.json PICTURES.npz

The request holds camera file entries, and the texture's file; the square spans x and y from -1 to 1 at z = 0
of the capture, its texture's first row at y = -1. Each picture is (H, W, 4), colour and coverage.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

from neural_render_server.cameras import Camera, camera_from_json

# Rays along each side of a pixel.
OVERSAMPLING = 8


def render(camera: Camera, texture: np.ndarray) -> np.ndarray:
    fine = camera.scaled(camera.width * OVERSAMPLING, camera.height * OVERSAMPLING)
    rays_o, rays_d = (rays.astype(np.float64) for rays in fine.rays())
    with np.errstate(divide="ignore", invalid="ignore"):
        distance = -rays_o[..., 2] / rays_d[..., 2]
        hit = rays_o + distance[..., None] * rays_d
        inside = (distance > 0) & (np.abs(hit[..., :2]).max(axis=-1) < 1)
    picture = np.zeros((fine.height, fine.width, 4))
    size = len(texture)
    columns, rows = (np.clip((hit[inside, axis] + 1) / 2 * size, 0, size - 1).astype(int) for axis in (0, 1))
    picture[inside, :3] = texture[rows, columns]
    picture[inside, 3] = 1
    return picture.reshape(camera.height, OVERSAMPLING, camera.width, OVERSAMPLING, 4).mean(axis=(1, 3))


def main() -> None:
    request = json.loads(Path(sys.argv[1]).read_text())
    texture = np.load(request["texture"])
    cameras = {name: camera_from_json(entry, {}, name) for name, entry in request["cameras"].items()}
    np.savez(sys.argv[2], **{name: render(camera, texture) for name, camera in cameras.items()})


if __name__ == "__main__":
    main()
