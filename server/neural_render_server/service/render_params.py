"""What a render job asks for, and how it is done."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from ..camera_path import CameraPath
from ..progress import Control, OnEvent

if TYPE_CHECKING:
    from ..rendering.frames import RenderOptions


SAMPLES: Any = Field(
    default=32, ge=1, le=4096, description="Pictures averaged where a camera has a lens or a shutter."
)
CROP: Any = Field(
    default=None,
    description="What of the field is rendered, of frames that say nothing themselves: a list of {shape: box "
    "or sphere, matrix: 4x4 to capture coordinates, of [-1, 1]^3 or the unit ball, role: keep, remove or "
    "matte, name}, or {min, max}.",
)
SEED: Any = Field(default=0, ge=0, description="Of the lens and shutter samples; the same gives the same.")


class Environment(BaseModel):
    """How a panorama becomes light: what fills where the field is not, and what its white stands for."""

    model_config = ConfigDict(extra="forbid")

    fill: Literal["extend", "black"] = "extend"
    white: float | None = Field(default=None, description="Luminance above 1; none keeps what was filmed.")


class RenderParams(BaseModel):
    """A camera path through a scene, to frames on disk."""

    model_config = ConfigDict(extra="forbid")

    scene: str = Field(description="The scene folder, an absolute path.")
    cameras: str | dict[str, Any] = Field(description="A camera file: its absolute path or its content.")
    out: str = Field(description="The folder for the frames, an absolute path.")
    format: Literal["exr", "png"] = "exr"
    passes: list[str] = Field(
        default=["combined", "depth"], description="Of combined, depth, motion, front, behind, mattes."
    )
    crop: list[dict[str, Any]] | dict[str, Any] | None = CROP
    background: Literal["transparent", "field"] = "transparent"
    overwrite: bool = Field(default=True, description="False keeps the whole frames that exist.")
    device: str = "auto"
    samples: int = SAMPLES
    seed: int = SEED
    environment: Environment | None = Field(
        default=None, description="Write equirectangular frames as light from all around: plain RGB EXR."
    )
    cache_gigabytes: float = Field(
        default=0.0,
        ge=0.0,
        description="How large the cache of frames may be, from which the same ones are taken; 0 uses none.",
    )

    def camera_path(self) -> CameraPath:
        """
        Raises:
            CameraFileError: the camera file cannot be read.
        """
        if isinstance(self.cameras, str):
            return CameraPath.load(self.cameras)
        return CameraPath.from_json(self.cameras, "cameras")

    def options(self) -> RenderOptions:
        """
        Raises:
            OptionError: an option does not fit.
        """
        from ..optics import BlurSampling
        from ..rendering.environment import EnvironmentOptions
        from ..rendering.frames import RenderOptions
        from ..rendering.passes import PassOptions

        passes = PassOptions.from_json(self.passes, self.crop, self.background)
        sampling = BlurSampling(self.samples, self.seed)
        around = EnvironmentOptions.from_json(self.environment.model_dump() if self.environment else None)
        return RenderOptions(passes, self.format, self.overwrite, self.device, sampling, around)


def run_render(
    params: RenderParams,
    on_event: OnEvent,
    control: Control,
    cache_folder: Path,
    keep_since: float | None = None,
) -> dict[str, Any]:
    """Render the frames; returns ``{frames, rendered, kept, cached, seconds}``.

    ``keep_since``: Unix seconds of an earlier start, whose frames are kept.

    Raises:
        NeuralRenderError: bad input, or cancelled.
    """
    from ..rendering.frame_cache import GIGABYTE, FrameCache
    from ..rendering.frames import render_path

    path, options = params.camera_path(), replace(params.options(), keep_since=keep_since)
    cache = None
    if params.cache_gigabytes > 0.0:
        cache = FrameCache(cache_folder, params.cache_gigabytes * GIGABYTE)
    return render_path(Path(params.scene), path, Path(params.out), options, on_event, control, cache)
