"""The depth of computer graphics that go between a field's front and its back, pixel by pixel."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from .errors import OptionError
from .files import is_no_file

FloatImage = npt.NDArray[np.float32]

# Blender writes 1e10 where nothing is, in units of its scene; what is as far as this is nothing.
NOTHING = 1e9


@dataclass(frozen=True)
class SplitDepth:
    """Where a frame's CG depth is: an EXR at ``path``, or little-endian float32 ``data``, rows from the top.

    Depths are planar; times ``scale`` they are in capture units. ``channel`` names the EXR's channel where
    it has several depths.
    """

    path: str = ""
    data: bytes = b""
    scale: float = 1.0
    channel: str = ""

    @staticmethod
    def from_json(value: Any, where: str) -> SplitDepth | None:
        """``{path, channel?, scale?}`` or ``{data: base64, scale?}`` or None; ``where`` names it in errors.

        Raises:
            OptionError: it is neither.
        """
        if value is None:
            return None
        known = isinstance(value, Mapping) and set(value) <= {"path", "data", "scale", "channel"}
        if not known or ("path" in value) == ("data" in value):
            raise OptionError(
                f"{where}: split_depth must be {{path, channel, scale}} or {{data, scale}}, path being a "
                "depth EXR on this machine and data base64 of float32"
            )
        try:
            data = base64.b64decode(value.get("data", ""), validate=True)
            scale = float(value.get("scale", 1.0))
        except (binascii.Error, TypeError, ValueError) as error:
            raise OptionError(f"{where}: split_depth: {error}; send base64 and a number as scale") from error
        path = value.get("path", "")
        if not np.isfinite(scale) or scale <= 0.0:
            raise OptionError(f"{where}: split_depth: scale is {scale}, but must be above 0")
        if "path" in value and not (isinstance(path, str) and Path(path).is_absolute()):
            raise OptionError(f"{where}: split_depth: {path!r} is no absolute path")
        return SplitDepth(path, data, scale, str(value.get("channel", "")))

    def read(self, width: int, height: int) -> FloatImage:
        """(height, width) planar depth in capture units, infinite where nothing is.

        Pixels without CG beside pixels with it take the nearest depth around them: a renderer writes one
        sample's depth a pixel, which at an antialiased edge may have missed the object. Where there really
        is no CG it makes no difference, front over behind being the whole field.

        Raises:
            OptionError: the depth cannot be read, or is not of that size.
        """
        name = self.path or "split_depth's data"
        if self.path:
            depth = _depth_channel(self.path, self.channel)
        else:
            if len(self.data) != width * height * 4:
                raise OptionError(
                    f"{name} has {len(self.data)} bytes; {width} x {height} float32 are {width * height * 4}"
                )
            depth = np.frombuffer(self.data, "<f4").astype(np.float32).reshape(height, width)
        if depth.shape != (height, width):
            raise OptionError(
                f"{name} is {depth.shape[1]} x {depth.shape[0]} pixels, the camera {width} x {height}; "
                "render the CG depth at the camera's size"
            )
        if np.isnan(depth).any():
            raise OptionError(f"{name} holds values that are not numbers; render the CG depth again")
        is_nothing = depth >= NOTHING
        depth = np.where(is_nothing, np.float32(np.inf), depth * np.float32(self.scale))
        around = cv2.erode(depth, np.ones((3, 3), np.uint8), borderType=cv2.BORDER_REPLICATE)
        return np.where(is_nothing, around, depth).astype(np.float32)


def _depth_channel(path: str, wanted: str) -> FloatImage:
    """The depth in an EXR: the channel ``wanted``, else its only one that is named as depths are."""
    import OpenEXR

    if is_no_file(path):
        raise OptionError(f"{path}: is no file but a folder or a pipe; choose the CG's depth as EXR")
    try:
        with OpenEXR.File(path, separate_channels=True) as file:
            channels = {name: channel for part in file.parts for name, channel in part.channels.items()}
            names = [name for name in channels if (name == wanted if wanted else _is_depth(name))]
            if not names and not wanted and len(channels) == 1:
                names = list(channels)
            if len(names) != 1:
                has = ", ".join(sorted(channels))
                raise OptionError(
                    f"{path}: {'several' if names else 'no'} depth channels; name one of {has} as channel, "
                    "or render the Depth pass"
                )
            return np.ascontiguousarray(channels[names[0]].pixels, dtype=np.float32)
    except (OSError, RuntimeError, ValueError) as error:
        raise OptionError(f"{path}: not a readable EXR file ({error}); render the CG depth again") from error


def _is_depth(channel: str) -> bool:
    """Whether a renderer names depth so: ``Z``, ``ViewLayer.Depth.Z``, ``Depth.V``."""
    parts = channel.lower().split(".")
    return parts[-1] == "z" or "depth" in parts
