"""Cameras that move: one video from footage to a trained field, and the clocks of several."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from solved_poses import errors_against_truth
from textured_room import room_picture, room_rig, texture
from tiny_capture import write_video

from neural_render_server.captures.detect import open_capture
from neural_render_server.captures.video import VideoReader
from neural_render_server.errors import SolveError
from neural_render_server.progress import Control
from neural_render_server.solving.footage import find_footage
from neural_render_server.solving.options import SolveOptions
from neural_render_server.solving.pictures import moving_pictures
from neural_render_server.solving.solve import solve
from neural_render_server.solving.synchronise import Recording, synchronise_recordings
from neural_render_server.training.options import TrainOptions
from neural_render_server.training.trainer import train

FPS, FRAMES = 24, 48
FLASH = 1.13  # seconds on the room's clock at which the light goes on


def test_one_moving_video_becomes_a_field(tmp_path: Path) -> None:
    truth = room_rig(16)
    path = [*truth[0::3], *truth[1::3], *truth[2::3]]  # the rig's heights alternate; a walk's do not
    write_video(tmp_path / "walk.mp4", [room_picture(pose) for pose in path])
    out = tmp_path / "capture"
    options = SolveOptions.from_json(
        {"footage": str(tmp_path / "walk.mp4"), "out": str(out), "features": 1500, "frames": 16}
    )
    result = solve(options, lambda event: None, Control())
    assert result["footage"] == "1 moving video" and result["missing"] == []
    capture = open_capture(out)
    numbers = [int(camera.name.rsplit("_", 1)[1]) for camera in capture.cameras]
    poses = np.array([camera.camera_to_world for camera in capture.cameras])
    rotation, position = errors_against_truth(poses, np.array(path)[numbers])
    assert rotation < 1.0 and position < 0.02
    trained = train(
        TrainOptions(str(out), str(tmp_path / "scene"), steps=150, every_nth_test=5),
        lambda event: None,
        Control(),
    )
    assert trained["metrics"]["split"] == "test" and trained["metrics"]["psnr"] > 17.0


def panned(start: float, fps: float, speed: float, light: bool = True) -> list[np.ndarray]:
    """What a camera films that was started ``start`` seconds late and pans; a light goes on."""
    wall = (texture(1) * 140).astype(np.uint8)
    pictures = []
    for frame in range(FRAMES):
        time = start + frame / fps
        left = round(150 + 120 * np.sin(speed * time))
        lit = np.clip(FPS * (time + 1 / fps - FLASH), 0.0, 1.0) if light else 0.0
        pictures.append((wall[100:148, left : left + 64] * (1.0 + 0.7 * lit)).clip(0, 255).astype(np.uint8))
    return pictures


def recordings_in(folder: Path) -> list[Recording]:
    return [Recording(sequence.name, sequence) for sequence in find_footage(folder, "moving").recordings]


def clocks_of(folder: Path, by: str) -> dict[str, Any]:
    return synchronise_recordings(folder, recordings_in(folder), by, lambda part: None, moving=True)


def test_a_flash_puts_panning_cameras_on_one_clock_and_pictures_do_not(tmp_path: Path) -> None:
    for name, start, speed in (("cam0", 0.0, 2.0), ("cam1", 2.5 / FPS, -3.1)):
        write_video(tmp_path / f"{name}.mp4", panned(start, FPS, speed), fps=FPS)
    found = clocks_of(tmp_path, "flash")
    assert found["offsets"]["cam1"] * FPS == pytest.approx(2.5, abs=0.3)
    with pytest.raises(SolveError, match="cameras that move"):
        clocks_of(tmp_path, "picture")
    for name in ("cam0", "cam1"):
        write_video(tmp_path / f"{name}.mp4", panned(0.0, FPS, 2.0, light=False), fps=FPS)
    with pytest.raises(SolveError, match="nothing in common by flash"):
        clocks_of(tmp_path, "flash")


def test_frames_of_moving_cameras_are_chosen_at_common_moments(tmp_path: Path) -> None:
    """Cameras of 24 and 30 frames a second, the second started a quarter of a second later."""
    for name, start, fps in (("cam0", 0.0, 24), ("cam1", 0.25, 30)):
        write_video(tmp_path / f"{name}.mp4", panned(start, fps, 2.0, light=False), fps=fps)
    footage = find_footage(tmp_path, "moving")
    chosen = moving_pictures(footage, tmp_path / "out", 6, {"cam1": 0.25}, lambda part: None)
    assert len(chosen.items) == 12
    by_camera = [[item for item in chosen.items if item.source == camera] for camera in (0, 1)]
    for one, other in zip(*by_camera, strict=True):
        assert one.moment == other.moment
        # The same moment on the same clock, each at its own time.
        assert one.frame / 24 - one.time_shift == pytest.approx(other.frame / 30 + 0.25 - other.time_shift)
        assert abs(one.time_shift) <= 0.51 / 30 and abs(other.time_shift) <= 0.51 / 30
        # And they show the same part of the wall, up to what the pan does in that time.
        with VideoReader(tmp_path / "cam0.mp4") as reader:
            pictures = [reader.frame(one.frame)]
        with VideoReader(tmp_path / "cam1.mp4") as reader:
            pictures.append(reader.frame(other.frame))
        expected = [
            panned(time, 24, 2.0, light=False)[0] for time in (one.frame / 24, other.frame / 30 + 0.25)
        ]
        for picture, wanted in zip(pictures, expected, strict=True):
            assert np.abs(picture.astype(int) - wanted).mean() < 4.0
    with pytest.raises(SolveError, match="share no moment"):
        moving_pictures(footage, tmp_path / "out", 6, {"cam1": 60.0}, lambda part: None)
