from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from neural_render_server.captures.detect import open_capture
from neural_render_server.captures.frames import Frames
from neural_render_server.errors import CaptureError

NAMES = ("01", "02", "03")
K = np.array([[60.0, 0.0, 31.5], [0.0, 61.0, 23.5], [0.0, 0.0, 1.0]])
DISTORTION = np.array([[-0.1, 0.02, 0.001, -0.002, 0.003]])


def write(
    make: SimpleNamespace,
    folder: Path,
    frames: int = 3,
    with_videos: bool = True,
    rodrigues: bool = False,
    size: tuple[int, int] = (64, 48),
) -> list[np.ndarray]:
    """A calibration written by OpenCV's own FileStorage, and a video for each camera."""
    folder.mkdir(parents=True, exist_ok=True)
    poses = make.arc(3)
    inner = cv2.FileStorage(str(folder / "intri.yml"), cv2.FILE_STORAGE_WRITE)
    outer = cv2.FileStorage(str(folder / "extri.yml"), cv2.FILE_STORAGE_WRITE)
    for file in (inner, outer):
        file.startWriteStruct("names", cv2.FILE_NODE_SEQ)
        for name in NAMES:
            file.write("", name)
        file.endWriteStruct()
    for index, (name, pose) in enumerate(zip(NAMES, poses, strict=True)):
        flipped = pose.copy()
        flipped[:3, 1:3] *= -1
        world_to_camera = np.linalg.inv(flipped)
        inner.write(f"K_{name}", K)
        inner.write(f"dist_{name}", DISTORTION)
        inner.write(f"W_{name}", float(size[0]))
        inner.write(f"H_{name}", float(size[1]))
        if rodrigues:
            outer.write(f"R_{name}", cv2.Rodrigues(world_to_camera[:3, :3])[0])
        else:
            outer.write(f"Rot_{name}", world_to_camera[:3, :3])
        outer.write(f"T_{name}", world_to_camera[:3, 3:])
        if with_videos:
            pictures = [make.numbered_picture(5 * index + k) for k in range(frames)]
            make.write_video(folder / "videos" / f"{name}.mp4", pictures)
    inner.release()
    outer.release()
    return poses


@pytest.mark.parametrize("rodrigues", [False, True])
def test_calibration_and_recordings(make: SimpleNamespace, tmp_path: Path, rodrigues: bool) -> None:
    poses = write(make, tmp_path, rodrigues=rodrigues)
    capture = open_capture(tmp_path)
    assert capture.format == "easymocap" and [camera.name for camera in capture.cameras] == list(NAMES)
    assert capture.fps == 12.0 and len(capture.times) == 3 and len(capture.views) == 9
    for camera, pose in zip(capture.cameras, poses, strict=True):
        assert np.allclose(camera.camera_to_world, pose, atol=1e-9)
        # OpenCV's pixel centres are at whole numbers, ours at +0.5.
        assert (camera.fl_x, camera.fl_y, camera.cx, camera.cy) == (60.0, 61.0, 32.0, 24.0)
        assert camera.camera_model == "OPENCV" and np.allclose(camera.distortion, DISTORTION[0])
    with Frames(capture, [4]) as frames:
        assert make.number_of(frames.rgb(0)) == 6


def test_frame_folders_are_recordings_too(make: SimpleNamespace, tmp_path: Path) -> None:
    write(make, tmp_path, with_videos=False)
    for index, name in enumerate(NAMES):
        for step in range(2):
            make.write_image(
                tmp_path / "images" / name / f"{step:06d}.jpg", make.numbered_picture(5 * index + step)
            )
    capture = open_capture(tmp_path)
    assert len(capture.times) == 2 and capture.fps == 30.0
    assert "30 frames a second is assumed" in capture.warnings[0]
    with Frames(capture, [5]) as frames:
        assert make.number_of(frames.rgb(0)) == 11


def test_cameras_without_recording_are_left_out(make: SimpleNamespace, tmp_path: Path) -> None:
    write(make, tmp_path)
    (tmp_path / "videos/02.mp4").unlink()
    capture = open_capture(tmp_path)
    assert [camera.name for camera in capture.cameras] == ["01", "03"]
    assert capture.warnings[0].startswith("No recording of 02")
    for video in (tmp_path / "videos").iterdir():
        video.unlink()
    with pytest.raises(CaptureError, match=r"no recording of 01, 02, 03; put videos/01\.mp4"):
        open_capture(tmp_path)


def test_a_smaller_recording_scales_the_lens(make: SimpleNamespace, tmp_path: Path) -> None:
    write(make, tmp_path, size=(128, 96))
    capture = open_capture(tmp_path)
    camera = capture.cameras[0]
    assert (camera.width, camera.fl_x, camera.cx, camera.cy) == (64, 30.0, 16.0, 12.0)
    assert "calibrated at 128x96, recorded at 64x48" in capture.warnings[0]


