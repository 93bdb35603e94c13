"""Single frames at once: the scenes held open, and frames as bytes."""

from __future__ import annotations

import sys
import time
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ..camera_path import PathFrame
from ..errors import OptionError
from ..optics import BlurSampling
from .paths import AllowedPaths
from .schemas import RenderFrame

if TYPE_CHECKING:
    from ..rendering.frames import FrameRenderer

# A scene of 100,000 Gaussians is about 10 MB; more than a few are hardly worked on at once.
_SCENES_HELD = 3

Planes = dict[str, npt.NDArray[np.float32]]  # pass name -> (H, W, channels)


@dataclass(frozen=True)
class EncodedFrame:
    """A frame's bytes, its HTTP headers and media type."""

    body: bytes | memoryview
    media_type: str
    headers: dict[str, str]


class SingleFrames:
    """Renders one frame at a time; keeps the last few scenes open and sees when one is trained on."""

    def __init__(self) -> None:
        # One at a time, in the order they are asked for, all in one thread: numba's work queue is not made
        # for several, and every thread that renders keeps memory of its own.
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="frames")
        self._scenes: OrderedDict[Path, tuple[int, FrameRenderer]] = OrderedDict()

    def render(self, request: RenderFrame, paths: AllowedPaths) -> EncodedFrame:
        """
        Raises:
            NeuralRenderError: the scene, the camera or an option is no good.
        """
        from ..rendering.frames import matte_names
        from ..rendering.passes import PassOptions

        frame = PathFrame.from_json(request.camera, {}, request.time, "", "camera")
        paths.check_frame(frame)
        sampling = BlurSampling(request.samples, request.seed)
        options = PassOptions.from_json(request.passes, request.crop, request.background)
        if request.format == "png" and "combined" not in request.passes:
            raise OptionError("PNG holds the combined pass only; choose it, or the format exr or raw")

        def work() -> tuple[Planes, float]:
            renderer = self._open(Path(request.scene))
            start = time.perf_counter()
            passes = renderer.render_frame(frame, options, sampling)
            return passes, time.perf_counter() - start

        passes, seconds = self._worker.submit(work).result()
        names = matte_names(frame, options)
        return encode(passes, request.passes, request.format, request.dtype, seconds, names)

    def _open(self, path: Path) -> FrameRenderer:
        from ..rendering.frames import FrameRenderer

        try:
            stamp = (path / "scene.json").stat().st_mtime_ns
        except OSError:
            stamp = -1  # opening tells what is wrong
        held = self._scenes.get(path)
        if held is None or held[0] != stamp:
            self._scenes.pop(path, None)
            held = (stamp, FrameRenderer(path))
            self._scenes[path] = held
            while len(self._scenes) > _SCENES_HELD:
                self._scenes.popitem(last=False)
        self._scenes.move_to_end(path)
        return held[1]


def encode(
    passes: Planes,
    order: Sequence[str],
    format: str,
    dtype: str,
    seconds: float,
    matte_names: Sequence[str] = (),
) -> EncodedFrame:
    """A rendered frame as raw planes, EXR or PNG bytes."""
    height, width, _ = passes[order[0]].shape
    headers = {
        "X-Neural-Render-Width": str(width),
        "X-Neural-Render-Height": str(height),
        "X-Neural-Render-Seconds": f"{seconds:.6f}",
    }
    if format == "raw":
        headers["X-Neural-Render-Dtype"] = dtype
        headers["X-Neural-Render-Planes"] = ",".join(f"{name}:{passes[name].shape[2]}" for name in order)
        body = raw_planes([passes[name] for name in order], dtype)
        return EncodedFrame(body, "application/octet-stream", headers)
    from ..rendering.images import encode_exr, encode_png

    if format == "png":
        return EncodedFrame(encode_png(passes), "image/png", headers)
    return EncodedFrame(encode_exr(passes, matte_names), "image/x-exr", headers)


def raw_planes(planes: Sequence[npt.NDArray[np.float32]], dtype: str) -> memoryview:
    """Planes one after the other, rows from the top, channels interleaved, little-endian.

    Beyond float16's range (65504) a depth becomes infinite, as that of nothing, 1e10, does.
    """
    import torch

    # torch converts with the processor's own instructions; numpy's float16 of a frame whose depth
    # overflows takes 40 ms instead of 2.
    body = torch.empty(sum(plane.size for plane in planes), dtype=getattr(torch, dtype))
    start = 0
    for plane in planes:
        body[start : start + plane.size] = torch.from_numpy(plane).reshape(-1)
        start += plane.size
    values = body.numpy()
    if sys.byteorder == "big":
        values = values.byteswap()
    return values.view(np.uint8).data
