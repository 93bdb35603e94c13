"""Makes a long capture of large frames from a small one, to measure memory with.

python -m benchmarks.scale_up CAPTURE OUT [--timesteps 300] [--factor 4.225]

The film runs forth and back until it is long enough; frames are enlarged bicubically. The pictures hold
no more detail than before: this is a test of size, not of quality.
"""

from __future__ import annotations

import argparse
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np


def forth_and_back(count: int, length: int) -> list[int]:
    """``length`` frame numbers that run through ``count`` frames forth and back."""
    period = max(1, 2 * (count - 1))
    return [min(step % period, period - step % period) for step in range(length)]


def enlarge_video(source: Path, target: Path, timesteps: int, factor: float) -> None:
    with av.open(str(source)) as film:
        rate = film.streams.video[0].average_rate or Fraction(24)
        frames = [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]
    height, width = (round(size * factor / 2) * 2 for size in frames[0].shape[:2])
    large = [cv2.resize(frame, (width, height), interpolation=cv2.INTER_CUBIC) for frame in frames]
    with av.open(str(target), "w") as container:
        stream = container.add_stream("libx264", rate=rate, options={"crf": "16", "preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for index in forth_and_back(len(frames), timesteps):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(large[index], format="rgb24")))
        container.mux(stream.encode())


def enlarge(capture: Path, out: Path, timesteps: int, factor: float) -> None:
    """Write an enlarged N3DV capture of an N3DV capture."""
    out.mkdir(parents=True, exist_ok=True)
    rows = np.load(capture / "poses_bounds.npy")
    sizes = rows[:, :15].reshape(-1, 3, 5)
    sizes[:, :, 4] *= factor  # height, width, focal length in pixels
    np.save(out / "poses_bounds.npy", np.concatenate([sizes.reshape(-1, 15), rows[:, 15:]], axis=1))
    for video in sorted(capture.glob("cam*.mp4")):
        print(f"enlarging {video.name}", flush=True)
        enlarge_video(video, out / video.name, timesteps, factor)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("capture", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--timesteps", type=int, default=300)
    parser.add_argument("--factor", type=float, default=4.225, help="320x240 becomes N3DV's 1352x1014")
    arguments = parser.parse_args()
    enlarge(arguments.capture, arguments.out, arguments.timesteps, arguments.factor)


if __name__ == "__main__":
    main()
