from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from neural_render_server.captures.ply import read_ply
from neural_render_server.errors import CaptureError

POSITIONS = np.array([[1.5, -2.0, 3.0], [0.0, 0.25, -8.0]])
COLORS = np.array([[255, 0, 7], [1, 2, 3]], dtype=np.uint8)


def binary_ply(order: str, layout: str) -> bytes:
    """Two vertices as doubles with a normal between position and colour, and a face after them."""
    header = f"ply\nformat {layout} 1.0\ncomment made by a test\nelement vertex 2\n"
    header += "".join(f"property double {name}\n" for name in ("x", "y", "z"))
    header += "property float nx\n" + "".join(f"property uchar {name}\n" for name in ("red", "green", "blue"))
    header += "element face 1\nproperty list uchar int vertex_indices\nend_header\n"
    vertex = np.dtype([("p", order + "f8", 3), ("n", order + "f4"), ("c", "u1", 3)])
    vertices = np.zeros(2, dtype=vertex)
    vertices["p"], vertices["c"] = POSITIONS, COLORS
    return header.encode() + vertices.tobytes() + b"\x03" + bytes(12)


@pytest.mark.parametrize(("order", "layout"), [("<", "binary_little_endian"), (">", "binary_big_endian")])
def test_binary(tmp_path: Path, order: str, layout: str) -> None:
    path = tmp_path / "points.ply"
    path.write_bytes(binary_ply(order, layout))
    points = read_ply(path)
    assert np.array_equal(points.positions, POSITIONS) and np.array_equal(points.colors, COLORS)
    assert points.positions.dtype == np.float32 and points.colors.dtype == np.uint8


def test_points_that_are_not_finite_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "points.ply"
    lines = ["ply", "format ascii 1.0", "element vertex 3", *(f"property float {axis}" for axis in "xyz")]
    path.write_text("\n".join([*lines, "end_header", "1 2 3", "nan 0 0", "4 5 6"]))
    points = read_ply(path)
    assert points.positions.tolist() == [[1, 2, 3], [4, 5, 6]] and points.colors.tolist() == [[128] * 3] * 2


@pytest.mark.parametrize("cut", [0, 3, 60, -20])
def test_cut_off_files_are_named(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "points.ply"
    path.write_bytes(binary_ply("<", "binary_little_endian")[:cut])
    with pytest.raises(CaptureError, match=r"points\.ply"):
        read_ply(path)


HEADER_LINES = [
    *("format ascii 1.0", "element vertex 2", "element vertex -1", "property list uchar int v"),
    *("property float x", "property float y", "property float z", "property", "element", "format"),
]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    lines=st.lists(st.sampled_from(HEADER_LINES), max_size=8),
    body=st.text(alphabet="0123456789. \n-e", max_size=30),
)
def test_any_header_is_read_or_refused_in_a_sentence(tmp_path: Path, lines: list[str], body: str) -> None:
    path = tmp_path / "points.ply"
    path.write_text("\n".join(["ply", *lines, "end_header", body]))
    try:
        points = read_ply(path)
    except CaptureError as error:
        assert "points.ply" in str(error)
    else:
        assert points.positions.shape == points.colors.shape
