from __future__ import annotations

import gc
import os
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from neural_render_server.captures import store
from neural_render_server.captures.capture import Capture
from neural_render_server.captures.detect import open_capture
from neural_render_server.captures.frames import Frames
from neural_render_server.captures.store import SpoolStore
from neural_render_server.errors import Cancelled, CaptureError

FRAME_BYTES = 64 * 48 * 3


@pytest.fixture(scope="module")
def film(make: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory) -> Capture:
    folder = tmp_path_factory.mktemp("frames") / "film"
    make.write_n3dv(folder)
    return open_capture(folder)


def open_files() -> set[str]:
    return {
        os.readlink(f"/proc/self/fd/{fd}")
        for fd in os.listdir("/proc/self/fd")
        if os.path.lexists(f"/proc/self/fd/{fd}")
    }


def test_training_views_and_their_indices(make: SimpleNamespace, film: Capture) -> None:
    with Frames(film, film.train_indices) as frames:
        assert len(frames) == 8 and not frames.is_spooled
        assert frames.camera_indices.tolist() == [1] * 4 + [2] * 4
        assert frames.timestep_indices.tolist() == [0, 1, 2, 3] * 2
        assert [make.number_of(frames.rgb(k)) for k in range(8)] == [7, 8, 9, 10, 14, 15, 16, 17]
        assert frames.alpha(0) is None and frames.mask(0) is None
        assert len(frames.cameras) == 3 and frames.times is film.times and frames.near_far is film.near_far


def test_views_come_in_the_order_asked_for(make: SimpleNamespace, film: Capture) -> None:
    with Frames(film, [11, 0, 6, 5]) as frames:
        assert [make.number_of(frames.rgb(k)) for k in range(4)] == [17, 0, 9, 8]


def test_held_out_videos_are_never_opened(make: SimpleNamespace, tmp_path: Path) -> None:
    make.write_n3dv(tmp_path)
    capture = open_capture(tmp_path)
    (tmp_path / "cam00.mp4").unlink()
    with Frames(capture, capture.train_indices) as frames:
        assert len(frames) == 8
    with pytest.raises(CaptureError, match=r"cam00\.mp4"):
        Frames(capture, capture.test_indices)


def test_downscaled_cameras_fit_their_frames(film: Capture) -> None:
    with Frames(film, [4], downscale=1.6) as frames:
        camera = frames.cameras[1]
        assert (camera.width, camera.height) == (40, 30) and frames.rgb(0).shape == (30, 40, 3)
        assert camera.fl_x == pytest.approx(60 / 1.6) and camera.is_pinhole
    with pytest.raises(CaptureError, match="downscale"):
        Frames(film, [4], downscale=0.5)


def test_frames_are_read_only(film: Capture, tmp_path: Path) -> None:
    for limit in (2**30, 0):
        with Frames(film, [4], memory_limit=limit, spool_folder=tmp_path) as frames:
            assert not frames.rgb(0).flags.writeable


def test_a_spool_holds_the_same_frames(film: Capture, tmp_path: Path) -> None:
    with (
        Frames(film, range(12)) as kept,
        Frames(film, range(12), memory_limit=12 * FRAME_BYTES - 1, spool_folder=tmp_path) as spooled,
    ):
        assert kept.bytes_needed == 12 * FRAME_BYTES and not kept.is_spooled and spooled.is_spooled
        for index in (5, 0, 11, 5, 3):
            assert np.array_equal(kept.rgb(index), spooled.rgb(index))


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="asks Linux for the open files")
def test_nothing_is_left_behind(film: Capture, tmp_path: Path) -> None:
    before = open_files()
    frames = Frames(film, range(12), memory_limit=0, spool_folder=tmp_path)
    assert any(str(tmp_path) in name for name in open_files() - before)
    frames.close()
    assert list(tmp_path.iterdir()) == []

    def cancel(message: str, fraction: float) -> None:
        raise Cancelled("cancelled")

    with pytest.raises(Cancelled):
        Frames(film, range(12), memory_limit=0, spool_folder=tmp_path, report=cancel)
    gc.collect()
    assert list(tmp_path.iterdir()) == []
    assert not any(str(tmp_path) in name or name.endswith(".mp4") for name in open_files() - before)


