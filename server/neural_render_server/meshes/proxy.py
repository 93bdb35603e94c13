"""A trained scene at a moment, or over several, as a mesh on disk."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ..camera_path import CameraPath
from ..cameras import Camera
from ..crop import Crop
from ..errors import OptionError, SceneError
from ..methods.base import Method
from ..progress import Control, Event, OnEvent
from ..scene import Scene, load_method
from .fusion import Fusion, Grid, OverTime
from .surface import Mesh, without_small_pieces, write_ply, zero_level
from .views import box_of, fusion_cameras

# A pixel shows a surface from here on: below, most of the light comes through.
SOLID = 0.5


@dataclass(frozen=True)
class MeshOptions:
    """How to make a mesh.

    ``times`` in seconds; of several, what is solid at ``any`` or ``always``. ``resolution``: voxels along the
    longest side of what ``crop`` keeps, or, without one, of what the cameras see. ``between``: look from
    half-way between the cameras, too.
    """

    times: tuple[float, ...] = (0.0,)
    combine: Literal["any", "always"] = "any"
    resolution: int = 128
    crop: Crop | None = None
    between: bool = True
    device: str = "auto"

    def __post_init__(self) -> None:
        if not self.times or not np.isfinite(self.times).all():
            raise OptionError("times: give at least one moment in seconds")
        if self.combine not in ("any", "always"):
            raise OptionError(f"combine {self.combine!r} does not exist; choose any or always")
        if not 8 <= self.resolution <= 512:
            raise OptionError(f"resolution {self.resolution}: choose between 8 and 512 voxels")


def write_mesh(
    scene_path: Path, out: Path, options: MeshOptions, on_event: OnEvent, control: Control
) -> dict[str, Any]:
    """Make the scene's mesh and write it to ``out`` (PLY, capture coordinates).

    Returns ``{mesh: path, vertices, faces, voxel}``; ``voxel`` is the grid's step in capture units.

    Raises:
        SceneError: the scene cannot be read, shows no surface, or the file cannot be written.
        Cancelled: ``control`` was cancelled; nothing is written.
    """
    scene = Scene(scene_path)
    method = load_method(scene, options.device)
    rig = [frame.camera for frame in CameraPath.load(scene.cameras_file).frames]
    cameras = fusion_cameras(rig, options.resolution, options.between)
    total = len(cameras) * len(options.times)

    def tell(done: int) -> None:
        control.check()
        message = f"Fused view {done} of {total}"
        on_event(Event("progress", {"fraction": done / total, "time_left": None, "message": message}))

    mesh, grid = fuse(method, cameras, options, tell)
    if not len(mesh.faces):
        raise SceneError(
            f"{scene_path}: no solid surface is in the box at this time; choose another time or box"
        )
    write_ply(out, mesh)
    counts = {"vertices": len(mesh.vertices), "faces": len(mesh.faces)}
    return {"mesh": str(out), **counts, "voxel": grid.voxel}


def fuse(
    method: Method, cameras: Sequence[Camera], options: MeshOptions, tell: Any = lambda done: None
) -> tuple[Mesh, Grid]:
    """The mesh of what ``cameras`` see of the field, and the grid it comes from; ``tell(views done)``."""
    grid = None
    over_time = OverTime(options.combine == "always")
    for moment, time in enumerate(options.times):
        depths = surface_depths(method, cameras, time, options.crop)
        if grid is None:
            bounds = options.crop.bounds if options.crop is not None else None
            if bounds is None:
                depths = iter(first := list(depths))
                bounds = box_of(cameras, first)
            grid = Grid.around(*bounds, options.resolution)
        fusion = Fusion(grid, method.device)
        for index, (camera, depth) in enumerate(zip(cameras, depths, strict=True)):
            fusion.add(camera, depth)
            tell(moment * len(cameras) + index + 1)
        over_time.add(fusion)
    assert grid is not None and over_time.distance is not None and over_time.seen is not None
    distance, seen = over_time.distance.cpu().numpy(), over_time.seen.cpu().numpy()
    return without_small_pieces(zero_level(distance, seen, grid)), grid


def surface_depths(
    method: Method, cameras: Sequence[Camera], time: float, crop: Crop | None
) -> Iterator[npt.NDArray[np.float32]]:
    """Each camera's planar depth (H, W) of what ``crop`` keeps, infinite where it is not solid."""
    for camera in cameras:
        frame = method.render(camera, time, crop)
        yield np.where(frame.opacity >= SOLID, frame.depth, np.inf).astype(np.float32)
