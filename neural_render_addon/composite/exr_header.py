"""The size and the channel names of an OpenEXR file, read from its header without its pixels. No ``bpy``.

Blender tells neither for a multilayer image in background. Layout: "OpenEXR File Layout", openexr.com.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

MAGIC = b"\x76\x2f\x31\x01"
# A header of a frame is below a kilobyte; this bounds what a file that is none can make us read.
MAX_HEADER_BYTES = 1 << 16


@dataclass(frozen=True)
class ExrHeader:
    """Size in pixels of the display window, and full channel names such as ``ViewLayer.Combined.R``."""

    width: int
    height: int
    channels: tuple[str, ...]


def read_exr_header(path: Path) -> ExrHeader:
    """The header of a single-part file (of a multi-part file, its first part's).

    Raises:
        OSError: the file cannot be read.
        ValueError: it is no OpenEXR file, or its header is cut short.
    """
    with path.open("rb") as file:
        data = file.read(MAX_HEADER_BYTES)
    if data[:4] != MAGIC:
        raise ValueError("not an OpenEXR file")
    attributes = _attributes(data, 8)
    try:
        x_min, y_min, x_max, y_max = struct.unpack("<4i", attributes["displayWindow"])
        channels = _channel_names(attributes["channels"])
    except (KeyError, struct.error) as error:
        raise ValueError("the OpenEXR header is incomplete") from error
    return ExrHeader(x_max - x_min + 1, y_max - y_min + 1, channels)


def _text(data: bytes, start: int) -> tuple[str, int]:
    """The null-terminated string at ``start``, and where the next byte is."""
    end = data.find(b"\0", start)
    if end < 0:
        raise ValueError("the OpenEXR header is cut short")
    return data[start:end].decode("utf-8", "replace"), end + 1


def _attributes(data: bytes, at: int) -> dict[str, bytes]:
    attributes = {}
    while at < len(data) and data[at]:
        name, at = _text(data, at)
        _, at = _text(data, at)  # the type's name
        if at + 4 > len(data):
            raise ValueError("the OpenEXR header is cut short")
        (size,) = struct.unpack_from("<i", data, at)
        if size < 0:
            raise ValueError("the OpenEXR header is damaged")
        attributes[name] = data[at + 4 : at + 4 + size]
        at += 4 + size
    return attributes


def _channel_names(data: bytes) -> tuple[str, ...]:
    names, at = [], 0
    while at < len(data) and data[at]:
        name, at = _text(data, at)
        names.append(name)
        at += 16  # pixel type, pLinear and padding, x and y sampling
    return tuple(names)
