"""What one camera with other colours costs, with and without matching: the held-out PSNR of three trainings.

python -m benchmarks.camera_colors CAPTURE [--timesteps 24] [--steps 1500] [--out DIR]

CAPTURE is in the layout of N3DV. The frames of one camera are made brighter, warmer and darker in the
corners, in linear light, and clipped to 8 bits, as a camera would have filmed them.
"""

from __future__ import annotations

import argparse
import dataclasses
import shutil
import tempfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from neural_render_server.captures.capture import SplitOptions, VideoSource
from neural_render_server.captures.detect import open_capture
from neural_render_server.captures.frames import Frames
from neural_render_server.progress import Control
from neural_render_server.rendering.colour import linear_to_srgb, srgb_to_linear
from neural_render_server.training.options import TrainOptions
from neural_render_server.training.trainer import train

from . import report

# Warm: red up and blue down by a third of a stop. Vignetting: corners a third of a stop darker.
CAST = np.array([2 ** (1 / 3), 1.0, 2 ** (-1 / 3)], dtype=np.float32)
CORNER = 2 ** (-1 / 3)


def filmed_otherwise(rgb: npt.NDArray[np.uint8], stops: float) -> npt.NDArray[np.uint8]:
    """(H, W, 3) as a camera with another exposure, white balance and lens films it."""
    height, width = rgb.shape[:2]
    x = (np.arange(width, dtype=np.float32) + 0.5 - width / 2)[None]
    y = (np.arange(height, dtype=np.float32) + 0.5 - height / 2)[:, None]
    radius = (x**2 + y**2) / (width**2 + height**2) * 4
    linear = srgb_to_linear(rgb.astype(np.float32) / np.float32(255.0))
    linear *= 2**stops * CAST * (1 + (CORNER - 1) * radius)[..., None]
    return np.rint(np.clip(linear_to_srgb(linear), 0, 1) * 255).astype(np.uint8)


def write_frames(capture_path: Path, folder: Path, timesteps: int, odd: str | None, stops: float) -> None:
    """The capture's first frames as folders of PNGs; those of the camera ``odd`` filmed otherwise."""
    capture = open_capture(capture_path, SplitOptions(timesteps=(0, timesteps)))
    shutil.copy(capture_path / "poses_bounds.npy", folder)
    with Frames(capture, range(len(capture.views))) as frames:
        for index, view in enumerate(capture.views):
            assert isinstance(view.source, VideoSource)
            name = view.source.path.stem
            rgb = frames.rgb(index)
            if name == odd:
                rgb = filmed_otherwise(rgb, stops)
            target = folder / name / f"{view.source.frame:05d}.png"
            target.parent.mkdir(exist_ok=True)
            cv2.imwrite(str(target), cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("capture", type=Path)
    parser.add_argument("--timesteps", type=int, default=24)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--method", default="gaussians")
    parser.add_argument("--camera", default="cam05", help="the one with other colours")
    parser.add_argument("--stops", type=float, default=0.7)
    parser.add_argument("--out", type=Path, default=Path("out/benchmarks"))
    arguments = parser.parse_args()

    rows: list[dict[str, Any]] = []
    runs = (("as filmed", None, True), ("one differs", arguments.camera, False))
    for name, odd, match in (*runs, ("one differs, matched", arguments.camera, True)):
        with tempfile.TemporaryDirectory() as temporary:
            capture, scene = Path(temporary) / "capture", Path(temporary) / "scene"
            capture.mkdir()
            write_frames(arguments.capture, capture, arguments.timesteps, odd, arguments.stops)
            options = TrainOptions(
                str(capture),
                str(scene),
                arguments.method,
                steps=arguments.steps,
                test_cameras=("cam00",),
                match_colors=match,
            )
            result = train(options, _tell, Control())
        rows.append({"capture": name, "CPU s": result["cpu_seconds"], **result["metrics"]})
        print(rows[-1], flush=True)
    title = "One camera with other colours"
    report.write(arguments.out, "camera_colors", title, rows, "python -m benchmarks.camera_colors CAPTURE")


def _tell(event: Any) -> None:
    if event.kind == "message":
        print(dataclasses.asdict(event)["data"]["message"], flush=True)


if __name__ == "__main__":
    main()
