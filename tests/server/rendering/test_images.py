"""Frames on disk: the names Blender reads, values kept, nothing half-written."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import OpenEXR
import pytest

from neural_render_server.errors import SceneError
from neural_render_server.rendering.images import encode_png, read_exr, write_exr


def passes() -> dict[str, np.ndarray]:
    generator = np.random.default_rng(0)
    combined = generator.random((5, 7, 4), dtype=np.float32)
    return {"combined": combined, "depth": np.full((5, 7, 1), 1e10, dtype=np.float32)}


def test_exr_has_blenders_channel_names_in_one_float_part(tmp_path: Path) -> None:
    write_exr(tmp_path / "frame.exr", passes())
    with OpenEXR.File(str(tmp_path / "frame.exr"), separate_channels=True) as file:
        assert len(file.parts) == 1
        kinds = {name: channel.pixels.dtype for name, channel in file.channels().items()}
    combined = {f"ViewLayer.Combined.{channel}": np.dtype(np.float32) for channel in "RGBA"}
    assert kinds == {**combined, "ViewLayer.Depth.Z": np.dtype(np.float32)}


def test_exr_values_come_back_exactly(tmp_path: Path) -> None:
    write_exr(tmp_path / "frame.exr", passes())
    read = read_exr(tmp_path / "frame.exr")
    assert all(np.array_equal(read[name], plane) for name, plane in passes().items())


def test_a_truncated_exr_is_not_taken_for_a_frame(tmp_path: Path) -> None:
    write_exr(tmp_path / "frame.exr", passes())
    data = (tmp_path / "frame.exr").read_bytes()
    (tmp_path / "half.exr").write_bytes(data[: len(data) // 2])
    with pytest.raises(OSError):
        read_exr(tmp_path / "half.exr")


def test_png_is_straight_and_encoded() -> None:
    combined = np.zeros((1, 2, 4), dtype=np.float32)
    combined[0, 0] = [0.21404114 * 0.5, 0.0, 0.5, 0.5]  # premultiplied: sRGB 0.5, 0 and 1 at half coverage
    picture = cv2.imdecode(np.frombuffer(encode_png({"combined": combined}), np.uint8), cv2.IMREAD_UNCHANGED)
    assert picture[0, 0].tolist() == [255, 0, 128, 128]  # BGRA
    assert picture[0, 1, 3] == 0


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SceneError, match="file"):
        write_exr(tmp_path / "file" / "frame.exr", passes())