def test_a_recording_between_black_bars_is_recognised(make: SimpleNamespace, tmp_path: Path) -> None:
    """96x96 calibrated, recorded as 64x96: the picture is 64x64 with bars of 16 rows."""
    write(make, tmp_path, size=(96, 96))
    for name in NAMES:
        picture = np.zeros((96, 64, 3), dtype=np.uint8)
        picture[16:80] = 150
        make.write_video(tmp_path / "videos" / f"{name}.mp4", [picture] * 2)
    capture = open_capture(tmp_path)
    camera = capture.cameras[1]
    assert (camera.width, camera.height) == (64, 96)
    assert (camera.fl_x, camera.fl_y) == (pytest.approx(40.0), pytest.approx(61 * 2 / 3))
    assert (camera.cx, camera.cy) == (pytest.approx(32 * 2 / 3), pytest.approx(16 + 24 * 2 / 3))
    assert "with black bars around the picture" in capture.warnings[1]
    with Frames(capture, [0]) as frames:
        mask = frames.mask(0)
        assert mask is not None and not mask[:10].any() and not mask[86:].any() and mask[24:72, 8:56].all()
        assert (frames.rgb(0)[mask] > 100).all()


def test_a_cropped_recording_is_refused(make: SimpleNamespace, tmp_path: Path) -> None:
    write(make, tmp_path, size=(96, 48))
    with pytest.raises(CaptureError, match="camera 01: calibrated at 96x48, but the frames are 64x48"):
        open_capture(tmp_path)


def test_timestamps_give_the_times(make: SimpleNamespace, tmp_path: Path) -> None:
    write(make, tmp_path)
    rows = ["sync_index,cam_id,frame_index,frame_time"]
    moments = [100.0, 100.09, 100.16]
    rows += [f"{k + 7},{c + 1},{k},{moment + 0.01 * c}" for k, moment in enumerate(moments) for c in range(3)]
    (tmp_path / "timestamps.csv").write_text("\n".join(rows))
    capture = open_capture(tmp_path)
    assert np.allclose(capture.times, [0.0, 0.09, 0.16])
    assert "up to 20 ms apart" in capture.warnings[0]
    # Timesteps are the means over the cameras, and each frame keeps its own time.
    assert np.allclose(capture.view_times.reshape(3, 3), np.array([[-0.01], [0.0], [0.01]]) + capture.times)
    (tmp_path / "timestamps.csv").write_text("\n".join(row.replace(",3,", ",4,") for row in rows))
    capture = open_capture(tmp_path)
    assert np.allclose(capture.times, np.arange(3) / 12) and "no frames of 03" in capture.warnings[0]
    for broken in (
        "a,b\n1,2",
        rows[0] + "\n1,2,3,soon",
        "\n".join([rows[0], *reversed(rows[1:])]).replace("7,", "70,"),
    ):
        (tmp_path / "timestamps.csv").write_text(broken)
        with pytest.raises(CaptureError, match=r"timestamps\.csv"):
            open_capture(tmp_path)


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("extri.yml", "T_02:", "T_20:", "Rot_02 or T_02, the pose of camera 02, is missing"),
        ("intri.yml", "K_02:", "K_20:", "K_02, the intrinsics of camera 02, is missing"),
        ("intri.yml", "60.", ".Nan", "K_01 has NaN"),
        ("extri.yml", '"02"', '"01"', "two cameras are named '01'"),
        ("extri.yml", '"02"', '"../02"', "cannot be a camera's name"),
        ("intri.yml", "W_01: 64.", "W_01: 1e99", "camera 01"),
        ("intri.yml", "%YAML 1.2\n---", "nothing", "not an OpenCV YAML file"),
        ("extri.yml", "names:", "namen:", None),  # the other file names them too
    ],
)
def test_broken_calibrations_are_named(
    make: SimpleNamespace, tmp_path: Path, file: str, old: str, new: str, message: str | None
) -> None:
    write(make, tmp_path, frames=2)
    text = (tmp_path / file).read_text()
    assert old in text
    (tmp_path / file).write_text(text.replace(old, new))
    if message is None:
        assert len(open_capture(tmp_path).cameras) == 3
    else:
        with pytest.raises(CaptureError, match=message) as caught:
            open_capture(tmp_path)
        assert file in str(caught.value)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_damage_is_read_or_refused_in_a_sentence(
    make: SimpleNamespace, tmp_path: Path, data: st.DataObject
) -> None:
    if not (tmp_path / "whole.yml").exists():
        write(make, tmp_path, frames=1)
        (tmp_path / "whole.yml").write_bytes((tmp_path / "extri.yml").read_bytes())
    content = bytearray((tmp_path / "whole.yml").read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    (tmp_path / "extri.yml").write_bytes(bytes(content[: data.draw(st.integers(0, len(content)))]))
    try:
        capture = open_capture(tmp_path)
    except CaptureError as error:
        assert str(tmp_path) in str(error)
    else:
        assert all(np.isfinite(camera.camera_to_world).all() for camera in capture.cameras)
