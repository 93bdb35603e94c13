from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from neural_render_server.captures.capture import SplitOptions
from neural_render_server.captures.detect import open_capture
from neural_render_server.captures.frames import Frames
from neural_render_server.errors import CaptureError

LENS = {"w": 64, "h": 48, "fl_x": 60.0, "fl_y": 61.0, "cx": 31.0, "cy": 25.0}


def photos(make: SimpleNamespace, count: int = 4) -> list[dict[str, Any]]:
    return [
        {"file_path": f"images/{k:04d}.png", "picture": k, "transform_matrix": pose.tolist()}
        for k, pose in enumerate(make.arc(count))
    ]


def film(make: SimpleNamespace, cameras: int = 2, steps: int = 3) -> list[dict[str, Any]]:
    return [
        {
            "file_path": f"images/left{c}_{k:03d}.png",
            "picture": 5 * c + k,
            "transform_matrix": pose.tolist(),
            "time": k * 0.04,
        }
        for k in range(steps)
        for c, pose in enumerate(make.arc(cameras))
    ]


def test_shared_intrinsics_and_poses(make: SimpleNamespace, tmp_path: Path) -> None:
    file = make.write_transforms(tmp_path, photos(make), **LENS)
    for path in (tmp_path, file):
        capture = open_capture(path)
        assert capture.format == "transforms" and len(capture.cameras) == 4 and not capture.is_dynamic
    camera = capture.cameras[1]
    assert (camera.fl_x, camera.fl_y, camera.cx, camera.cy) == (60.0, 61.0, 31.0, 25.0)
    assert camera.name == "0001" and camera.is_pinhole
    assert np.allclose(camera.camera_to_world, make.arc(4)[1])
    with Frames(capture, range(4)) as frames:
        assert [make.number_of(frames.rgb(index)) for index in range(4)] == [0, 1, 2, 3]


def test_a_frame_overrides_what_is_shared(make: SimpleNamespace, tmp_path: Path) -> None:
    entries = photos(make)
    entries[2] |= {"fl_x": 70.0, "k1": 0.1, "camera_model": "OPENCV"}
    entries[3] |= {"camera_model": "OPENCV_FISHEYE", "k1": 0.01, "k4": 0.002}
    make.write_transforms(tmp_path, entries, **LENS)
    cameras = open_capture(tmp_path).cameras
    assert cameras[1].fl_x == 60.0 and cameras[1].is_pinhole
    assert cameras[2].fl_x == 70.0 and cameras[2].camera_model == "OPENCV" and cameras[2].distortion[0] == 0.1
    assert cameras[3].camera_model == "OPENCV_FISHEYE" and cameras[3].distortion == (0.01, 0.0, 0.0, 0.002)


def test_the_field_of_view_and_the_image_give_the_lens(make: SimpleNamespace, tmp_path: Path) -> None:
    make.write_transforms(tmp_path, photos(make), camera_angle_x=2 * np.arctan(0.5))
    camera = open_capture(tmp_path).cameras[0]
    assert (camera.width, camera.height, camera.cx, camera.cy) == (64, 48, 32.0, 24.0)
    assert camera.fl_x == camera.fl_y == pytest.approx(64.0)


def test_images_of_another_size_scale_the_lens(make: SimpleNamespace, tmp_path: Path) -> None:
    double = {key: 2 * value for key, value in LENS.items()}
    make.write_transforms(tmp_path, photos(make), **double)
    capture = open_capture(tmp_path)
    assert (capture.cameras[0].width, capture.cameras[0].fl_x, capture.cameras[0].cy) == (64, 60.0, 25.0)
    assert "4 images have another size" in capture.warnings[0]
    make.write_transforms(tmp_path, photos(make), **{**LENS, "h": 64})
    with pytest.raises(CaptureError, match="frame 1: calibrated at 64x64, but the frames are 64x48"):
        open_capture(tmp_path)


def test_missing_images_are_skipped_and_counted(make: SimpleNamespace, tmp_path: Path) -> None:
    entries = photos(make)
    make.write_transforms(tmp_path, entries, **LENS)
    (tmp_path / "images/0001.png").unlink()
    (tmp_path / "images/0002.png").unlink()
    capture = open_capture(tmp_path)
    assert [camera.name for camera in capture.cameras] == ["0000", "0003"]
    assert capture.warnings[0].startswith("2 of the 4 images")
    (tmp_path / "images/0000.png").unlink()
    (tmp_path / "images/0003.png").unlink()
    with pytest.raises(CaptureError, match="none of the listed images exist"):
        open_capture(tmp_path)


