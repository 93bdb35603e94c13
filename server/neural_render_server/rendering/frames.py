"""A camera path through a trained scene, frame by frame to disk."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ..camera_path import CameraPath, PathFrame
from ..cameras import Camera
from ..errors import OptionError
from ..files import remove_leftovers
from ..optics import BlurSampling, blurred_moments
from ..progress import Control, Event, OnEvent
from ..scene import Scene, load_method
from .environment import EnvironmentOptions, environment
from .images import read_exr, write_environment, write_exr, write_png
from .passes import SPLIT_PASSES, Passes, PassOptions, render_passes


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

    def render(self, camera: Camera, time: float, options: PassOptions) -> Passes:
        """The passes of one camera at ``time`` seconds from the capture's start."""
        return render_passes(self.method, camera, time, options, self.info.encoding)

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
        if frame.lens is not None or frame.shutter:
            return self._render_blurred(frame, options, sampling or BlurSampling(), check)
        depth = None
        if frame.split_depth is not None:
            depth = frame.split_depth.read(frame.camera.width, frame.camera.height)
        return render_passes(self.method, frame.camera, frame.time, options, self.info.encoding, depth)

    def _render_blurred(
        self, frame: PathFrame, options: PassOptions, sampling: BlurSampling, check: Callable[[], None]
    ) -> Passes:
        """``combined`` is the samples' mean, premultiplied; depth is the frame's own camera's, sharp."""
        if any(name in SPLIT_PASSES for name in options.passes):
            raise OptionError(
                f"frame {frame.name or '(unnamed)'}: front and behind cannot be rendered with depth of field "
                "or motion blur; switch these off, or the depth layers"
            )
        passes: Passes = {}
        sharp = tuple(name for name in options.passes if name != "combined")
        if sharp:
            passes = self.render(frame.camera, frame.time, replace(options, passes=sharp))
        if "combined" in options.passes:
            only_combined = replace(options, passes=("combined",))
            total = np.zeros((frame.camera.height, frame.camera.width, 4))
            moments = blurred_moments(frame.camera, frame.time, frame.lens, frame.shutter, sampling)
            for moment in moments:
                check()
                total += self.render(moment.camera, moment.time, only_combined)["combined"]
            passes["combined"] = (total / len(moments)).astype(np.float32)
        return passes


def render_path(
    scene_path: Path, path: CameraPath, out: Path, options: RenderOptions, on_event: OnEvent, control: Control
) -> dict[str, Any]:
    """Render every frame of ``path`` into ``out`` as ``NAME.exr`` or ``NAME.png``.

    Returns ``{frames: [paths], rendered, kept, seconds}``; ``seconds`` counts rendering alone.

    Raises:
        NeuralRenderError: the scene cannot be read or a frame not written; finished frames stay.
        Cancelled: ``control`` was cancelled; finished frames stay.
    """
    if options.environment is not None:
        _check_panoramas(path)
    renderer = FrameRenderer(scene_path, options.device)
    remove_leftovers(out)
    files: list[str] = []
    rendered, seconds, total = 0, 0.0, len(path.frames)
    for index, frame in enumerate(path.frames):
        control.check()
        file = out / f"{frame.name}.{options.format}"
        kept = _is_wanted(file, options) and _is_whole(file, options)
        if not kept:
            start = time.monotonic()
            passes = renderer.render_frame(frame, options.passes, options.sampling, control.check)
            seconds += time.monotonic() - start
            rendered += 1
            if options.environment is not None:
                write_environment(file, environment(passes["combined"], options.environment))
            elif options.format == "exr":
                write_exr(file, passes)
            else:
                write_png(file, passes)
        files.append(str(file))
        on_event(
            Event(
                "frame", {"name": frame.name, "path": str(file), "index": index, "total": total, "kept": kept}
            )
        )
        left = seconds / rendered * (total - index - 1) if rendered else None
        message = f"Rendered frame {index + 1} of {total}"
        on_event(Event("progress", {"fraction": (index + 1) / total, "time_left": left, "message": message}))
    return {"frames": files, "rendered": rendered, "kept": total - rendered, "seconds": seconds}


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
