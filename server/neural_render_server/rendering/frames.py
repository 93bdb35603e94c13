"""A camera path through a trained scene, frame by frame to disk."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ..camera_path import CameraPath, PathFrame
from ..cameras import Camera
from ..errors import OptionError
from ..files import remove_leftovers, write_bytes
from ..grade import Grade
from ..optics import BlurSampling, blurred_moments
from ..progress import Control, Event, OnEvent
from ..scene import Scene, load_method
from .environment import EnvironmentOptions, environment
from .frame_cache import FrameCache
from .frame_key import frame_key, scene_digest
from .images import encode_environment, encode_exr, encode_png, read_exr
from .motion import FieldMotion
from .passes import MATTES, Passes, PassOptions, behind_layer, render_passes

# What lens and shutter blur: coverage, and with it the colour. A mean depth would lie on no surface.
BLURRED_PASSES = ("combined", "mattes", "front", "behind")


@dataclass(frozen=True)
class RenderOptions:
    """How to write frames. Without ``overwrite`` a whole frame that is there already is kept.

    With ``environment``, equirectangular frames become light from all around, without passes.

    ``keep_since`` (Unix seconds) keeps, with ``overwrite``, those that were written since then: the frames
    of an earlier start of the same rendering, not those of the one before.
    """

    passes: PassOptions = field(default_factory=PassOptions)
    format: Literal["exr", "png"] = "exr"
    overwrite: bool = True
    device: str = "auto"
    sampling: BlurSampling = field(default_factory=BlurSampling)
    environment: EnvironmentOptions | None = None
    keep_since: float | None = None

    def __post_init__(self) -> None:
        if self.format not in ("exr", "png"):
            raise OptionError(f"format {self.format!r} does not exist; choose exr or png")
        if self.format == "png" and "combined" not in self.passes.passes:
            raise OptionError("PNG holds the combined pass only; choose it, or the format exr")
        if self.environment is not None and (self.format != "exr" or "combined" not in self.passes.passes):
            raise OptionError("an environment is made of the combined pass, as EXR; choose both")


class FrameRenderer:
    """A scene opened for rendering.

    Raises:
        SceneError, OptionError: the scene cannot be opened on ``device``.
    """

    def __init__(self, scene_path: Path, device: str = "auto") -> None:
        scene = Scene(scene_path)
        self.info = scene.read_info()
        self.method = load_method(scene, device)
        self.motion = None
        if len(self.info.times) > 1 and self.method.motion_pixels > 0:
            self.motion = FieldMotion(self.method, self.info.times, self.info.encoding)

    def render_frame(
        self,
        frame: PathFrame,
        options: PassOptions,
        sampling: BlurSampling | None = None,
        check: Callable[[], None] = lambda: None,
    ) -> Passes:
        """The passes of a frame of a camera path; ``check`` is called between the samples of a blurred one.

        Raises:
            OptionError: its depth to split at cannot be read, or it cannot be rendered as asked.
        """
        if frame.crop is not None:
            options = replace(options, crop=frame.crop)
        if frame.lens is not None or frame.shutter:
            return self._render_blurred(frame, options, sampling or BlurSampling(), check)
        return self.render(frame.camera, frame.time, options, frame.grade, _split_depth(frame))

    def render(
        self,
        camera: Camera,
        time: float,
        options: PassOptions,
        grade: Grade | None = None,
        depth: npt.NDArray[np.float32] | None = None,
    ) -> Passes:
        """The passes of one camera at ``time`` seconds from the capture's start; see ``render_passes``."""
        return render_passes(
            self.method, camera, time, options, self.info.encoding, depth, grade, self.motion
        )

    def _render_blurred(
        self, frame: PathFrame, options: PassOptions, sampling: BlurSampling, check: Callable[[], None]
    ) -> Passes:
        """The samples' means; ``depth`` and ``motion`` are the frame's own camera's, sharp.

        ``behind`` is what makes the mean front over it the mean picture.
        """
        passes: Passes = {}
        sharp = tuple(name for name in options.passes if name not in BLURRED_PASSES)
        if sharp:
            passes = self.render(frame.camera, frame.time, replace(options, passes=sharp), frame.grade)
        averaged = [name for name in options.passes if name in BLURRED_PASSES and name != "behind"]
        if "behind" in options.passes:
            averaged = list(dict.fromkeys([*averaged, "combined", "front"]))
        if averaged:
            means = self._mean(frame, replace(options, passes=tuple(averaged)), sampling, check)
            if "behind" in options.passes:
                means["behind"] = behind_layer(means["combined"], means["front"])
            passes.update({name: plane for name, plane in means.items() if name in options.passes})
        return passes

    def _mean(
        self, frame: PathFrame, options: PassOptions, sampling: BlurSampling, check: Callable[[], None]
    ) -> Passes:
        totals: dict[str, npt.NDArray[np.float64]] = {}
        moments = blurred_moments(frame.camera, frame.time, frame.lens, frame.shutter, sampling)
        depth = _split_depth(frame)
        for moment in moments:
            check()
            cut = options if moment.crop is None else replace(options, crop=moment.crop)
            found = self.render(moment.camera, moment.time, cut, frame.grade, depth)
            for name, plane in found.items():
                totals[name] = totals.get(name, 0.0) + plane.astype(np.float64)
        return {name: (total / len(moments)).astype(np.float32) for name, total in totals.items()}