def test_extensions_may_be_left_out(make: SimpleNamespace, tmp_path: Path) -> None:
    entries = [
        {**entry, "file_path": "./" + entry["file_path"].removesuffix(".png")} for entry in photos(make)
    ]
    make.write_transforms(tmp_path, entries, **LENS)
    assert len(open_capture(tmp_path).views) == 4


def test_frames_of_one_standing_camera_share_it(make: SimpleNamespace, tmp_path: Path) -> None:
    make.write_transforms(tmp_path, film(make), **LENS)
    capture = open_capture(tmp_path)
    assert [camera.name for camera in capture.cameras] == ["left0", "left1"]
    assert np.allclose(capture.times, [0.0, 0.04, 0.08]) and capture.fps == pytest.approx(25.0)
    assert [(view.camera, view.timestep) for view in capture.views] == [
        (c, k) for k in range(3) for c in (0, 1)
    ]


def test_times_start_at_zero_and_rounding_does_not_split_them(make: SimpleNamespace, tmp_path: Path) -> None:
    entries = film(make)
    for index, entry in enumerate(entries):
        entry["time"] += 7.0 + 1e-7 * (index % 2)
    make.write_transforms(tmp_path, entries, fps=25, **LENS)
    capture = open_capture(tmp_path)
    assert np.allclose(capture.times, [0.0, 0.04, 0.08], atol=1e-6) and capture.fps == 25.0


def test_a_moving_camera_is_one_camera_a_frame(make: SimpleNamespace, tmp_path: Path) -> None:
    entries = [{**entry, "time": 0.1 * k} for k, entry in enumerate(photos(make))]
    make.write_transforms(tmp_path, entries, **LENS)
    capture = open_capture(tmp_path)
    assert len(capture.cameras) == len(capture.times) == 4 and not capture.is_static_rig


def test_a_time_that_some_frames_lack_is_asked_for(make: SimpleNamespace, tmp_path: Path) -> None:
    entries = film(make)
    del entries[2]["time"]
    make.write_transforms(tmp_path, entries, **LENS)
    with pytest.raises(CaptureError, match=r"frame 3: 'time' is missing"):
        open_capture(tmp_path)
    entries[2]["time"] = "soon"
    make.write_transforms(tmp_path, entries, **LENS)
    with pytest.raises(CaptureError, match=r"frame 3: 'time' is 'soon'"):
        open_capture(tmp_path)


def test_the_files_own_split_is_kept_unless_overruled(make: SimpleNamespace, tmp_path: Path) -> None:
    names = [f"images/{k:04d}.png" for k in range(4)]
    make.write_transforms(tmp_path, photos(make), test_filenames=[names[1]], val_filenames=[names[3]], **LENS)
    assert open_capture(tmp_path).test_indices.tolist() == [1, 3]
    make.write_transforms(tmp_path, photos(make), train_filenames=["./" + names[0], names[2]], **LENS)
    assert open_capture(tmp_path).test_indices.tolist() == [1, 3]
    assert open_capture(tmp_path, SplitOptions(every_nth_test=4)).test_indices.tolist() == [0]


def test_held_out_images_are_never_opened(make: SimpleNamespace, tmp_path: Path) -> None:
    make.write_transforms(tmp_path, photos(make), test_filenames=["images/0001.png"], **LENS)
    capture = open_capture(tmp_path)
    (tmp_path / "images/0001.png").write_bytes(b"not an image any more")
    with Frames(capture, capture.train_indices) as frames:
        assert len(frames) == 3 and 1 not in frames.camera_indices
    with pytest.raises(CaptureError, match=r"0001\.png"):
        Frames(capture, capture.test_indices)


def test_masks_are_used_and_must_exist(make: SimpleNamespace, tmp_path: Path) -> None:
    entries = photos(make)
    entries[1]["mask_path"] = "masks/0001.png"
    make.write_transforms(tmp_path, entries, **LENS)
    with pytest.raises(CaptureError, match=r"frame 2: the mask 'masks/0001\.png' does not exist"):
        open_capture(tmp_path)
    mask = np.full((48, 64, 3), 255, dtype=np.uint8)
    mask[:20] = 0
    make.write_image(tmp_path / "masks/0001.png", mask)
    with Frames(open_capture(tmp_path), range(4)) as frames:
        assert frames.mask(0) is None
        assert np.array_equal(frames.mask(1), mask[..., 0] > 0)


