"""Reading the vertices of a PLY file. Format: Turk, The PLY Polygon File Format, 1994."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..errors import CaptureError
from ..files import is_no_file
from .capture import PointCloud

_TYPES = {
    "char": "i1", "int8": "i1", "uchar": "u1", "uint8": "u1", "short": "i2", "int16": "i2",
    "ushort": "u2", "uint16": "u2", "int": "i4", "int32": "i4", "uint": "u4", "uint32": "u4",
    "float": "f4", "float32": "f4", "double": "f8", "float64": "f8",
}  # fmt: skip

MAX_HEADER_BYTES = 65536
GREY = 128  # of points without colours


def read_ply(path: Path) -> PointCloud:
    """The vertices of a PLY file (ASCII or binary), with their colours where it has them.

    Raises:
        CaptureError: it is no PLY file, is cut off, or does not begin with vertices.
    """
    if is_no_file(path):
        raise CaptureError(f"{path}: is no file but a folder or a pipe; remove it")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CaptureError(f"{path}: cannot be read ({error.strerror})") from error
    end = data.find(b"end_header", 0, MAX_HEADER_BYTES)
    start = data.find(b"\n", end) + 1
    if not data.startswith(b"ply") or end < 0 or start < 1:
        raise CaptureError(f"{path}: not a PLY file; export the points again or remove the file")
    try:
        layout, count, properties = _header(data[:end].decode("ascii"))
        if layout == "ascii":
            rows = data[start:].decode("ascii").split("\n", count)[:count]
            table = np.array([row.split() for row in rows], dtype=np.float64).reshape(count, len(properties))
            columns = {name: table[:, index] for index, (name, _) in enumerate(properties)}
        else:
            order = "<" if layout == "binary_little_endian" else ">"
            vertex = np.dtype([(name, order + _TYPES[kind]) for name, kind in properties])
            vertices = np.frombuffer(data, dtype=vertex, count=count, offset=start)
            columns = {name: vertices[name] for name, _ in properties}
        positions = np.stack([columns[axis] for axis in "xyz"], axis=1).astype(np.float32)
    except (ValueError, KeyError, IndexError) as error:
        raise CaptureError(f"{path}: the PLY file is broken or cut off; export the points again") from error
    if all(name in columns for name in ("red", "green", "blue")):
        colors = np.stack([columns[name] for name in ("red", "green", "blue")], axis=1)
        if colors.dtype.kind == "f" and layout != "ascii":
            colors = np.rint(colors * 255.0)
        colors = np.clip(colors, 0, 255)
    else:
        colors = np.full(positions.shape, GREY, dtype=np.uint8)
    usable = np.isfinite(positions).all(axis=1)
    return PointCloud(positions[usable], colors[usable].astype(np.uint8))


def _header(text: str) -> tuple[str, int, list[tuple[str, str]]]:
    """Layout, number of vertices, and the vertices' properties as (name, type)."""
    layout, count, properties, element = "", -1, [], ""
    for line in text.splitlines():
        words = line.split()
        if words[:1] == ["format"]:
            layout = words[1]
        elif words[:1] == ["element"]:
            if not element and words[1] != "vertex":
                raise ValueError("vertices do not come first")
            element = words[1]
            if element == "vertex":
                count = int(words[2])
        elif words[:1] == ["property"] and element == "vertex":
            properties.append((words[2], words[1]))
    if layout not in ("ascii", "binary_little_endian", "binary_big_endian") or count < 0 or not properties:
        raise ValueError("incomplete header")
    return layout, count, properties