def _split_depth(frame: PathFrame) -> npt.NDArray[np.float32] | None:
    """The depth (H, W) that a frame is split at, in capture units, if it is.

    Raises:
        OptionError: it cannot be read.
    """
    if frame.split_depth is None:
        return None
    return frame.split_depth.read(frame.camera.width, frame.camera.height)


def matte_names(frame: PathFrame, options: PassOptions) -> list[str]:
    """The names of the pass mattes' channels, in order."""
    crop = frame.crop or options.crop
    return crop.matted(MATTES in options.passes).matte_names if crop is not None else []


def render_path(
    scene_path: Path,
    path: CameraPath,
    out: Path,
    options: RenderOptions,
    on_event: OnEvent,
    control: Control,
    cache: FrameCache | None = None,
) -> dict[str, Any]:
    """Render every frame of ``path`` into ``out`` as ``NAME.exr`` or ``NAME.png``.

    A frame that ``cache`` has is copied from there. Returns ``{frames: [paths], rendered, kept, cached,
    seconds}``; ``seconds`` counts rendering alone.

    Raises:
        NeuralRenderError: the scene cannot be read or a frame not written; finished frames stay.
        Cancelled: ``control`` was cancelled; finished frames stay.
    """
    if options.environment is not None:
        _check_panoramas(path)
    renderer = FrameRenderer(scene_path, options.device)
    remove_leftovers(out)
    scene = scene_digest(Scene(scene_path), renderer.info) if cache is not None else ""
    files: list[str] = []
    counts = {"rendered": 0, "kept": 0, "cached": 0}
    seconds, total = 0.0, len(path.frames)
    for index, frame in enumerate(path.frames):
        control.check()
        file = out / f"{frame.name}.{options.format}"
        if _is_wanted(file, options) and _is_whole(file, options):
            source = "kept"
        else:
            key = frame_key(scene, frame, _settings(options, frame)) if cache is not None else ""
            data = cache.find(key) if cache is not None else None
            source = "rendered" if data is None else "cached"
            if data is None:
                start = time.monotonic()
                passes = renderer.render_frame(frame, options.passes, options.sampling, control.check)
                data = _encode(passes, frame, options)
                seconds += time.monotonic() - start
            write_bytes(file, data)
            if cache is not None and source == "rendered":
                _keep(cache, key, data, on_event)
        counts[source] += 1
        files.append(str(file))
        told = {"name": frame.name, "path": str(file), "index": index, "total": total}
        on_event(Event("frame", {**told, "kept": source == "kept", "cached": source == "cached"}))
        left = seconds / counts["rendered"] * (total - index - 1) if counts["rendered"] else None
        message = f"{source.capitalize()} frame {index + 1} of {total}"
        on_event(Event("progress", {"fraction": (index + 1) / total, "time_left": left, "message": message}))
    return {"frames": files, **counts, "seconds": seconds}


def _settings(options: RenderOptions, frame: PathFrame) -> list[Any]:
    """What of the options a frame's file depends on: without a lens or a shutter, not on their samples."""
    is_blurred = frame.lens is not None or frame.shutter
    return [options.passes, options.format, options.environment, options.sampling if is_blurred else None]


def _encode(passes: Passes, frame: PathFrame, options: RenderOptions) -> bytes:
    if options.environment is not None:
        return encode_environment(environment(passes["combined"], options.environment))
    if options.format == "png":
        return encode_png(passes)
    return encode_exr(passes, matte_names(frame, options.passes))


def _keep(cache: FrameCache, key: str, data: bytes, on_event: OnEvent) -> None:
    """Put a frame into the cache; what goes wrong there is told once."""
    told = len(cache.warnings)
    cache.keep(key, data)
    for warning in cache.warnings[told:]:
        on_event(Event("message", {"level": "warning", "message": warning}))


def _check_panoramas(path: CameraPath) -> None:
    for frame in path.frames:
        if frame.camera.camera_model != "EQUIRECTANGULAR":
            raise OptionError(
                f"frame {frame.name}: light from all around needs a camera of the model EQUIRECTANGULAR"
            )


def _is_wanted(file: Path, options: RenderOptions) -> bool:
    """Whether ``file``, if it is whole, is to be kept."""
    if not options.overwrite or not file.is_file():
        return not options.overwrite
    return options.keep_since is not None and file.stat().st_mtime >= options.keep_since


def _is_whole(file: Path, options: RenderOptions) -> bool:
    """Whether ``file`` is a finished frame with the passes asked for."""
    if not file.is_file():
        return False
    if options.format == "png" or options.environment is not None:  # renamed into place when whole
        return file.stat().st_size > 0
    try:
        return set(options.passes.passes) <= set(read_exr(file))
    except OSError:
        return False
