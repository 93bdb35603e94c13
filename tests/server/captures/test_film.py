"""Recordings of other rates, starts and lengths, with dropped and repeated frames, as timesteps."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest

from neural_render_server.captures.amendments import set_fps, shifted
from neural_render_server.captures.capture import Capture, VideoSource
from neural_render_server.captures.detect import open_capture, read_capture
from neural_render_server.captures.timeline import moments_of, place
from neural_render_server.captures.video import probe_video
from neural_render_server.errors import CaptureError


def frames_of(capture: Capture, name: str) -> dict[int, tuple[int, float]]:
    """Timestep -> the number of the camera's frame and the time at which it was taken."""
    found = {}
    for view, time in zip(capture.views, capture.view_times, strict=True):
        if capture.cameras[view.camera].name == name:
            assert isinstance(view.source, VideoSource)
            assert abs(view.time_shift) <= 0.51 * np.median(np.diff(capture.times))
            found[view.timestep] = view.source.frame, float(time)
    return found


@pytest.fixture
def film(make: SimpleNamespace, tmp_path: Path) -> Path:
    """A second of three cameras, of 12, 20 and 12 frames a second."""
    make.write_n3dv(tmp_path, frames=(12, 1, 12))
    make.write_video(tmp_path / "cam01.mp4", [make.numbered_picture(k) for k in range(20)], fps=20)
    return tmp_path


def test_the_fastest_camera_sets_the_timesteps_and_no_frame_is_lost(film: Path) -> None:
    capture = open_capture(film)
    assert "different frame rates (cam00 12, cam01 20, cam03 12)" in capture.warnings[0]
    assert capture.fps == 20.0 and np.allclose(capture.times, np.arange(20) / 20)
    assert frames_of(capture, "cam01") == {k: (k, pytest.approx(k / 20)) for k in range(20)}
    for name in ("cam00", "cam03"):
        slow = frames_of(capture, name)
        assert sorted(slow.values()) == [(k, pytest.approx(k / 12)) for k in range(12)]
        assert len(slow) == 12  # eight timesteps are without


def test_fewer_timesteps_take_the_nearest_frames_at_their_own_times(film: Path) -> None:
    set_fps(film, 10.0)
    capture = open_capture(film)
    assert np.allclose(np.diff(capture.times), 0.1) and len(capture.times) == 10
    assert [frame for frame, _ in frames_of(capture, "cam01").values()] == list(range(0, 20, 2))
    for timestep, (frame, time) in frames_of(capture, "cam00").items():
        assert time == pytest.approx(frame / 12) and abs(time - timestep / 10) <= 0.5 / 12 + 1e-4
    set_fps(film, None)
    assert len(open_capture(film).times) == 20
    with pytest.raises(CaptureError, match="impossible"):
        set_fps(film, -1.0)


def test_offsets_go_with_rates(film: Path) -> None:
    moved = shifted(read_capture(film), {"cam01": 0.21})
    fast, slow = frames_of(moved, "cam01"), frames_of(moved, "cam00")
    start = fast[0][1] - fast[0][0] / 20  # when cam01's first frame was taken, on the capture's clock
    for frame, time in fast.values():
        assert time == pytest.approx(start + frame / 20)
    for frame, time in slow.values():
        assert time == pytest.approx(start - 0.21 + frame / 12)
    assert min(frame for frame, _ in slow.values()) in (2, 3)  # cam00 filmed 2.5 frames before cam01 began


def test_listed_times_tell_of_dropped_and_repeated_frames(film: Path) -> None:
    rows = ["cam_id,frame_index,frame_time"]
    # cam01 dropped what would have been its frames 5 and 6; cam03 wrote its frame 4 twice.
    rows += [f"1,{k},{50 + (k if k < 5 else k + 2) / 20}" for k in range(18)]
    rows += [f"{c},{k},{50 + (k if k < 5 or c == 0 else k - 1) / 12}" for c in (0, 3) for k in range(12)]
    (film / "timestamps.csv").write_text("\n".join(rows))
    capture = open_capture(film)
    assert "3 frames that it repeats or does not list are left out" in capture.warnings[0]
    assert frames_of(capture, "cam01")[5] == (5, pytest.approx(7 / 20))
    again = {frame: time for frame, time in frames_of(capture, "cam03").values()}
    assert 5 not in again and again[4] == pytest.approx(4 / 12) and again[6] == pytest.approx(5 / 12)


def test_a_telephones_uneven_frames_keep_their_times(make: SimpleNamespace, tmp_path: Path) -> None:
    make.write_n3dv(tmp_path, frames=(10, 1, 10))
    ticks = [0, 50, 100, 170, 220, 330, 400, 450, 520, 600]  # of 600 a second
    with av.open(str(tmp_path / "cam01.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(12), options={"preset": "ultrafast"})
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
        stream.codec_context.time_base = stream.time_base = Fraction(1, 600)
        for number, tick in enumerate(ticks):
            frame = av.VideoFrame.from_ndarray(make.numbered_picture(number), format="rgb24")
            frame.pts, frame.time_base = tick, Fraction(1, 600)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    assert probe_video(tmp_path / "cam00.mp4").uneven_times is None
    assert probe_video(tmp_path / "cam01.mp4").uneven_times == pytest.approx([tick / 600 for tick in ticks])
    times = {frame: time for frame, time in frames_of(open_capture(tmp_path), "cam01").values()}
    base = times[0]
    assert all(time - base == pytest.approx(ticks[frame] / 600) for frame, time in times.items())


def test_listed_videos_may_differ_too(make: SimpleNamespace, tmp_path: Path) -> None:
    frames = []
    for fps, pose in zip((12, 20), make.arc(2), strict=True):
        make.write_video(tmp_path / f"at{fps}.mp4", [make.numbered_picture(0)] * fps, fps=fps)
        frames.append({"file_path": f"at{fps}.mp4", "transform_matrix": pose.tolist()})
    shared = {"fl_x": 60.0, "fl_y": 60.0, "cx": 32.0, "cy": 24.0}
    (tmp_path / "transforms.json").write_text(json.dumps({**shared, "frames": frames}))
    capture = open_capture(tmp_path)
    assert len(capture.times) == 20 and capture.fps == pytest.approx(20.0)
    assert len(frames_of(capture, "at12")) == 12 and len(frames_of(capture, "at20")) == 20
    frames[1]["time"] = 9.0
    (tmp_path / "transforms.json").write_text(json.dumps({**shared, "frames": frames}))
    with pytest.raises(CaptureError, match=r"at12\.mp4, at20\.mp4 have no time in common"):
        open_capture(tmp_path)


def test_frames_midway_all_go_to_one_side() -> None:
    moments = np.arange(30) / 24
    times = (np.arange(30) + 0.5) / 24 + np.random.default_rng(0).normal(0, 1e-9, 30)
    assert place(times, moments).tolist() == list(range(30))
    assert len(moments_of([moments, moments + 2.0])) == 0