def test_progress_is_told(film: Capture) -> None:
    told: list[tuple[str, float]] = []
    Frames(film, range(12), report=lambda message, fraction: told.append((message, fraction))).close()
    fractions = [fraction for _, fraction in told]
    assert fractions == sorted(fractions) and fractions[-1] == 1.0 and 0 < fractions[0] <= 1
    assert told[-1][0] == "Decoding frames, 12 of 12"


def test_a_full_disk_is_told_before_decoding(
    film: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(store.shutil, "disk_usage", lambda folder: usage)
    with pytest.raises(
        CaptureError, match=r"need 0\.00 GB of free disk; free some space, raise the downscale"
    ):
        Frames(film, range(12), memory_limit=0, spool_folder=tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_disk_that_fills_up_is_told(tmp_path: Path) -> None:
    spool = SpoolStore(tmp_path, 100)
    spool._file.close()
    with Path("/dev/full").open("wb", buffering=0) as full:
        spool._file = full
        with pytest.raises(CaptureError, match="GB of free disk"):
            spool.put(0, np.zeros(100, dtype=np.uint8))


def test_a_spool_that_cannot_be_made_is_told(film: Capture, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(CaptureError, match="cannot hold the decoded frames"):
        Frames(film, range(12), memory_limit=0, spool_folder=tmp_path / "file")


def test_the_spools_cache_is_bounded(tmp_path: Path) -> None:
    spool = SpoolStore(tmp_path, 10**6, cache_bytes=2500)
    for key in range(5):
        spool.put(key, np.full(1000, key, dtype=np.uint8))
    first = spool.get(0)
    assert spool.get(0) is first
    for key in range(1, 5):
        assert (spool.get(key) == key).all()
    assert spool.get(0) is not first and (spool.get(0) == 0).all()
    spool.close()


def test_a_frame_of_another_size_is_named(make: SimpleNamespace, tmp_path: Path) -> None:
    entries = [
        {"file_path": f"{k}.png", "picture": k, "transform_matrix": make.arc(2)[0].tolist(), "time": k / 10}
        for k in range(2)
    ]
    entries.append({**entries[0], "file_path": "z.png", "transform_matrix": make.arc(2)[1].tolist()})
    make.write_transforms(tmp_path, entries, w=64, h=48, fl_x=60.0)
    capture = open_capture(tmp_path)
    make.write_image(tmp_path / "1.png", make.numbered_picture(1, 32, 24))
    with pytest.raises(CaptureError, match=r"1\.png: the frame is 32x24, but its camera .* is 64x48"):
        Frames(capture, capture.train_indices)


def test_no_views_are_refused(film: Capture) -> None:
    with pytest.raises(CaptureError, match="no views"):
        Frames(film, [])


def test_a_capture_of_some_images_with_alpha_has_none(make: SimpleNamespace, tmp_path: Path) -> None:
    entries = [
        {"file_path": f"{k}.png", "picture": k, "transform_matrix": pose.tolist()}
        for k, pose in enumerate(make.arc(2))
    ]
    make.write_transforms(tmp_path, entries, w=64, h=48, fl_x=60.0)
    rgba = np.dstack([make.numbered_picture(1), np.full((48, 64), 9, dtype=np.uint8)])
    make.write_image(tmp_path / "1.png", rgba)
    with Frames(open_capture(tmp_path), [0, 1]) as frames:
        assert frames.alpha(1) is None and make.number_of(frames.rgb(1)) == 1
    with Frames(replace(open_capture(tmp_path), has_alpha=True), [0, 1]) as frames:
        opaque, thin = frames.alpha(0), frames.alpha(1)
        assert opaque is not None and (opaque == 255).all() and thin is not None and (thin == 9).all()
