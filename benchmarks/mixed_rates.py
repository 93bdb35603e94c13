"""What cameras of different frame rates cost: the held-out PSNR of three trainings.

python -m benchmarks.mixed_rates STAGE [--steps 800] [--out DIR]

STAGE is in the layout of N3DV, 24 frames a second. `one rate`: every camera at 12. `two rates`: every second
camera at 8, so that half of its frames lie between the timesteps. `snapped`: the same, each frame taken for
one of its timestep's time.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from neural_render_server.captures.capture import Capture, VideoSource
from neural_render_server.captures.detect import read_capture
from neural_render_server.captures.timestamps import FILE
from neural_render_server.captures.video import VideoReader
from neural_render_server.progress import Control
from neural_render_server.training.options import TrainOptions
from neural_render_server.training.trainer import train

from . import report

FPS, FRAMES = 24, 48


def write_film(stage: Capture, folder: Path, strides: list[int]) -> None:
    """Every ``strides[camera]``-th frame of each camera as a video of that rate."""
    shutil.copy(stage.path / "poses_bounds.npy", folder)
    for camera, stride in enumerate(strides):
        source = next(view.source for view in stage.views if view.camera == camera)
        assert isinstance(source, VideoSource)
        with VideoReader(source.path) as reader, av.open(str(folder / source.path.name), "w") as film:
            stream = film.add_stream("libx264", rate=Fraction(FPS, stride), options={"crf": "4"})
            stream.width, stream.height, stream.pix_fmt = reader.info.width, reader.info.height, "yuv444p"
            for pixels in reader.read(range(0, FRAMES, stride)):
                film.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
            film.mux(stream.encode())


def snap(stage: Capture, folder: Path, strides: list[int]) -> None:
    """Say that every frame was taken at the nearest frame of 12 a second."""
    rows = ["cam_id,frame_index,frame_time"]
    for camera, stride in enumerate(strides):
        times = np.round(np.arange(0, FRAMES, stride) / 2 - 1e-3) / (FPS / 2)
        rows += [f"{stage.cameras[camera].name},{frame},{time}" for frame, time in enumerate(times)]
    (folder / FILE).write_text("\n".join(rows))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("stage", type=Path)
    parser.add_argument("--steps", type=int, default=800)
    parser.add_argument("--out", type=Path, default=Path("out/benchmarks"))
    arguments = parser.parse_args()

    stage = read_capture(arguments.stage)
    same = [2] * len(stage.cameras)
    mixed = [2 if camera % 2 == 0 else 3 for camera in range(len(stage.cameras))]
    rows: list[dict[str, Any]] = []
    for name, strides in (("one rate", same), ("two rates", mixed), ("snapped", mixed)):
        with tempfile.TemporaryDirectory() as temporary:
            capture, scene = Path(temporary) / "capture", Path(temporary) / "scene"
            capture.mkdir()
            write_film(stage, capture, strides)
            if name == "snapped":
                snap(stage, capture, strides)
            options = TrainOptions(str(capture), str(scene), steps=arguments.steps, test_cameras=("cam00",))
            result = train(options, lambda event: None, Control())
        rows.append({"capture": name, "CPU s": result["cpu_seconds"], **result["metrics"]})
        print(rows[-1], flush=True)
    title = "Cameras of different frame rates"
    report.write(arguments.out, "mixed_rates", title, rows, "python -m benchmarks.mixed_rates STAGE")


if __name__ == "__main__":
    main()
