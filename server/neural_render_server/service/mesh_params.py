"""What a mesh job asks for, and how it is done."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from ..progress import Control, OnEvent
from .render_params import CROP

if TYPE_CHECKING:
    from ..meshes.proxy import MeshOptions


class MeshParams(BaseModel):
    """A trained scene's solid surfaces, to a PLY file."""

    model_config = ConfigDict(extra="forbid")

    scene: str = Field(description="The scene folder, an absolute path.")
    out: str = Field(description="The PLY file to write, an absolute path.")
    times: list[float] = Field(default=[0.0], description="Seconds from the capture's start.")
    combine: Literal["any", "always"] = Field(
        default="any", description="Of several times: what is solid at any of them, or always."
    )
    resolution: int = Field(default=128, description="Voxels along the box's longest side, 8 to 512.")
    crop: list[dict[str, Any]] | dict[str, Any] | None = CROP
    between: bool = Field(default=True, description="Look from half-way between the cameras, too.")
    device: str = "auto"

    def options(self) -> MeshOptions:
        """
        Raises:
            OptionError: an option does not fit.
        """
        from ..crop import Crop
        from ..meshes.proxy import MeshOptions

        crop = Crop.from_json(self.crop, "crop")
        return MeshOptions(tuple(self.times), self.combine, self.resolution, crop, self.between, self.device)


def run_mesh(params: MeshParams, on_event: OnEvent, control: Control) -> dict[str, Any]:
    """Write the mesh; returns ``{mesh, vertices, faces, voxel}``.

    Raises:
        NeuralRenderError: bad input, or cancelled.
    """
    from ..meshes.proxy import write_mesh

    return write_mesh(Path(params.scene), Path(params.out), params.options(), on_event, control)
