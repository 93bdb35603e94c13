"""What Render Capture is asked to render: the cameras, frames and files, checked before anything is done."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import bpy

from ..errors import AddonError, CameraError
from ..fields import file_stem, output_folder

IMAGES, DEPTH, MASKS = "images", "depth", "masks"


@dataclass(frozen=True)
class CapturePlan:
    """Datablocks are named, not held: undo replaces them while an operator runs.

    ``cameras`` are objects' names in the order of the capture, ``stems`` the starts of their files' names.
    ``masked`` are the objects that masks show, None without masks; ``held_out`` the cameras to test with.
    """

    scene: str
    view_layer: str
    cameras: tuple[str, ...]
    stems: tuple[str, ...]
    held_out: frozenset[str]
    frames: range
    folder: Path
    is_n3dv: bool
    use_standard_view: bool
    use_alpha: bool
    use_depth: bool
    masked: frozenset[str] | None
    is_mask_ignored: bool
    keep_frames: bool

    @property
    def count(self) -> int:
        return len(self.cameras) * len(self.frames)

    def file(self, kind: str, stem: str, frame: int) -> Path:
        """Where a picture, its depth or its mask goes: ``images/cam00_0001.png``."""
        suffix = "exr" if kind == DEPTH else "png"
        return self.folder / kind / f"{stem}_{frame:04d}.{suffix}"


def plan_capture(context: bpy.types.Context) -> CapturePlan:
    """The scene's settings as a plan.

    Raises:
        AddonError: no camera is chosen, a camera's pictures cannot be trained on, the frames are none, the
            folder is unknown or holds another kind of capture, or the format cannot carry what is asked for.
    """
    scene, settings = context.scene, context.scene.neural_render.capture
    cameras = chosen_cameras(context)
    for camera in cameras:
        if camera.data.type != "PERSP":
            raise CameraError(
                f"Camera {camera.name!r} is not perspective; set its lens type to Perspective, "
                "for pictures of others cannot be trained on"
            )
    first, last = settings.frame_start, settings.frame_end
    if settings.use_scene_range:
        first, last = scene.frame_start, scene.frame_end
    if last < first or first < 0:
        raise AddonError(
            f"The frame range {first} to {last} is empty or begins before 0; set it to the frames to film"
        )
    is_n3dv = settings.format == "N3DV"
    held_out = _held_out(settings, [camera.name for camera in cameras], is_n3dv)
    if is_n3dv:  # its reader holds out the first camera
        cameras.sort(key=lambda camera: camera.name not in held_out)
    folder = output_folder(settings.folder, "captures", file_stem(scene.name))
    check_folder(folder, is_n3dv, len(cameras))
    masked = None
    if settings.mask_objects is not None and not is_n3dv:
        masked = frozenset(obj.name for obj in settings.mask_objects.all_objects)
        if getattr(scene, "cycles", None) is None:
            raise AddonError(
                "Masks are rendered by Cycles; enable the Cycles add-on in Blender's preferences"
            )
    return CapturePlan(
        scene=scene.name,
        view_layer=context.view_layer.name,
        cameras=tuple(camera.name for camera in cameras),
        stems=unique_stems([camera.name for camera in cameras]),
        held_out=held_out,
        frames=range(first, last + 1, settings.frame_step),
        folder=folder,
        is_n3dv=is_n3dv,
        use_standard_view=settings.view == "STANDARD",
        use_alpha=settings.use_alpha and not is_n3dv,
        use_depth=settings.use_depth,
        masked=masked,
        is_mask_ignored=settings.mask_use == "IGNORED",
        keep_frames=settings.keep_frames,
    )


def chosen_cameras(context: bpy.types.Context) -> list[bpy.types.Object]:
    """The cameras that the settings choose, by name.

    Raises:
        CameraError: there are none.
    """
    settings = context.scene.neural_render.capture
    if settings.cameras == "SELECTED":
        found = [obj for obj in context.view_layer.objects.selected if obj.type == "CAMERA"]
        remedy = "No camera is selected; select the cameras that film, or choose their collection"
    else:
        members = settings.rig.all_objects if settings.rig is not None else ()
        found = [obj for obj in members if obj.type == "CAMERA" and obj.name in context.scene.objects]
        remedy = "No collection with cameras is chosen; choose one, or make one with Add Camera Rig"
    if not found:
        raise CameraError(remedy)
    return sorted(found, key=lambda camera: str(camera.name))


def unique_stems(names: list[str]) -> tuple[str, ...]:
    """Names of cameras as starts of file names, no two the same."""
    stems: list[str] = []
    for name in names:
        stem, number = file_stem(name), 2
        while stem in stems:
            stem, number = f"{file_stem(name)}-{number}", number + 1
        stems.append(stem)
    return tuple(stems)


def _held_out(settings: bpy.types.PropertyGroup, names: list[str], is_n3dv: bool) -> frozenset[str]:
    if settings.split == "CAMERA":
        if settings.test_camera is None or settings.test_camera.name not in names:
            raise CameraError("The camera to hold out is not among those that film; choose one of them")
        held_out = frozenset({settings.test_camera.name})
    elif settings.split == "EVERY_NTH":
        if is_n3dv:
            raise AddonError("N3DV videos hold out one camera; choose One Camera, or write images")
        held_out = frozenset(names[:: settings.every_nth_test])
    else:
        held_out = frozenset()
    if len(held_out) == len(names):
        raise AddonError(
            "Every camera is held out, so nothing is left to train on; hold out fewer or add some"
        )
    return held_out


def check_folder(folder: Path, is_n3dv: bool, count: int = 0) -> None:
    """Raise AddonError where ``folder`` holds what would be read instead of the capture."""
    if not is_n3dv and (folder / "poses_bounds.npy").exists():
        raise AddonError(f"{folder} holds N3DV videos, which would be read instead; choose another folder")
    strangers = [path for path in folder.glob("cam*") if path.name not in n3dv_names(count)]
    if is_n3dv and strangers:
        raise AddonError(
            f"{strangers[0]} is not one of the {count} videos to be written and would be read with them; "
            "remove it, or choose another folder"
        )


def n3dv_names(count: int) -> list[str]:
    """File names of an N3DV capture's videos."""
    return [f"cam{index:02d}.mp4" for index in range(count)]
