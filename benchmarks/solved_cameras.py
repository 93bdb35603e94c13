"""How right solved cameras and synchronised clocks are, where the truth is known.

python -m benchmarks.solved_cameras poses SOLVED TRUTH     two captures of the same pictures
python -m benchmarks.solved_cameras clocks STAGE           a film, started apart by known times
python -m benchmarks.solved_cameras pairs STAGE            ten pairs of its cameras, 2.5 frames apart
"""

from __future__ import annotations

import argparse
import json
import tempfile
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt

from neural_render_server.cameras import Camera
from neural_render_server.captures.capture import Capture, VideoSource
from neural_render_server.captures.detect import read_capture
from neural_render_server.captures.overlap import scene_bounds
from neural_render_server.captures.video import VideoReader
from neural_render_server.progress import Control
from neural_render_server.solving.synchronise import by_points, film_recordings, synchronise_capture

# Every second frame of STAGE (24 a second) makes a film of 12 a second, in which one frame is half a frame.
STRIDE, FRAMES = 2, 18


def cameras_by_file(capture: Capture) -> dict[str, Camera]:
    """The cameras by the stem of the first file that each took."""
    found: dict[str, Camera] = {}
    for view in capture.views:
        found.setdefault(view.source.path.stem, capture.cameras[view.camera])
    return found


def compare_poses(solved: Path, truth: Path) -> None:
    """Errors after the similarity alignment of the positions (Umeyama 1991)."""
    ours, theirs = cameras_by_file(read_capture(solved)), cameras_by_file(read_capture(truth))
    names = sorted(set(ours) & set(theirs))
    a, b = (np.array([cameras[name].camera_to_world for name in names]) for cameras in (ours, theirs))
    x, y = a[:, :3, 3] - a[:, :3, 3].mean(axis=0), b[:, :3, 3] - b[:, :3, 3].mean(axis=0)
    u, s, vt = np.linalg.svd(y.T @ x)
    flip = np.diag([1.0, 1.0, np.sign(np.linalg.det(u @ vt))])
    turn, scale = u @ flip @ vt, (s * np.diag(flip)).sum() / (x**2).sum()
    away = np.linalg.norm(scale * x @ turn.T - y, axis=1) / np.linalg.norm(np.ptp(y, axis=0))
    cosines = [(np.trace((turn @ p[:3, :3]).T @ q[:3, :3]) - 1) / 2 for p, q in zip(a, b, strict=True)]
    angles = np.degrees(np.arccos(np.clip(cosines, -1.0, 1.0)))
    focal = np.mean([ours[name].fl_x / theirs[name].fl_x for name in names])
    print(f"{len(names)} of {len(theirs)} cameras; focal length {focal:.4f} of the true one")
    print(f"rotation: mean {angles.mean():.3f}, largest {angles.max():.3f} degrees")
    print(f"position: mean {away.mean():.3%}, largest {away.max():.3%} of the rig's size")


def compare_clocks(stage: Path) -> None:
    """Offsets found among cameras that each start a whole number of STAGE's frames later."""
    capture = read_capture(stage)
    late = np.random.default_rng(0).integers(0, 8, len(capture.cameras))
    with tempfile.TemporaryDirectory() as folder:
        _write_film(capture, Path(folder), dict(enumerate(late.tolist())))
        for by in ("picture", "flash"):
            _report(synchronise_capture(Path(folder), by, lambda event: None, Control()), late / STRIDE)


def compare_pairs(stage: Path) -> None:
    """The delays that ten pairs of cameras find by picture, of which the second starts 2.5 frames later."""
    capture = read_capture(stage)
    with tempfile.TemporaryDirectory() as folder:
        _write_film(capture, Path(folder), {index: 5 * (index % 2) for index in range(len(capture.cameras))})
        film = read_capture(Path(folder))
        bounds = scene_bounds(film)
        assert bounds is not None
        recordings = film_recordings(film)
        delays = by_points(recordings, bounds, lambda part: None)
    pairs = [pair for pair in sorted(delays) if (pair[0] + pair[1]) % 2][:10]
    found = [delays[pair][0] * recordings[0].fps * (-1) ** (pair[0] % 2) for pair in pairs]
    for (a, b), frames in zip(pairs, found, strict=True):
        print(f"{recordings[a].name}, {recordings[b].name}: {frames:.3f} frames", flush=True)
    errors = np.abs(np.array(found) - 2.5)
    print(f"mean error {errors.mean():.3f} frames, largest {errors.max():.3f}")


def _write_film(capture: Capture, folder: Path, late: dict[int, int]) -> None:
    """Some cameras' films in ``folder``, each from a frame of its own on."""
    frames = []
    for index, first in late.items():
        camera = capture.cameras[index]
        source = next(view.source for view in capture.views if view.camera == index)
        assert isinstance(source, VideoSource)
        _write_part(source.path, folder / f"{camera.name}.mp4", first)
        frames.append({**camera.to_json(), "file_path": f"{camera.name}.mp4"})
    (folder / "transforms.json").write_text(json.dumps({"frames": frames}))


def _report(result: dict[str, Any], true: npt.NDArray[np.float64]) -> None:
    found = np.array(list(result["offsets"].values())) * result["fps"]
    errors = np.abs(found - true - np.median(found - true))
    residuals = result["fps"] * np.array(
        [value for value in result["residuals"].values() if value is not None]
    )
    print(f"by {result['by']}: {len(true)} cameras, {np.ptp(true):g} frames apart:", end=" ")
    print(f"mean error {errors.mean():.3f} frames, largest {errors.max():.3f};", end=" ")
    print(f"residual {np.median(residuals):.3f}, warned of {sum(residuals > 0.25)} cameras")


def _write_part(source: Path, path: Path, first: int) -> None:
    with VideoReader(source) as reader, av.open(str(path), "w") as film:
        stream = film.add_stream("libx264", rate=Fraction(24, STRIDE), options={"crf": "10"})
        stream.width, stream.height, stream.pix_fmt = reader.info.width, reader.info.height, "yuv420p"
        for pixels in reader.read([first + STRIDE * frame for frame in range(FRAMES)]):
            film.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        film.mux(stream.encode())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    kinds = parser.add_subparsers(dest="kind", required=True)
    poses = kinds.add_parser("poses")
    poses.add_argument("solved", type=Path)
    poses.add_argument("truth", type=Path)
    kinds.add_parser("clocks").add_argument("stage", type=Path)
    kinds.add_parser("pairs").add_argument("stage", type=Path)
    arguments = parser.parse_args()
    if arguments.kind == "poses":
        compare_poses(arguments.solved, arguments.truth)
    elif arguments.kind == "clocks":
        compare_clocks(arguments.stage)
    else:
        compare_pairs(arguments.stage)


if __name__ == "__main__":
    main()
