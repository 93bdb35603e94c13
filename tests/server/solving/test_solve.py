"""Solving the room: fixed cameras before which a ball moves, against the poses it was drawn with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from solved_poses import errors_against_truth, run
from textured_room import FOCAL, room_picture, room_rig
from tiny_capture import FPS, write_video

from neural_render_server.captures.amendments import align, read_amendments, set_readouts
from neural_render_server.captures.detect import open_capture, read_capture
from neural_render_server.captures.image import read_image
from neural_render_server.captures.readout import Readout
from neural_render_server.errors import Cancelled, OptionError, SolveError
from neural_render_server.progress import Control, Event
from neural_render_server.solving.options import SolveOptions, default_out
from neural_render_server.solving.solve import solve
from neural_render_server.solving.synchronise import set_offsets

CAMERAS, FRAMES = 6, 5


@pytest.fixture(scope="module")
def footage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Videos of the room, each from a tripod."""
    folder = tmp_path_factory.mktemp("footage") / "room"
    folder.mkdir()
    for index, pose in enumerate(room_rig(CAMERAS)):
        balls = [np.array([x, 0.5, 1.0]) for x in np.linspace(-1.2, 1.2, FRAMES)]
        write_video(folder / f"cam{index}.mp4", [room_picture(pose, ball) for ball in balls])
    return folder


@pytest.fixture(scope="module")
def solved(footage: Path) -> tuple[Path, dict[str, Any], list[Event]]:
    out = default_out(footage)
    result, events = run(footage, out)
    return out, result, events


def test_a_rig_is_solved_to_the_poses_it_was_drawn_with(
    solved: tuple[Path, dict[str, Any], list[Event]],
) -> None:
    out, result, _ = solved
    capture = open_capture(out)
    assert [camera.name for camera in capture.cameras] == [f"cam{index}" for index in range(CAMERAS)]
    poses = np.array([camera.camera_to_world for camera in capture.cameras])
    rotation, position = errors_against_truth(poses, np.array(room_rig(CAMERAS)))
    assert rotation < 1.0 and position < 0.02
    assert all(abs(camera.fl_x / FOCAL - 1.0) < 0.05 for camera in capture.cameras)
    assert result["missing"] == [] and result["reprojection_error"] < 1.0 and result["coverage"] > 0.5
    assert result["footage"] == f"{CAMERAS} fixed cameras"
    # One camera each, over all its frames, with the points and an upright world.
    assert len(capture.times) == FRAMES and capture.fps == pytest.approx(FPS)
    assert len(capture.views) == CAMERAS * FRAMES
    assert capture.points is not None and len(capture.points.positions) == result["points"] > 100
    assert min(camera.camera_to_world[2, 1] for camera in capture.cameras) > 0.8
    assert np.median([camera.position[2] for camera in capture.cameras]) == pytest.approx(1.5, abs=0.2)


def test_the_moving_ball_is_masked_out(solved: tuple[Path, dict[str, Any], list[Event]]) -> None:
    out, _, _ = solved
    mask = read_image(out / "solve" / "stills" / "masks" / "cam2.png.png")[..., 0] > 0
    pose = room_rig(CAMERAS)[2]
    first, last = (room_picture(pose, np.array([x, 0.5, 1.0])) for x in (-1.2, 1.2))
    differs = np.abs(first.astype(int) - last).max(axis=-1) > 60
    assert not mask[differs].any() and mask.mean() > 0.3


def test_progress_tells_the_stage_and_a_second_solve_keeps_the_stages(
    solved: tuple[Path, dict[str, Any], list[Event]], footage: Path
) -> None:
    out, result, events = solved
    fractions = [event.data["fraction"] for event in events if event.kind == "progress"]
    assert fractions == sorted(fractions) and fractions[0] >= 0.0 and fractions[-1] <= 1.0
    told = {event.data["message"].split(",")[0] for event in events if event.kind == "progress"}
    assert {"Choosing sharp frames", "Matching cameras", "Placing cameras"} <= told
    assert events[-1].data["message"].startswith(f"{CAMERAS} of {CAMERAS} cameras joined")
    database = out / "solve" / "database.db"
    before = database.stat().st_mtime_ns
    align(out, np.diag([2.0, 2.0, 2.0, 1.0]))
    set_offsets(out, {"cam1": 0.02})
    set_readouts(read_capture(out), {"cam2": Readout(0.016)})
    again, _ = run(footage, out, synchronise="audio")
    assert any("not synchronised" in warning and "no sound" in warning for warning in again["warnings"])
    assert any("alignment" in warning for warning in again["warnings"])
    kept = read_amendments(out)
    assert kept.alignment is None
    # What belongs to the recordings and not to the poses stays.
    assert kept.time_offsets["cam1"] == 0.02 and kept.readouts == {"cam2": Readout(0.016)}
    assert not any("time of" in warning for warning in again["warnings"])
    assert database.stat().st_mtime_ns == before
    assert again["reprojection_error"] == result["reprojection_error"]


def test_what_cannot_be_solved_is_told(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.mkdir()
    for index in range(3):
        cv2.imwrite(str(plain / f"{index}.png"), np.full((60, 80, 3), 40 * index, np.uint8))
    with pytest.raises(SolveError, match="no photos could be placed"):
        run(plain, tmp_path / "out")
    other = tmp_path / "other"
    other.mkdir()
    (other / "film.blend").write_text("")
    with pytest.raises(SolveError, match="no solved capture"):
        run(plain, other)
    with pytest.raises(OptionError, match="lens"):
        run(plain, tmp_path / "out", lens="glass")
    with pytest.raises(OptionError, match="frames"):
        run(plain, tmp_path / "out", frames=1)


def test_a_cancelled_solve_ends_its_process(footage: Path, tmp_path: Path) -> None:
    control = Control()

    def cancel_in_features(event: Event) -> None:
        if str(event.data.get("message", "")).startswith("Looking for features"):
            control.cancel()

    options = SolveOptions.from_json({"footage": str(footage), "out": str(tmp_path / "out")})
    with pytest.raises(Cancelled):
        solve(options, cancel_in_features, control)
    assert not (tmp_path / "out" / "transforms.json").exists()
