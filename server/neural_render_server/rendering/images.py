"""Frames on disk: multilayer OpenEXR for compositing, PNG for a look."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import OpenEXR

from ..files import write_bytes
from ..kernels.threads import thread_count
from .colour import linear_to_srgb
from .passes import MATTES, PASS_CHANNELS, Passes

# By itself OpenEXR compresses in one thread: a 1920x1080 frame takes 660 ms so, and 420 with two.
OpenEXR.set_global_thread_count(thread_count())

PASS_LABELS = {name: name.capitalize() for name in PASS_CHANNELS}

# What the channel of a shape's matte is called: this, the shape's name, and X as Blender's own value passes.
_MATTE_PREFIX = "ViewLayer.Matte "


def channel_names(pass_name: str, matte_names: Sequence[str] = ()) -> list[str]:
    """A pass's channel names in the file, as Blender names a view layer's."""
    if pass_name == MATTES:
        return [f"{_MATTE_PREFIX}{name}.X" for name in matte_names]
    return [f"ViewLayer.{PASS_LABELS[pass_name]}.{channel}" for channel in PASS_CHANNELS[pass_name]]


def encode_exr(passes: Passes, matte_names: Sequence[str] = ()) -> bytes:
    """One single-part, 32-bit float, ZIP-compressed EXR with all passes, as bytes."""
    channels = {
        name: np.ascontiguousarray(plane[..., index])
        for pass_name, plane in passes.items()
        for index, name in enumerate(channel_names(pass_name, matte_names))
    }
    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    stream = io.BytesIO()
    OpenEXR.File(header, channels).write(stream)
    return stream.getvalue()


def write_exr(path: Path, passes: Passes, matte_names: Sequence[str] = ()) -> None:
    """Write the passes as ``encode_exr`` does, atomically.

    Raises:
        SceneError: the file cannot be written.
    """
    write_bytes(path, encode_exr(passes, matte_names))


def encode_environment(light: npt.NDArray[np.float32]) -> bytes:
    """(H, W, 3) scene-linear light as a plain RGB EXR's bytes, which every program takes for a texture."""
    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    stream = io.BytesIO()
    OpenEXR.File(header, {"RGB": np.ascontiguousarray(light)}).write(stream)
    return stream.getvalue()


def read_exr(path: Path) -> Passes:
    """Read a file of ``write_exr`` back; mattes are in their names' order.

    Raises:
        OSError: it is missing, damaged or holds none of our passes.
    """
    try:
        with OpenEXR.File(str(path), separate_channels=True) as file:
            planes = {name: channel.pixels for name, channel in file.channels().items()}
    except (RuntimeError, ValueError) as error:
        raise OSError(f"{path}: not a readable EXR file ({error})") from error
    passes = {
        name: np.stack([planes[channel] for channel in channel_names(name)], axis=-1).astype(np.float32)
        for name in PASS_CHANNELS
        if all(channel in planes for channel in channel_names(name))
    }
    mattes = [planes[name] for name in sorted(planes) if name.startswith(_MATTE_PREFIX)]
    if mattes:
        passes[MATTES] = np.stack(mattes, axis=-1).astype(np.float32)
    if not passes:
        raise OSError(f"{path}: holds none of the passes {', '.join(PASS_CHANNELS)}")
    return passes


def to_png_pixels(combined: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
    """(H, W, 4) uint8 RGBA, sRGB-encoded with straight alpha, from a combined pass."""
    opacity = np.clip(combined[..., 3:], 0.0, 1.0)
    straight = combined[..., :3] / np.maximum(opacity, 1e-6)
    encoded = np.concatenate([linear_to_srgb(straight), opacity], axis=-1)
    return np.asarray((np.clip(encoded, 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8))


def encode_png(passes: Passes) -> bytes:
    """The combined pass as PNG bytes."""
    _, data = cv2.imencode(".png", cv2.cvtColor(to_png_pixels(passes["combined"]), cv2.COLOR_RGBA2BGRA))
    return bytes(data)
