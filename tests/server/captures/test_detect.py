from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from neural_render_server.captures.amendments import Amendments, write_amendments
from neural_render_server.captures.capture import SplitOptions
from neural_render_server.captures.describe import describe, format_description
from neural_render_server.captures.detect import open_capture
from neural_render_server.errors import CaptureError


def test_what_is_no_capture_says_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match=r"nowhere: there is no such file or folder"):
        open_capture(tmp_path / "nowhere")
    (tmp_path / "notes.txt").write_text("nothing here")
    for path in (tmp_path, tmp_path / "notes.txt"):
        with pytest.raises(
            CaptureError, match=r"looked for poses_bounds\.npy .*intri\.yml.*transforms\.json.*COLMAP"
        ):
            open_capture(path)


def test_a_folder_that_may_not_be_read_is_told(make: SimpleNamespace, tmp_path: Path) -> None:
    (tmp_path / "poses_bounds.npy").mkdir()
    (tmp_path / "transforms.json").mkdir()
    with pytest.raises(CaptureError, match="no capture found"):
        open_capture(tmp_path)


def test_timesteps_can_be_cut_out(make: SimpleNamespace, tmp_path: Path) -> None:
    make.write_n3dv(tmp_path, frames=6)
    capture = open_capture(tmp_path, SplitOptions(timesteps=(2, 5)))
    assert np.allclose(capture.times, [0, 1 / 12, 2 / 12]) and len(capture.views) == 9
    camera = describe(capture)["cameras"][1]
    assert camera["source"]["first_frame"] == 2 and camera["source"]["frames"] == 3
    assert camera["source"]["numbers"] == [2, 3, 4]
    with pytest.raises(CaptureError, match="timesteps 7:9 are outside"):
        open_capture(tmp_path, SplitOptions(timesteps=(7, 9)))
    with pytest.raises(CaptureError, match="no camera 'cam77' to hold out; there are cam00, cam01, cam03"):
        open_capture(tmp_path, SplitOptions(test_cameras=["cam77"]))
    with pytest.raises(CaptureError, match="every view is held out"):
        open_capture(tmp_path, SplitOptions(test_timesteps=range(6)))


def test_a_film_is_described(make: SimpleNamespace, tmp_path: Path) -> None:
    make.write_n3dv(tmp_path / "film", frames=(4, 6, 4))
    description = json.loads(json.dumps(describe(open_capture(tmp_path / "film"))))
    assert description["name"] == "film" and description["format"] == "n3dv" and description["is_dynamic"]
    assert (description["fps"], description["timesteps"]) == (12.0, 4)
    assert description["times"] == pytest.approx([0, 1 / 12, 2 / 12, 3 / 12])
    assert description["duration"] == pytest.approx(0.25) and description["splits"] == {"train": 8, "test": 4}
    first = description["cameras"][0]
    assert first["name"] == "cam00" and first["is_test"] and (first["w"], first["h"]) == (64, 48)
    assert first["source"] == {
        "kind": "video", "path": str(tmp_path / "film/cam00.mp4"), "frames": 4, "first_frame": 0,
        "numbers": [0, 1, 2, 3], "times": pytest.approx([0, 1 / 12, 2 / 12, 3 / 12]),
    }  # fmt: skip
    assert "times" not in first and np.allclose(first["transform_matrix"], make.arc(3)[0])
    low, high = (np.array(description["bounds"][corner]) for corner in ("min", "max"))
    assert (low < 0).all() and (high > 0).all()  # the cameras look at the origin
    text = format_description(description)
    parts = [
        "3: cam00, cam01, cam03",
        "64x48 (3)",
        "4 at 12 frames a second",
        "8 views to train on, 4 held out (cam00)",
        "warning    The recordings have 4 to 6 frames",
    ]
    for part in parts:
        assert part in text


def test_a_late_camera_tells_which_frame_it_took_when(make: SimpleNamespace, tmp_path: Path) -> None:
    """Three and a half frames late."""
    make.write_n3dv(tmp_path, frames=8)
    write_amendments(tmp_path, Amendments(time_offsets={"cam01": 3.5 / 12}))
    first, late, _ = (camera["source"] for camera in describe(open_capture(tmp_path))["cameras"])
    apart = late["times"][0] - first["times"][0]
    assert late["numbers"] == list(range(len(late["numbers"])))
    assert apart * 12 == pytest.approx(3.5 + late["numbers"][0] - first["numbers"][0])
    assert np.allclose(np.diff(late["times"]), 1 / 12)


def test_images_tell_their_numbers(make: SimpleNamespace, tmp_path: Path) -> None:
    pose = make.arc(2)
    entries = [
        {
            "file_path": f"images/c{k}_{10 + 2 * step:04d}_x.png",
            "picture": step,
            "transform_matrix": pose[k].tolist(),
            "time": step / 12,
        }
        for k in range(2)
        for step in range(3)
    ]
    make.write_transforms(tmp_path, entries, w=64, h=48, fl_x=60.0)
    description = describe(open_capture(tmp_path))
    assert [camera["source"]["numbers"] for camera in description["cameras"]] == [[10, 12, 14]] * 2


def test_photos_are_described(make: SimpleNamespace, tmp_path: Path) -> None:
    entries = [
        {"file_path": f"p{k}.png", "picture": k, "transform_matrix": pose.tolist(), "k1": 0.1 * (k == 1)}
        for k, pose in enumerate(make.arc(10))
    ]
    file = make.write_transforms(tmp_path, entries, w=64, h=48, fl_x=60.0)
    description = describe(open_capture(file, SplitOptions(every_nth_test=5)))
    assert (
        description["name"] == "transforms" and not description["is_dynamic"] and description["fps"] is None
    )
    assert [camera["is_test"] for camera in description["cameras"]] == [k in (0, 5) for k in range(10)]
    assert description["cameras"][1]["source"]["kind"] == "image"
    assert description["cameras"][1]["camera_model"] == "OPENCV" and description["cameras"][1]["k1"] == 0.1
    text = format_description(description)
    for part in (
        "and 2 more",
        "PINHOLE (9), OPENCV (1)",
        "1 (static)",
        "2 held out (p0, p5)",
        "points     0",
    ):
        assert part in text


def test_a_camera_that_misses_timesteps_tells_its_times(make: SimpleNamespace, tmp_path: Path) -> None:
    entries = [
        {"file_path": f"p{k}.png", "picture": k, "transform_matrix": pose.tolist(), "time": 0.5 * k}
        for k, pose in enumerate(make.arc(3))
    ]
    make.write_transforms(tmp_path, entries, w=64, h=48, fl_x=60.0)
    cameras = describe(open_capture(tmp_path))["cameras"]
    assert [camera["times"] for camera in cameras] == [[0.0], [0.5], [1.0]]
