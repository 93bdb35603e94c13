"""OpenCV's own writer against our reader."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from neural_render_server.captures.opencv_yaml import read_opencv_yaml
from neural_render_server.errors import CaptureError


def test_what_opencv_writes_is_read(tmp_path: Path) -> None:
    path = tmp_path / "intri.yml"
    matrices = {
        "K_cam_0": np.array([[1681.244873046875, 0.0, -3e-20], [0.0, 1e10, 948.1], [0.0, 0.0, 1.0]]),
        "T_1": np.array([[np.nan], [np.inf], [-np.inf]]),
        "whole": np.arange(12, dtype=np.int32).reshape(3, 4),
        "single": np.linspace(0.0, 1.0, 40, dtype=np.float32).reshape(1, -1),
    }
    file = cv2.FileStorage(str(path), cv2.FILE_STORAGE_WRITE)
    file.startWriteStruct("names", cv2.FileNode_SEQ)
    for name in ("00", "cam 1", "a:b"):
        file.write("", name)
    file.endWriteStruct()
    file.write("H_00", 1080.0)
    file.write("count", 7)
    file.write("title", "a field")
    for key, matrix in matrices.items():
        file.write(key, matrix)
    file.release()
    values = read_opencv_yaml(path)
    assert values["names"] == ["00", "cam 1", "a:b"]
    assert (values["H_00"], values["count"], values["title"]) == (1080.0, 7.0, "a field")
    for key, matrix in matrices.items():
        assert np.array_equal(np.array(values[key], matrix.dtype), matrix.ravel(), equal_nan=True), key


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("names:\n - a\n", r"calibration\.yml: not an OpenCV YAML file"),
        ("%YAML:1.0\nK: !!opencv-matrix\n  rows: 2\n  cols: 2\n", "K cannot be read .it is cut short"),
        (
            "%YAML:1.0\nK: !!opencv-matrix\n  rows: 2\n  cols: 2\n  data: [1, 2, 3]\n",
            "K cannot be read .3 numbers in 2 rows of 2",
        ),
        ("%YAML:1.0\nK: !!opencv-matrix\n  rows: 1\n  cols: 1\n  data: [x]\n", "K cannot be read .*'x'"),
    ],
)
def test_what_is_damaged_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "calibration.yml"
    path.write_text(text)
    with pytest.raises(CaptureError, match=message):
        read_opencv_yaml(path)
