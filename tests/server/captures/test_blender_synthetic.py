from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from neural_render_server.captures.detect import open_capture
from neural_render_server.captures.frames import Frames
from neural_render_server.errors import CaptureError

ANGLE = 2 * np.arctan(0.4)


def write(make: SimpleNamespace, folder: Path, **extra: object) -> None:
    for split, count in (("train", 4), ("test", 3)):
        entries = []
        for k, pose in enumerate(make.arc(count)):
            entries.append({"file_path": f"./{split}/r_{k}", "transform_matrix": pose.tolist(), **extra})
            if "time" in extra:
                entries[-1]["time"] = k / 4
            rgba = np.zeros((50, 50, 4), dtype=np.uint8)
            rgba[10:40, 10:40] = (200, 100, 10 * k, 255)
            make.write_image(folder / split / f"r_{k}.png", rgba)
        make.write_transforms(folder, entries, name=f"transforms_{split}.json", camera_angle_x=ANGLE)


def test_lists_alpha_and_split(make: SimpleNamespace, tmp_path: Path) -> None:
    write(make, tmp_path)
    capture = open_capture(tmp_path)
    assert capture.format == "blender-synthetic" and capture.has_alpha
    assert capture.train_indices.tolist() == [0, 1, 2, 3] and capture.test_indices.tolist() == [4, 5, 6]
    assert [camera.name for camera in capture.cameras][2:5] == ["train_r_2", "train_r_3", "test_r_0"]
    camera = capture.cameras[0]
    assert (camera.width, camera.cx) == (50, 25.0) and camera.fl_x == pytest.approx(25 / 0.4)
    assert np.allclose(camera.camera_to_world, make.arc(4)[0])
    with Frames(capture, capture.train_indices) as frames:
        alpha = frames.alpha(2)
        assert alpha is not None and alpha[0, 0] == 0 and alpha[20, 20] == 255
        assert frames.rgb(2)[20, 20].tolist() == [200, 100, 20]


def test_missing_test_images_are_counted(make: SimpleNamespace, tmp_path: Path) -> None:
    write(make, tmp_path)
    (tmp_path / "test/r_1.png").unlink()
    capture = open_capture(tmp_path)
    assert len(capture.test_indices) == 2
    assert "1 of the 3 images that transforms_test.json lists are missing" in capture.warnings[0]


def test_nothing_to_train_on_is_said(make: SimpleNamespace, tmp_path: Path) -> None:
    write(make, tmp_path)
    for image in (tmp_path / "train").iterdir():
        image.unlink()
    with pytest.raises(CaptureError, match=r"transforms_train\.json: none of the listed images exist"):
        open_capture(tmp_path)


def test_time_makes_it_dynamic(make: SimpleNamespace, tmp_path: Path) -> None:
    write(make, tmp_path, time=0.0)
    capture = open_capture(tmp_path)
    assert np.allclose(capture.times, [0.0, 0.25, 0.5, 0.75])
    assert [view.timestep for view in capture.views] == [0, 1, 2, 3, 0, 1, 2]


def test_a_broken_test_list_is_named(make: SimpleNamespace, tmp_path: Path) -> None:
    write(make, tmp_path)
    (tmp_path / "transforms_test.json").write_text('{"frames": [3]}')
    with pytest.raises(CaptureError, match=r"transforms_test\.json, frame 1: not an object"):
        open_capture(tmp_path)
