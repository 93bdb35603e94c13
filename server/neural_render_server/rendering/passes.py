"""From a method's frame to the passes a compositor reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ..cameras import Camera
from ..errors import OptionError
from ..methods.base import CropBox, Method, RenderedFrame
from .colour import premultiplied_srgb_to_linear
from .lens import render_distorted

# Blender's own depth where nothing is.
EMPTY_DEPTH = 1e10
# Below half an 8-bit step of opacity there is nothing to give a depth to.
EMPTY_OPACITY = 0.5 / 255.0

PASS_CHANNELS = {"combined": ("R", "G", "B", "A"), "depth": ("Z",)}

Background = Literal["transparent", "field"]
Passes = dict[str, npt.NDArray[np.float32]]  # pass name -> (H, W, channels) float32


@dataclass(frozen=True)
class PassOptions:
    """What to render of a field. ``background="field"`` puts the field's learned background behind."""

    passes: tuple[str, ...] = ("combined", "depth")
    crop: CropBox | None = None
    background: Background = "transparent"

    def __post_init__(self) -> None:
        unknown = [name for name in self.passes if name not in PASS_CHANNELS]
        if unknown or not self.passes or len(set(self.passes)) != len(self.passes):
            raise OptionError(
                f"passes {', '.join(self.passes) or 'none'}: choose of {', '.join(PASS_CHANNELS)}, each once"
            )
        if self.background not in ("transparent", "field"):
            raise OptionError(f"background {self.background!r} does not exist; choose transparent or field")

    @staticmethod
    def from_json(passes: Sequence[str] | None, crop: Any, background: str | None) -> PassOptions:
        """Check and read the options as the service and the command line get them.

        Raises:
            OptionError: a pass or background does not exist, or the crop is no box.
        """
        return PassOptions(
            tuple(passes) if passes is not None else ("combined", "depth"),
            crop_from_json(crop),
            background or "transparent",  # type: ignore[arg-type]  # __post_init__ checks it
        )


def crop_from_json(data: Any) -> CropBox | None:
    """``{min: [x, y, z], max: [x, y, z]}`` in capture coordinates, or None.

    Raises:
        OptionError: it is no such box, or it is empty.
    """
    if data is None:
        return None
    try:
        corners = np.asarray([data["min"], data["max"]], dtype=np.float64)
    except (KeyError, TypeError, ValueError) as error:
        raise OptionError("crop must be {min: [x, y, z], max: [x, y, z]} in capture coordinates") from error
    if corners.shape != (2, 3) or not np.isfinite(corners).all() or not (corners[0] < corners[1]).all():
        raise OptionError("crop is no box: each of its minimum's numbers must be below its maximum's")
    low, high = corners.tolist()
    return CropBox((low[0], low[1], low[2]), (high[0], high[1], high[2]))


def render_passes(method: Method, camera: Camera, time: float, options: PassOptions, encoding: str) -> Passes:
    """Render one camera at ``time`` seconds into the passes of ``options``.

    ``combined`` is scene-linear Rec.709, premultiplied; ``depth`` is planar, in capture units, 1e10
    where nothing is. ``encoding`` is how the field stores colour: ``srgb`` or ``linear``.
    """
    frame = render_distorted(lambda pinhole: method.render(pinhole, time, options.crop), camera)
    passes: Passes = {}
    for name in options.passes:
        if name == "combined":
            passes[name] = _combined(frame, method.background, options.background, encoding)
        else:
            depth = np.where(frame.opacity < EMPTY_OPACITY, EMPTY_DEPTH, frame.depth)
            passes[name] = depth.astype(np.float32)[..., None]
    return passes


def _combined(
    frame: RenderedFrame, learned: npt.NDArray[np.float32] | None, background: Background, encoding: str
) -> npt.NDArray[np.float32]:
    color, opacity = frame.color, np.clip(frame.opacity, 0.0, 1.0)
    if background == "field" and learned is not None:
        color, opacity = frame.over(learned), np.ones_like(opacity)
    if encoding == "srgb":
        color = premultiplied_srgb_to_linear(color, opacity)
    return np.concatenate([color, opacity[..., None]], axis=-1).astype(np.float32)
