"""Small recordings made here: rigs with known poses, pictures that tell which frame they are."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import av
import cv2
import numpy as np
import pytest


def numbered_picture(number: int, width: int = 64, height: int = 48) -> np.ndarray:
    """(H, W, 3) grey picture whose left half is brighter by 6 levels for each ``number``."""
    picture = np.full((height, width, 3), 128, dtype=np.uint8)
    picture[:, : width // 2] = 20 + 6 * number
    return picture


def number_of(picture: np.ndarray) -> int:
    """The number that ``numbered_picture`` was given."""
    return round((float(np.median(picture[:, 2 : picture.shape[1] // 2 - 4])) - 20) / 6)


def write_video(
    path: Path,
    pictures: Sequence[np.ndarray],
    fps: int = 12,
    rotation: int = 0,
    options: dict[str, str] | None = None,
    codec: str = "libx264",
    times: Sequence[int] | None = None,
) -> None:
    """Nearly lossless, in 4:4:4 where ``codec`` can; ``rotation`` goes into the display matrix, ``times`` are
    those of the frames, in frames."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        chosen = {"crf": "8", "preset": "ultrafast", **(options or {})}
        stream = container.add_stream(codec, rate=Fraction(fps), options=chosen)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuv444p" if codec == "libx264" else "yuv420p"
        if rotation:
            stream.set_display_rotation(rotation)
        for index, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            if times is not None:
                frame.pts, frame.time_base = times[index], Fraction(1, fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def write_image(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    code = cv2.COLOR_RGBA2BGRA if pixels.shape[-1] == 4 else cv2.COLOR_RGB2BGR
    assert cv2.imwrite(str(path), cv2.cvtColor(pixels, code))


def look_at(position: Sequence[float], target: Sequence[float] = (0.0, 0.0, 0.0)) -> np.ndarray:
    """(4, 4) camera-to-world, OpenGL axes, z up."""
    back = np.asarray(position, dtype=np.float64) - np.asarray(target, dtype=np.float64)
    back /= np.linalg.norm(back)
    right = np.cross([0.0, 0.0, 1.0], back)
    right /= np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3] = np.stack([right, np.cross(back, right), back, np.asarray(position, dtype=np.float64)], axis=1)
    return pose


def arc(count: int) -> list[np.ndarray]:
    """Poses on an arc that all look at the origin."""
    return [
        look_at((3.0 * np.sin(angle), -3.0 * np.cos(angle), 0.4 + 0.1 * index))
        for index, angle in enumerate(np.linspace(-0.6, 0.6, count))
    ]


def write_n3dv(
    folder: Path,
    names: Sequence[str] = ("cam00", "cam01", "cam03"),
    frames: int | Sequence[int] = 4,
    poses: Sequence[np.ndarray] | None = None,
    calibrated: tuple[int, int, float] = (64, 48, 60.0),
) -> list[np.ndarray]:
    """Videos ``NAME.mp4`` and ``poses_bounds.npy``; returns the poses."""
    poses = poses or arc(len(names))
    counts = [frames] * len(names) if isinstance(frames, int) else list(frames)
    rows = []
    width, height, focal = calibrated
    for index, (name, pose) in enumerate(zip(names, poses, strict=True)):
        write_video(folder / f"{name}.mp4", [numbered_picture(7 * index + k) for k in range(counts[index])])
        columns = [-pose[:3, 1], pose[:3, 0], pose[:3, 2], pose[:3, 3], [height, width, focal]]
        rows.append([*np.stack(columns, axis=1).ravel(), 1.0, 6.0])
    np.save(folder / "poses_bounds.npy", np.array(rows))
    return list(poses)


def write_transforms(
    folder: Path, entries: Sequence[dict], name: str = "transforms.json", **shared: object
) -> Path:
    """A list of frames; an image is made for every ``file_path`` that has a ``picture`` number."""
    frames = []
    for entry in entries:
        entry = dict(entry)
        number = entry.pop("picture", None)
        if number is not None:
            path = folder / entry["file_path"]
            write_image(path if path.suffix else path.with_name(path.name + ".png"), numbered_picture(number))
        frames.append(entry)
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / name
    file.write_text(json.dumps({**shared, "frames": frames}))
    return file


@pytest.fixture(scope="session")
def make() -> SimpleNamespace:
    """The makers above."""
    makers: list[Callable[..., object]] = [
        numbered_picture, number_of, write_video, write_image, look_at, arc, write_n3dv, write_transforms,
    ]  # fmt: skip
    return SimpleNamespace(**{maker.__name__: maker for maker in makers})
