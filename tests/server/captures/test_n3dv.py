from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from neural_render_server.captures.capture import SplitOptions
from neural_render_server.captures.detect import open_capture
from neural_render_server.captures.frames import Frames
from neural_render_server.errors import CaptureError


@pytest.fixture(scope="module")
def film(make: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("n3dv") / "film"
    make.write_n3dv(folder)
    return folder


def test_rows_belong_to_the_sorted_cameras_that_exist(make: SimpleNamespace, film: Path) -> None:
    capture = open_capture(film)
    assert [camera.name for camera in capture.cameras] == ["cam00", "cam01", "cam03"]
    for camera, pose in zip(capture.cameras, make.arc(3), strict=True):
        assert np.allclose(camera.camera_to_world, pose, atol=1e-12)
        assert (camera.width, camera.height, camera.cx, camera.cy) == (64, 48, 32.0, 24.0)
        assert camera.fl_x == camera.fl_y == pytest.approx(60.0)
        pixel, depth = camera.project([[0.0, 0.0, 0.0]])  # all look at the origin
        assert np.allclose(pixel, [[32.0, 24.0]]) and depth[0] == pytest.approx(np.linalg.norm(pose[:3, 3]))
    assert capture.fps == 12.0 and np.allclose(capture.times, np.arange(4) / 12)
    assert capture.near_far is not None and capture.near_far.tolist() == [[1.0, 6.0]] * 3


def test_the_first_camera_of_a_film_is_held_out(film: Path) -> None:
    capture = open_capture(film)
    assert {capture.views[index].camera for index in capture.test_indices} == {0}
    capture = open_capture(film, SplitOptions(test_cameras=["cam03"]))
    assert {capture.views[index].camera for index in capture.test_indices} == {2}


def test_each_view_shows_its_own_frame(make: SimpleNamespace, film: Path) -> None:
    capture = open_capture(film)
    with Frames(capture, range(len(capture.views))) as frames:
        numbers = [make.number_of(frames.rgb(index)) for index in range(len(frames))]
    assert numbers == [7 * view.camera + view.timestep for view in capture.views]


def test_numbers_sort_by_value_not_by_letter(make: SimpleNamespace, tmp_path: Path) -> None:
    make.write_n3dv(tmp_path, names=("cam2", "cam9", "cam10"), frames=2)
    assert [camera.name for camera in open_capture(tmp_path).cameras] == ["cam2", "cam9", "cam10"]


def test_calibration_at_another_size_is_scaled(make: SimpleNamespace, tmp_path: Path) -> None:
    make.write_n3dv(tmp_path, calibrated=(128, 96, 120.0))
    camera = open_capture(tmp_path).cameras[0]
    assert (camera.width, camera.height, camera.fl_x, camera.cx) == (64, 48, 60.0, 32.0)


def test_another_aspect_ratio_is_refused(make: SimpleNamespace, tmp_path: Path) -> None:
    make.write_n3dv(tmp_path, calibrated=(128, 72, 120.0))
    with pytest.raises(
        CaptureError, match=r"row 0 \(cam00\): calibrated at 128x72, but the frames are 64x48"
    ):
        open_capture(tmp_path)


def test_the_common_length_is_used(make: SimpleNamespace, tmp_path: Path) -> None:
    make.write_n3dv(tmp_path, frames=(5, 3, 4))
    capture = open_capture(tmp_path)
    assert len(capture.times) == 3 and len(capture.views) == 9
    assert "3 to 5 frames" in capture.warnings[0] and "cam00, cam03" in capture.warnings[0]


def test_frame_folders_are_recordings_too(make: SimpleNamespace, tmp_path: Path) -> None:
    poses = make.write_n3dv(tmp_path, frames=3)
    for index, name in enumerate(("cam00", "cam01", "cam03")):
        (tmp_path / f"{name}.mp4").unlink()
        for step in range(3):
            inner = "images/" if index else ""
            make.write_image(tmp_path / name / f"{inner}{step}.png", make.numbered_picture(7 * index + step))
    capture = open_capture(tmp_path)
    assert [camera.name for camera in capture.cameras] == ["cam00", "cam01", "cam03"]
    assert np.allclose(capture.cameras[2].camera_to_world, poses[2])
    assert capture.fps == 30.0 and "30 frames a second is assumed" in capture.warnings[0]
    with Frames(capture, range(9)) as frames:
        assert [make.number_of(frames.rgb(index)) for index in range(9)] == [0, 1, 2, 7, 8, 9, 14, 15, 16]


def test_llff_photos_are_static(make: SimpleNamespace, tmp_path: Path) -> None:
    make.write_n3dv(tmp_path, frames=1)
    for index, video in enumerate(sorted(tmp_path.glob("*.mp4"))):
        video.unlink()
        make.write_image(tmp_path / "images" / f"IMG_{index + 9}.png", make.numbered_picture(index))
    capture = open_capture(tmp_path)
    assert capture.format == "llff" and not capture.is_dynamic and not capture.is_test.any()
    assert [camera.name for camera in capture.cameras] == ["IMG_9", "IMG_10", "IMG_11"]
    held_out = open_capture(tmp_path, SplitOptions(every_nth_test=2))
    assert held_out.test_indices.tolist() == [0, 2]


def test_rows_without_videos_are_counted(make: SimpleNamespace, tmp_path: Path) -> None:
    make.write_n3dv(tmp_path)
    (tmp_path / "cam01.mp4").unlink()
    with pytest.raises(CaptureError, match=r"3 rows, but there are 2 videos .*cam00, cam03"):
        open_capture(tmp_path)
    for video in tmp_path.glob("*.mp4"):
        video.unlink()
    with pytest.raises(CaptureError, match="no camNN videos"):
        open_capture(tmp_path)


def test_an_unusable_pose_names_its_row(make: SimpleNamespace, tmp_path: Path) -> None:
    make.write_n3dv(tmp_path)
    file = tmp_path / "poses_bounds.npy"
    rows = np.load(file)
    for column, value, message in (
        (0, np.nan, "NaN or infinite"),
        (3, np.inf, "NaN or infinite"),
        (14, np.nan, "positive, finite"),
        (14, -5.0, "positive, finite"),
        (4, 0.0, "positive, finite"),
        (16, np.nan, "positive, finite"),
    ):
        broken = rows.copy()
        broken[1, column] = value
        np.save(file, broken)
        with pytest.raises(CaptureError, match=rf"row 1 \(cam01\).*{message}"):
            open_capture(tmp_path)
    np.save(file, rows * np.r_[-np.ones(3), np.ones(14)])  # mirrored
    with pytest.raises(CaptureError, match="row 0"):
        open_capture(tmp_path)


def test_a_broken_video_is_named(make: SimpleNamespace, tmp_path: Path) -> None:
    make.write_n3dv(tmp_path)
    (tmp_path / "cam01.mp4").write_bytes(b"")
    with pytest.raises(CaptureError, match=r"cam01\.mp4"):
        open_capture(tmp_path)


def test_pickled_arrays_are_not_loaded(tmp_path: Path) -> None:
    np.save(tmp_path / "poses_bounds.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(CaptureError, match="NumPy array"):
        open_capture(tmp_path)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    array=arrays.arrays(
        dtype=st.sampled_from([np.float64, np.float32, np.int64, np.bool_, np.complex64]),
        shape=st.one_of(arrays.array_shapes(max_dims=3, max_side=4), st.just((3, 17))),
    )
)
def test_any_array_is_read_or_refused_in_a_sentence(film: Path, tmp_path: Path, array: np.ndarray) -> None:
    for video in film.glob("*.mp4"):
        target = tmp_path / video.name
        if not target.exists():
            target.write_bytes(video.read_bytes())
    np.save(tmp_path / "poses_bounds.npy", array)
    try:
        capture = open_capture(tmp_path)
    except CaptureError as error:
        assert str(tmp_path) in str(error)
    else:
        assert all(np.isfinite(camera.camera_to_world).all() for camera in capture.cameras)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=200))
def test_any_bytes_are_refused_in_a_sentence(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "poses_bounds.npy").write_bytes(content)
    with pytest.raises(CaptureError, match="poses_bounds"):
        open_capture(tmp_path)
