"""From a method's frame to the passes a compositor reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ..cameras import Camera
from ..crop import Crop
from ..errors import OptionError
from ..grade import Grade
from ..methods.base import Method, RenderedFrame
from .any_camera import render_camera
from .colour import linear_rgba
from .motion import FieldMotion

# Blender's own depth where nothing is.
EMPTY_DEPTH = 1e10
# Below half an 8-bit step of opacity there is nothing to give a depth to.
EMPTY_OPACITY = 0.5 / 255.0
# What lets less light through hides all (the transmittance at which Gaussians stop, too).
LEAST_THROUGH = 1e-4

RGBA = ("R", "G", "B", "A")
XYZ = ("X", "Y", "Z")
PASS_CHANNELS = {"combined": RGBA, "depth": ("Z",), "front": RGBA, "behind": RGBA, "motion": XYZ}
# One channel a matte, as many as the crop's shapes have.
MATTES = "mattes"
PASS_NAMES = (*PASS_CHANNELS, MATTES)
# Passes that need a depth to split at.
SPLIT_PASSES = ("front", "behind")

Background = Literal["transparent", "field"]
Passes = dict[str, npt.NDArray[np.float32]]  # pass name -> (H, W, channels) float32


@dataclass(frozen=True)
class PassOptions:
    """What to render of a field. ``background="field"`` puts the field's learned background behind.

    ``crop`` is that of the frames that have none of their own.
    """

    passes: tuple[str, ...] = ("combined", "depth")
    crop: Crop | None = None
    background: Background = "transparent"

    def __post_init__(self) -> None:
        unknown = [name for name in self.passes if name not in PASS_NAMES]
        if unknown or not self.passes or len(set(self.passes)) != len(self.passes):
            raise OptionError(
                f"passes {', '.join(self.passes) or 'none'}: choose of {', '.join(PASS_NAMES)}, each once"
            )
        if self.background not in ("transparent", "field"):
            raise OptionError(f"background {self.background!r} does not exist; choose transparent or field")

    @staticmethod
    def from_json(passes: Sequence[str] | None, crop: Any, background: str | None) -> PassOptions:
        """Check and read the options as the service and the command line get them.

        Raises:
            OptionError: a pass or background does not exist, or the crop is no good.
        """
        return PassOptions(
            tuple(passes) if passes is not None else ("combined", "depth"),
            Crop.from_json(crop, "crop"),
            background or "transparent",  # type: ignore[arg-type]  # __post_init__ checks it
        )


def render_passes(
    method: Method,
    camera: Camera,
    time: float,
    options: PassOptions,
    encoding: str,
    split_depth: npt.NDArray[np.float32] | None = None,
    grade: Grade | None = None,
    motion: FieldMotion | None = None,
) -> Passes:
    """Render one camera at ``time`` seconds into the passes of ``options``.

    ``combined`` is scene-linear Rec.709, premultiplied; ``depth`` is planar (of an equirectangular camera
    the distance), in capture units, 1e10 where nothing is. ``front`` and ``behind`` are like ``combined``,
    the field before and behind ``split_depth`` (H, W); front over behind is ``combined``. ``encoding`` is
    how the field stores colour: ``srgb`` or ``linear``; ``grade`` changes it in linear light. ``mattes``
    (H, W, M) is what of ``combined``'s alpha lies in each shape of the crop that has a matte. ``motion``
    (H, W, 3) is the velocity of what is seen, in capture units a second and capture axes, as ``motion``
    finds it; 0 where nothing is, and everywhere without it, as in a field that stands still.

    Raises:
        OptionError: the passes need a ``split_depth`` or a crop, or the camera or the method cannot do them.
    """
    crop = options.crop
    if MATTES in options.passes:
        if crop is None or not crop.matted(True).mattes:
            raise OptionError(
                "the pass mattes needs crop shapes that are not removed; add one, or leave it out"
            )
        crop = crop.matted(True)
    front = None
    if any(name in SPLIT_PASSES for name in options.passes):
        if split_depth is None:
            raise OptionError("the passes front and behind need the camera's split_depth: the CG's depth")
        if not camera.is_pinhole:
            raise OptionError(
                f"camera {camera.name or '(unnamed)'}: front and behind need a perspective camera without "
                "lens distortion"
            )
        split = method.render_split(camera, time, split_depth, crop)
        frame = split.whole
        front = linear_rgba(split.front_color, np.clip(split.front_opacity, 0.0, 1.0), encoding)
    else:
        frame = render_camera(method, camera, time, crop)
    combined = _combined(frame, method.background, options.background, encoding)
    if grade is not None:
        combined, front = grade.apply(combined), None if front is None else grade.apply(front)
    passes: Passes = {}
    for name in options.passes:
        if name == "combined":
            passes[name] = combined
        elif name == "front" and front is not None:
            passes[name] = front
        elif name == "behind" and front is not None:
            passes[name] = behind_layer(combined, front)
        elif name == MATTES:
            if frame.mattes is None:
                raise OptionError("this field's method knows no mattes; leave out the pass mattes")
            passes[name] = frame.mattes
        elif name == "motion":
            passes[name] = _velocities(motion, camera, time, crop, frame)
        else:
            depth = np.where(frame.opacity < EMPTY_OPACITY, EMPTY_DEPTH, frame.depth)
            passes[name] = depth.astype(np.float32)[..., None]
    return passes


def _velocities(
    motion: FieldMotion | None, camera: Camera, time: float, crop: Crop | None, frame: RenderedFrame
) -> npt.NDArray[np.float32]:
    if motion is None:
        return np.zeros_like(frame.color)
    found = motion.velocities(camera, time, crop)
    return np.where((frame.opacity < EMPTY_OPACITY)[..., None], np.float32(0.0), found)


def behind_layer(
    combined: npt.NDArray[np.float32], front: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """The layer (H, W, 4) that makes ``front`` over it ``combined``; all premultiplied and linear.

    So a pixel that CG covers by half is the mean of the frame with CG and the frame without, whatever
    encoding the field blends in. In that encoding a dark part behind a bright one can come out negative here.
    Where ``front`` hides all there is nothing behind.
    """
    through = 1.0 - front[..., 3:]
    behind = np.where(through > LEAST_THROUGH, (combined - front) / np.maximum(through, LEAST_THROUGH), 0.0)
    behind[..., 3] = np.clip(behind[..., 3], 0.0, 1.0)
    return behind.astype(np.float32)


def _combined(
    frame: RenderedFrame, learned: npt.NDArray[np.float32] | None, background: Background, encoding: str
) -> npt.NDArray[np.float32]:
    color, opacity = frame.color, np.clip(frame.opacity, 0.0, 1.0)
    if background == "field" and learned is not None:
        color, opacity = frame.over(learned), np.ones_like(opacity)
    return linear_rgba(color, opacity, encoding)
