"""The pass ``motion`` of a trained scene, held against the film of a camera that it was not trained on.

python -m benchmarks.motion SCENE [--out DIR]

The held-out camera's filmed picture of a timestep, moved by the pass, should be its picture of the next one.
"""

from __future__ import annotations

import argparse
import time as clock
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from neural_render_server.cameras import Camera
from neural_render_server.captures.frames import Frames
from neural_render_server.optical_flow import pixel_centres, sampled
from neural_render_server.rendering.frames import FrameRenderer
from neural_render_server.rendering.passes import Passes, PassOptions
from neural_render_server.training.options import TrainOptions

from . import report

MOMENTS = 7
# Of a picture in [0, 1]: what changes by more from the timestep before to the one after moves.
MOVES = 0.08
# Pixels a timestep that are shown as a full colour.
FULL_COLOUR = 6.0

Picture = npt.NDArray[np.float32]


def screen_motion(camera: Camera, passes: Passes, seconds: float) -> Picture:
    """(H, W, 2) pixels that each pixel's point moves right and down within ``seconds``."""
    rays_o, rays_d = camera.rays()
    points = (rays_o + rays_d * passes["depth"]).reshape(-1, 3)
    moved = points + seconds * passes["motion"].reshape(-1, 3)
    shift = (camera.project(moved)[0] - camera.project(points)[0]).astype(np.float32)
    return shift.reshape(camera.height, camera.width, 2)


def coloured(motion: Picture) -> npt.NDArray[np.uint8]:
    """(H, W, 3) BGR: a hue a direction, black where nothing moves."""
    angle = (np.arctan2(motion[..., 1], motion[..., 0]) + np.pi) * (90.0 / np.pi)
    value = np.clip(np.linalg.norm(motion, axis=-1) / FULL_COLOUR, 0.0, 1.0) * 255.0
    hsv = np.stack([angle, np.full_like(angle, 255.0), value], axis=-1).astype(np.uint8)
    return np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR), dtype=np.uint8)


class Film:
    """What the first held-out camera filmed, (H, W, 3) in [0, 1] by timestep."""

    def __init__(self, frames: Frames) -> None:
        first = frames.camera_indices[0]
        self.camera = frames.cameras[int(first)]
        self._frames = frames
        self._views = {
            int(frames.timestep_indices[view]): int(view)
            for view in np.flatnonzero(frames.camera_indices == first)
        }
        self.times = [float(frames.times[timestep]) for timestep in sorted(self._views)]

    def picture(self, timestep: int) -> Picture:
        return (self._frames.rgb(self._views[timestep]) / 255.0).astype(np.float32)


def row(renderer: FrameRenderer, film: Film, timestep: int, pictures: Path) -> dict[str, Any]:
    time, step = film.times[timestep], film.times[timestep] - film.times[timestep - 1]
    before, here, after = (film.picture(timestep + away) for away in (-1, 0, 1))
    moving = cv2.dilate((np.abs(after - before).max(axis=-1) > MOVES).astype(np.uint8), np.ones((3, 3))) > 0
    renderer.render(film.camera, time, PassOptions())
    start = clock.process_time()
    renderer.render(film.camera, time, PassOptions())
    plain = clock.process_time() - start
    start = clock.process_time()
    passes = renderer.render(film.camera, time, PassOptions(("combined", "depth", "motion")))
    seconds = clock.process_time() - start
    motion = screen_motion(film.camera, passes, step)
    back = screen_motion(film.camera, passes, -step)
    predicted = sampled(before, pixel_centres(film.camera.width, film.camera.height) + back)
    seen = cv2.cvtColor((here * 255.0).astype(np.uint8), cv2.COLOR_RGB2BGR)
    cv2.imwrite(str(pictures / f"motion_{timestep:03d}.png"), np.hstack([seen, coloured(motion)]))

    def psnr(picture: Picture) -> float:
        return float(-10.0 * np.log10(((picture - here)[moving] ** 2).mean()))

    length = np.linalg.norm(motion, axis=-1)
    return {
        "seconds": time,
        "moving pixels": int(moving.sum()),
        "without motion, dB": psnr(before),
        "moved by the pass, dB": psnr(predicted),
        "pixels a timestep there, mean": float(length[moving].mean()),
        "elsewhere": float(length[~moving].mean()),
        "a picture, CPU ms": 1e3 * plain,
        "the pass, CPU ms": 1e3 * (seconds - plain),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scene", type=Path)
    parser.add_argument("--out", type=Path, default=Path("out/benchmarks"))
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    renderer = FrameRenderer(arguments.scene)
    capture = TrainOptions.from_json(renderer.info.training).open_capture()
    with Frames(capture, capture.test_indices) as frames:
        film = Film(frames)
        last = len(film.times) - 1
        chosen = [1 + index * (last - 2) // (MOMENTS - 1) for index in range(MOMENTS)]
        rows = [row(renderer, film, timestep, arguments.out) for timestep in chosen]
    names = [name for name in rows[0] if name != "seconds"]
    rows.append(
        {"seconds": "mean", **{name: float(np.mean([each[name] for each in rows])) for name in names}}
    )
    title = f"A held-out camera's film, moved by the pass motion, {film.camera.width}x{film.camera.height}"
    report.write(arguments.out, "motion", title, rows, "python -m benchmarks.motion SCENE")


if __name__ == "__main__":
    main()
