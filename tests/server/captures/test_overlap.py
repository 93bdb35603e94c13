from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from neural_render_server.captures.capture import Capture, PointCloud, SplitOptions
from neural_render_server.captures.detect import open_capture
from neural_render_server.captures.overlap import check_overlap, scene_bounds
from neural_render_server.errors import CaptureError

LENS = {"w": 64, "h": 48, "fl_x": 60.0}


def photos(make: SimpleNamespace, folder: Path, poses: list[np.ndarray]) -> Path:
    entries = [
        {"file_path": f"p{k}.png", "picture": k, "transform_matrix": pose.tolist()}
        for k, pose in enumerate(poses)
    ]
    make.write_transforms(folder, entries, **LENS)
    return folder


def test_cameras_that_look_apart_are_refused(make: SimpleNamespace, tmp_path: Path) -> None:
    poses = [make.look_at((2, 0, 0), (5, 0, 0)), make.look_at((-2, 0, 0), (-5, 0, 0))]
    with pytest.raises(CaptureError, match="no two of the cameras to train on see a common point"):
        open_capture(photos(make, tmp_path, poses))


def test_one_camera_that_looks_away_is_named(make: SimpleNamespace, tmp_path: Path) -> None:
    poses = [*make.arc(3), make.look_at((0, -9, 0), (0, -20, 0))]
    warnings = check_overlap(open_capture(photos(make, tmp_path, poses)))
    assert warnings == ["p3: sees nothing that another camera to train on sees; check the poses."]


def test_held_out_cameras_do_not_count(make: SimpleNamespace, tmp_path: Path) -> None:
    poses = [make.arc(3)[0], make.arc(3)[1], make.look_at((0, -9, 0), (0, -20, 0))]
    photos(make, tmp_path, poses)
    assert len(open_capture(tmp_path).cameras) == 3
    with pytest.raises(CaptureError, match="common point"):
        open_capture(tmp_path, SplitOptions(test_cameras=["p0"]))


def test_a_single_camera_and_a_single_place_are_warned_about(make: SimpleNamespace, tmp_path: Path) -> None:
    photos(make, tmp_path, make.arc(2))
    alone = open_capture(tmp_path, SplitOptions(test_cameras=["p1"]))
    assert "Only one camera is left to train on (p0)" in check_overlap(alone)[0]
    turning = [make.look_at((0, 0, 0), target) for target in ((1, 0, 0), (1, 0.1, 0))]
    capture = open_capture(photos(make, tmp_path, turning))
    assert "All cameras stand in one place" in check_overlap(capture)[0] and scene_bounds(capture) is None


def test_the_box_is_what_the_cameras_see_together(make: SimpleNamespace, tmp_path: Path) -> None:
    ring = [make.look_at((4 * np.cos(a), 4 * np.sin(a), 1.5)) for a in np.linspace(0, 2 * np.pi, 9)[:-1]]
    bounds = scene_bounds(open_capture(photos(make, tmp_path, ring)))
    assert bounds is not None
    low, high = bounds
    assert (low < 0).all() and (high > 0).all() and (high - low < 6).all()


def test_points_make_the_box_without_stray_ones(make: SimpleNamespace, tmp_path: Path) -> None:
    capture = open_capture(photos(make, tmp_path, make.arc(2)))
    positions = np.random.default_rng(0).uniform(-1, 1, (1000, 3)).astype(np.float32)
    positions[0] = 1e6
    points = PointCloud(positions, np.zeros((1000, 3), dtype=np.uint8))
    bounds = scene_bounds(Capture(**{**vars(capture), "points": points}))
    assert (
        bounds is not None and np.allclose(bounds[0], -1, atol=0.05) and np.allclose(bounds[1], 1, atol=0.05)
    )