def test_points_come_from_the_ply(make: SimpleNamespace, tmp_path: Path) -> None:
    header = "ply\nformat ascii 1.0\nelement vertex 2\n" + "".join(
        f"property {kind} {name}\n"
        for kind, names in (("float", "xyz"), ("uchar", ("red", "green", "blue")))
        for name in names
    )
    make.write_transforms(tmp_path, photos(make), ply_file_path="sparse.ply", **LENS)
    (tmp_path / "sparse.ply").write_text(header + "end_header\n1 2 3 255 0 9\n-1 0 0.5 1 2 3\n")
    points = open_capture(tmp_path).points
    assert points is not None
    assert points.positions.tolist() == [[1, 2, 3], [-1, 0, 0.5]] and points.colors.tolist() == [
        [255, 0, 9],
        [1, 2, 3],
    ]


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../secret.png", "images/../../x.png", "..\\secret.png", "", 7, None]
)
def test_paths_stay_inside_the_capture(make: SimpleNamespace, tmp_path: Path, path: object) -> None:
    folder = tmp_path / "capture"
    entries = photos(make)
    make.write_transforms(folder, entries, **LENS)
    make.write_image(tmp_path / "secret.png", make.numbered_picture(1))
    entries[1] = {**entries[1], "file_path": path}
    entries[1].pop("picture")
    make.write_transforms(folder, entries, **LENS)
    with pytest.raises(
        CaptureError, match=r"frame 2: .*(leads out of the capture's folder|is not a file path)"
    ):
        open_capture(folder)


def test_two_cameras_of_one_name_are_refused(make: SimpleNamespace, tmp_path: Path) -> None:
    entries = [{**entry, "name": "left" if k < 2 else f"c{k}"} for k, entry in enumerate(photos(make))]
    make.write_transforms(tmp_path, entries, **LENS)
    with pytest.raises(CaptureError, match="two cameras are named 'left'"):
        open_capture(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"transform_matrix": [[float("nan")] * 4] * 4}, "frame 2.*NaN"),
        ({"transform_matrix": [[1, 2], [3, 4]]}, "frame 2.*4x4"),
        ({"transform_matrix": np.diag([2.0, 2, 2, 1]).tolist()}, "frame 2.*without scale"),
        ({"transform_matrix": (2 * np.eye(4)).tolist()}, "frame 2.*last row"),
        ({"transform_matrix": np.diag([-1.0, 1, 1, 1]).tolist()}, "frame 2.*mirrors"),
        ({"transform_matrix": np.zeros((4, 4)).tolist()}, "frame 2.*singular"),
        ({"fl_x": -3}, "frame 2.*focal length"),
        ({"fl_x": "long"}, "frame 2.*finite number"),
        ({"w": 1e9, "h": 1e9}, "frame 2.*aspect ratio"),
        ({"camera_model": "EQUIRECTANGULAR"}, "frame 2.*EQUIRECTANGULAR"),
    ],
)
def test_an_unusable_frame_is_named(
    make: SimpleNamespace, tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    entries = photos(make)
    entries[1] |= change
    make.write_transforms(tmp_path, entries, **LENS)
    with pytest.raises(CaptureError, match=message):
        open_capture(tmp_path)


def test_a_camera_file_without_images_is_no_capture(make: SimpleNamespace, tmp_path: Path) -> None:
    make.write_transforms(tmp_path, [{"transform_matrix": np.eye(4).tolist(), "time": 0.0}], **LENS)
    with pytest.raises(CaptureError, match="has no 'file_path'"):
        open_capture(tmp_path)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"frames": 3}', '{"frames": []}', "\ufeff{", "[" * 100000]
)
def test_broken_files_are_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "transforms.json").write_text(text)
    with pytest.raises(CaptureError, match=r"transforms\.json"):
        open_capture(tmp_path)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
KEYS = ["file_path", "transform_matrix", "time", "fl_x", "w", "h", "cx", "k1", "camera_model", "mask_path",
        "name", "is_fisheye", "camera_angle_x"]  # fmt: skip
SHARED_KEYS = ["frames", "fps", "train_filenames", "test_filenames", "ply_file_path", "w", "camera_angle_x"]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    frame=st.dictionaries(st.sampled_from(KEYS), JSON, max_size=2),
    shared=st.dictionaries(st.sampled_from(SHARED_KEYS), JSON, max_size=2),
)
def test_any_json_is_read_or_refused_in_a_sentence(
    make: SimpleNamespace, tmp_path: Path, frame: dict[str, Any], shared: dict[str, Any]
) -> None:
    if not (tmp_path / "images").exists():
        make.write_transforms(tmp_path, photos(make, 3))
    entries = [{key: value for key, value in entry.items() if key != "picture"} for entry in photos(make, 3)]
    entries[1] |= frame
    (tmp_path / "transforms.json").write_text(json.dumps({**LENS, "frames": entries, **shared}))
    try:
        capture = open_capture(tmp_path)
    except CaptureError as error:
        assert str(tmp_path) in str(error)
    else:
        assert len(capture.views) >= 1
