"""What can be decoded and written here."""

from __future__ import annotations

import tempfile
from pathlib import Path

import av
import numpy as np

from ..rendering.images import encode_png, read_exr, write_exr
from .finding import Finding
from .installation import REPAIR

# What cameras and phones record: H.264, HEVC, ProRes, DNx, and what the web serves.
VIDEO_CODECS = ("h264", "hevc", "prores", "dnxhd", "vp9", "av1")


def check_codecs() -> Finding:
    """Whether the usual recordings can be decoded."""
    lacking = []
    for name in VIDEO_CODECS:
        try:
            av.codec.Codec(name, "r")
        except (av.codec.codec.UnknownCodecError, ValueError):
            lacking.append(name)
    if not lacking:
        return Finding("codecs", "ok", f"{', '.join(VIDEO_CODECS)} can be decoded (PyAV {av.__version__})")
    if "h264" in lacking:
        return Finding("codecs", "error", f"{', '.join(lacking)} cannot be decoded", REPAIR)
    remedy = "convert such recordings to H.264 before importing them"
    return Finding("codecs", "warning", f"{', '.join(lacking)} cannot be decoded", remedy)


def check_frames() -> Finding:
    """A frame written as EXR and as PNG, and read back."""
    combined = np.linspace(0.0, 1.0, 4 * 3 * 4, dtype=np.float32).reshape(4, 3, 4)
    try:
        with tempfile.TemporaryDirectory(prefix="neural-render-") as folder:
            file = Path(folder) / "frame.exr"
            write_exr(file, {"combined": combined})
            is_same = bool(np.array_equal(read_exr(file)["combined"], combined))
        is_png = encode_png({"combined": combined}).startswith(b"\x89PNG")
    except Exception as error:
        return Finding(
            "frames", "error", f"a frame cannot be written ({type(error).__name__}: {error})", REPAIR
        )
    if not (is_same and is_png):
        return Finding("frames", "error", "a frame does not come back as it was written", REPAIR)
    return Finding("frames", "ok", "EXR and PNG are written and read")
