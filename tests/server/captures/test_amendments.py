"""``capture.json`` beside a capture: alignment and what else an artist sets."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from tiny_capture import write_transforms

from neural_render_server.captures.amendments import align, read_amendments, shifted
from neural_render_server.captures.detect import open_capture, read_capture
from neural_render_server.captures.overlap import scene_bounds
from neural_render_server.errors import CameraFileError, CaptureError

# A quarter turn about x, twice as large, moved.
MATRIX = np.array([[2.0, 0, 0, 1], [0, 0, -2, 2], [0, 2, 0, 3], [0, 0, 0, 1]])


@pytest.fixture
def still(tmp_path: Path) -> Path:
    write_transforms(tmp_path)
    return tmp_path


def test_an_alignment_moves_cameras_and_what_they_see(still: Path) -> None:
    before = open_capture(still)
    align(still, MATRIX)
    after = open_capture(still)
    points = np.array([[0.0, 1.0, 0.7], [0.2, 0.5, 0.1]])
    moved = points @ MATRIX[:3, :3].T + MATRIX[:3, 3]
    for one, other in zip(before.cameras, after.cameras, strict=True):
        pixels, depth = one.project(points)
        pixels_after, depth_after = other.project(moved)
        assert pixels_after == pytest.approx(pixels) and depth_after == pytest.approx(2.0 * depth)
    assert read_capture(still).cameras[0].position == pytest.approx(before.cameras[0].position)
    low, high = scene_bounds(before)  # type: ignore[misc]
    low_after, high_after = scene_bounds(after)  # type: ignore[misc]
    assert np.linalg.norm(high_after - low_after) == pytest.approx(2.0 * np.linalg.norm(high - low), rel=0.1)
    # A second alignment goes on from the first.
    assert align(still, np.linalg.inv(MATRIX)) == pytest.approx(np.eye(4))


@pytest.mark.parametrize(
    "matrix", [np.diag([1.0, 1, -1, 1]), np.diag([1.0, 2, 1, 1]), np.zeros((4, 4)), [[1, 2], [3, 4]]]
)
def test_an_alignment_is_a_turn_with_one_scale(still: Path, matrix: object) -> None:
    with pytest.raises((CaptureError, CameraFileError)):
        align(still, np.asarray(matrix))
    assert not (still / "capture.json").exists()


@pytest.mark.parametrize(
    "content",
    ["{", "[]", '{"version": 9}', '{"version": 1, "time_offsets": {"cam00": "late"}}',
     '{"version": 1, "time_offsets": [1]}', '{"version": 1, "alignment": [[1]]}'],
)  # fmt: skip
def test_a_broken_file_is_told_by_name(still: Path, content: str) -> None:
    (still / "capture.json").write_text(content)
    with pytest.raises(CaptureError, match=r"capture\.json"):
        open_capture(still)


def test_whole_timesteps_are_counted_on_and_the_rest_is_a_shift(tmp_path: Path) -> None:
    write_transforms(tmp_path, dynamic=True)
    capture = read_capture(tmp_path)
    step = float(capture.times[1])
    names = [camera.name for camera in capture.cameras]
    moved = shifted(capture, {names[0]: 1.25 * step})
    assert len(moved.times) == len(capture.times) - 1
    shifts = [(view.camera, view.time_shift) for view in moved.views]
    assert [shift for camera, shift in shifts if camera == 0] == pytest.approx(
        [0.25 * step] * len(moved.times)
    )
    assert not any(shift for camera, shift in shifts if camera != 0)
    source = {(view.camera, view.timestep): view.source.path.stem[-3:] for view in moved.views}
    assert source[0, 0] == "000" and source[1, 0] == "001"
    assert len(moved.is_test) == len(moved.views) == len(names) * len(moved.times)


def test_what_is_kept_survives_an_alignment(still: Path) -> None:
    (still / "capture.json").write_text(
        json.dumps({"version": 1, "time_offsets": {"cam00_000": 0.5}, "solve": {"points": 3}})
    )
    align(still, MATRIX)
    kept = read_amendments(still)
    assert kept.time_offsets == {"cam00_000": 0.5} and kept.solve == {"points": 3}
