"""A tiny film of a known world, ray-traced here, for tests: a checked room and a ball that flies by.

World: metres, z up. Every pixel's true colour and depth are known. As a script it writes the film in
one of the formats the readers know: ``python tests/tiny_capture.py FOLDER [--format n3dv]``.
"""

from __future__ import annotations

import argparse
import json
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

WIDTH, HEIGHT, FOCAL = 64, 48, 56.0
CAMERAS, TIMESTEPS, FPS = 7, 6, 12
BALL_RADIUS = 0.35
WALL_Y = 2.0


def camera_to_world(position: np.ndarray, target: np.ndarray) -> np.ndarray:
    """(4, 4) OpenGL pose of a camera at ``position`` that looks at ``target``, z up."""
    back = (position - target) / np.linalg.norm(position - target)
    right = np.cross([0.0, 0.0, 1.0], back)
    right /= np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3, 0], pose[:3, 1], pose[:3, 2], pose[:3, 3] = right, np.cross(back, right), back, position
    return pose


def rig() -> list[np.ndarray]:
    """The cameras on an arc; the middle one comes first, as held-out cameras do."""
    order = sorted(range(CAMERAS), key=lambda index: (index != CAMERAS // 2, index))
    angles = np.linspace(-0.5, 0.5, CAMERAS)[order]
    return [
        camera_to_world(
            np.array([4.0 * np.sin(a), -4.0 * np.cos(a) + 1.0, 1.0 + 0.15 * (i % 3)]),
            np.array([0.0, 1.0, 0.7]),
        )
        for i, a in enumerate(angles)
    ]


def ball_position(time: float) -> np.ndarray:
    return np.array([-0.7 + 1.4 * time * FPS / (TIMESTEPS - 1), 0.9, 0.8])


def trace(
    pose: np.ndarray, time: float, width: int = WIDTH, height: int = HEIGHT
) -> tuple[np.ndarray, np.ndarray]:
    """The world from a pose: (H, W, 3) colour in [0, 1] and (H, W) planar depth in metres."""
    focal = FOCAL * width / WIDTH
    x, y = np.meshgrid(
        (np.arange(width) + 0.5 - width / 2) / focal, (np.arange(height) + 0.5 - height / 2) / focal
    )
    directions = np.stack([x, -y, -np.ones_like(x)], axis=-1) @ pose[:3, :3].T
    origin = pose[:3, 3]
    depth = np.full((height, width), np.inf)
    color = np.zeros((height, width, 3))
    with np.errstate(divide="ignore"):
        for axis, level in ((2, 0.0), (1, WALL_Y)):  # the floor and the wall
            distance = (level - origin[axis]) / directions[..., axis]
            point = origin + distance[..., None] * directions
            across = point[..., [0, 1]] if axis == 2 else point[..., [0, 2]]
            checker = (np.floor(across * 2.5).sum(axis=-1) % 2)[..., None]
            base = np.array([0.75, 0.6, 0.4]) if axis == 2 else np.array([0.35, 0.5, 0.7])
            seen = (distance > 0) & (distance < depth)
            color = np.where(seen[..., None], base * (0.7 + 0.3 * checker), color)
            depth = np.where(seen, distance, depth)
    to_ball = origin - ball_position(time)
    a, b = (directions**2).sum(axis=-1), (directions * to_ball).sum(axis=-1)
    root = b**2 - a * (to_ball @ to_ball - BALL_RADIUS**2)
    distance = (-b - np.sqrt(np.maximum(root, 0.0))) / a
    seen = (root > 0) & (distance > 0) & (distance < depth)
    normal = (origin + distance[..., None] * directions - ball_position(time)) / BALL_RADIUS
    ball = np.array([0.9, 0.25, 0.2]) * (0.6 + 0.4 * np.clip(normal[..., 2:], -1, 1))
    return np.where(seen[..., None], ball, color), np.where(seen, distance, depth)


def picture(pose: np.ndarray, time: float) -> np.ndarray:
    """(H, W, 3) uint8, supersampled 3x3."""
    color, _ = trace(pose, time, 3 * WIDTH, 3 * HEIGHT)
    return np.asarray(
        (cv2.resize(color, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA) * 255 + 0.5).astype(np.uint8)
    )


def write_video(path: Path, pictures: list[np.ndarray], fps: int = FPS) -> None:
    """H.264 4:4:4, nearly lossless."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(
            "libx264", rate=Fraction(fps), options={"crf": "8", "preset": "ultrafast"}
        )
        stream.width, stream.height, stream.pix_fmt = pictures[0].shape[1], pictures[0].shape[0], "yuv444p"
        for image in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())


def write_n3dv(folder: Path) -> None:
    """``camNN.mp4`` and ``poses_bounds.npy``, whose rotation columns are down, right, back."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for index, pose in enumerate(rig()):
        write_video(folder / f"cam{index:02d}.mp4", [picture(pose, step / FPS) for step in range(TIMESTEPS)])
        columns = [-pose[:3, 1], pose[:3, 0], pose[:3, 2], pose[:3, 3], [HEIGHT, WIDTH, FOCAL]]
        rows.append([*np.stack(columns, axis=1).ravel(), 1.0, 8.0])
    np.save(folder / "poses_bounds.npy", np.array(rows))


def write_transforms(folder: Path, dynamic: bool = False) -> None:
    """``transforms.json`` with PNG images; with ``dynamic``, a ``time`` for each."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    frames = []
    for index, pose in enumerate(rig()):
        for step in range(TIMESTEPS if dynamic else 1):
            name = f"images/cam{index:02d}_{step:03d}.png"
            cv2.imwrite(str(folder / name), cv2.cvtColor(picture(pose, step / FPS), cv2.COLOR_RGB2BGR))
            frame = {"file_path": name, "transform_matrix": pose.tolist()}
            frames.append({**frame, "time": step / FPS} if dynamic else frame)
    shared = {"w": WIDTH, "h": HEIGHT, "fl_x": FOCAL, "fl_y": FOCAL, "cx": WIDTH / 2, "cy": HEIGHT / 2}
    (folder / "transforms.json").write_text(json.dumps({**shared, "frames": frames}))


def write_camera_file(path: Path, width: int = WIDTH, height: int = HEIGHT, count: int = 3) -> None:
    """A short move between the rig's cameras, over the film's time."""
    frames = []
    for index, fraction in enumerate(np.linspace(0.3, 0.7, count)):
        angle = -0.5 + fraction
        position = np.array([4.0 * np.sin(angle), -4.0 * np.cos(angle) + 1.0, 1.1])
        pose = camera_to_world(position, np.array([0.0, 1.0, 0.7]))
        frames.append({"name": f"{index + 1:04d}", "time": index / FPS, "transform_matrix": pose.tolist()})
    focal = FOCAL * width / WIDTH
    shared = {
        "w": width,
        "h": height,
        "fl_x": focal,
        "fl_y": focal,
        "cx": width / 2,
        "cy": height / 2,
        "fps": FPS,
    }
    path.write_text(json.dumps({**shared, "frames": frames}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--format", choices=("n3dv", "transforms", "transforms-dynamic"), default="n3dv")
    arguments = parser.parse_args()
    if arguments.format == "n3dv":
        write_n3dv(arguments.folder)
    else:
        write_transforms(arguments.folder, dynamic=arguments.format.endswith("dynamic"))


if __name__ == "__main__":
    main()
