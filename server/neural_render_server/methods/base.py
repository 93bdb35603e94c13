"""What a method must be: a field that trains step by step and renders cameras at any time.

A method is registered by name through the ``neural_render.methods`` entry point group.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt
import torch

from ..cameras import Camera
from ..captures.capture import PointCloud
from ..captures.pixels import Pixels
from ..crop import Crop
from ..errors import OptionError
from ..rolling_shutter import RollingShutter

Tensors = dict[str, torch.Tensor]

# report(message, fraction in [0, 1] of the present stage); it raises Cancelled when the user cancels.
Report = Callable[[str, float], None]


class TrainingViews(Protocol):
    """The training views of a capture, decoded, undistorted and downscaled; held-out views are absent.

    ``cameras`` are pinhole; ``camera_indices`` and ``timestep_indices`` are (V,) per view. ``times`` are the
    timesteps' seconds, ``view_times`` (V,) when each view was taken, which cameras that were started by hand
    did a part of a timestep apart. ``shutters``, one a camera, tell of rolling shutters; None where every
    picture was taken at once.
    """

    times: npt.NDArray[np.float64]
    view_times: npt.NDArray[np.float64]
    camera_indices: npt.NDArray[np.int64]
    timestep_indices: npt.NDArray[np.int64]
    has_alpha: bool
    points: PointCloud | None
    near_far: npt.NDArray[np.float64] | None
    shutters: Sequence[RollingShutter] | None

    @property
    def cameras(self) -> Sequence[Camera]: ...

    def __len__(self) -> int: ...

    def rgb(self, index: int) -> Pixels:
        """(H, W, 3) sRGB-encoded, straight (not premultiplied); white is ``captures.pixels.white_of``."""

    def alpha(self, index: int) -> npt.NDArray[np.uint8] | None:
        """(H, W), or None where the capture has no alpha."""

    def mask(self, index: int) -> npt.NDArray[np.bool_] | None:
        """(H, W) True where the pixel is usable, or None where all are."""


@dataclass(frozen=True)
class RenderedFrame:
    """One rendered frame, before any background.

    ``color`` (H, W, 3) float32, premultiplied by opacity, in the capture's own encoding (sRGB for
    8-bit captures); ``opacity`` (H, W) in [0, 1]; ``depth`` (H, W) planar depth in capture units,
    already divided by opacity, 0 where opacity is 0. ``mattes`` (H, W, M): of a crop with mattes, the part of
    opacity that lies in each of its shapes with a matte.
    """

    color: npt.NDArray[np.float32]
    opacity: npt.NDArray[np.float32]
    depth: npt.NDArray[np.float32]
    mattes: npt.NDArray[np.float32] | None = None

    def over(self, background: npt.ArrayLike) -> npt.NDArray[np.float32]:
        """(H, W, 3) colour over a constant background of the same encoding."""
        behind = (1.0 - self.opacity[..., None]) * np.asarray(background, dtype=np.float32)
        return self.color + behind


@dataclass(frozen=True)
class SplitFrame:
    """A frame, and its part before a depth per pixel (of computer graphics that go between).

    ``front_color`` (H, W, 3) and ``front_opacity`` (H, W) are as in ``RenderedFrame``. What lies behind is
    what makes front over behind the whole.
    """

    whole: RenderedFrame
    front_color: npt.NDArray[np.float32]
    front_opacity: npt.NDArray[np.float32]


class Method(ABC):
    """A trainable field. Construct with a config, then either ``initialise`` or ``load``."""

    name: ClassVar[str]
    label: ClassVar[str]
    description: ClassVar[str]
    config_class: ClassVar[type[Any]]  # a dataclass
    presets: ClassVar[dict[str, dict[str, Any]]]  # preset name -> overrides of the config's defaults
    needs_times: ClassVar[bool] = False  # whether a capture that stands still is refused
    least_views: ClassVar[int] = 2  # captures with fewer views to train on are refused
    # What ``render`` takes beside pinholes: ORTHOGRAPHIC, EQUIRECTANGULAR (depth is then the distance).
    other_cameras: ClassVar[tuple[str, ...]] = ()
    beyond_white: ClassVar[bool] = False  # whether it learns light brighter than white, or clips it
    # Pixels at most of the pictures, three a frame, that motion is seen from (``rendering/motion.py``): fewer
    # than 480 by 270 where a picture takes long, 0 where nothing ever moves.
    motion_pixels: ClassVar[int] = 2**17

    def __init__(self, config: Any, device: torch.device) -> None:
        self.config = config
        self.device = device

    @property
    @abstractmethod
    def background(self) -> npt.NDArray[np.float32] | None:
        """(3,) colour learned behind the field, in the capture's encoding; None where there is none."""

    @property
    @abstractmethod
    def bounds(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Minimum and maximum corner of what the field holds, in capture coordinates."""

    def warm_up(self, report: Report) -> None:  # noqa: B027 - most methods have nothing to prepare
        """Compile kernels and the like, once, before the training clock starts."""

    @abstractmethod
    def initialise(self, views: TrainingViews, seed: int, report: Report) -> None:
        """Build the field's start from the training views."""

    @abstractmethod
    def train_step(self, views: TrainingViews, progress: float) -> dict[str, float]:
        """One optimisation step at ``progress`` in [0, 1] of the budget; returns at least ``loss``."""

    @abstractmethod
    def render(self, camera: Camera, time: float, crop: Crop | None = None) -> RenderedFrame:
        """Render a pinhole camera or one of ``other_cameras`` at ``time`` (seconds), of any size."""

    def render_split(
        self, camera: Camera, time: float, split_depth: npt.NDArray[np.float32], crop: Crop | None = None
    ) -> SplitFrame:
        """As ``render``, split at ``split_depth`` (H, W): planar, capture units; all is before infinity.

        Raises:
            OptionError: the method cannot; those that can override this.
        """
        raise OptionError(
            f"{self.label} cannot be split in depth; render it without depth layers, and merge by depth"
        )

    @abstractmethod
    def tensors(self) -> Tensors:
        """What ``model.safetensors`` holds: all that rendering needs (with JSON-able ``metadata``)."""

    @abstractmethod
    def optimizer_tensors(self) -> Tensors:
        """What ``optimizer.safetensors`` holds: all else that resuming needs, random state included."""

    @abstractmethod
    def load(self, tensors: Tensors, optimizer_tensors: Tensors | None) -> None:
        """Take up saved tensors; with ``optimizer_tensors``, training continues bit for bit."""
