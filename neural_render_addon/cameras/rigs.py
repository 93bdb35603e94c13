"""Blender cameras over time become a camera file in the capture coordinates of a field."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from ..errors import CameraError
from ..field_edit import FieldEdit, sample_edit
from ..fields import field_seconds
from ..service.jobs import write_atomically
from ..timing import scene_fps
from .camera import evaluated_projection, render_size, to_capture, uniform_scale
from .exposure import lens_entry, shutter_entry

CameraFile = dict[str, Any]


@dataclasses.dataclass
class RigSampling:
    """Which cameras to write at which scene frames, and how.

    ``cameras`` empty means the scene's camera, which markers may switch from frame to frame. Without
    a ``field`` the file is in scene coordinates and its time runs from the first frame. ``prefix``
    comes before the frame number in each entry's name; several cameras add their own. ``more`` tells
    what else goes into the entries of the frame that the scene is at. ``with_look`` adds the cameras'
    lenses, the scene's shutter, and the field's crop, exposure and white balance; they need a field.
    """

    frames: Sequence[int]
    cameras: Sequence[bpy.types.Object] = ()
    field: bpy.types.Object | None = None
    prefix: str = ""
    more: Callable[[bpy.types.Context, int], dict[str, Any]] | None = None
    with_look: bool = False
    entries: list[dict[str, Any]] = dataclasses.field(default_factory=list)

    def steps(self, context: bpy.types.Context) -> Iterator[float]:
        """Sample frame after frame, telling the part done in [0, 1]; the timeline is put back.

        Whoever iterates decides when to pause: moving a heavy scene from frame to frame takes time.

        Raises:
            CameraError: there is no camera, one is not perspective, or the field's scale is not uniform.
        """
        scene = context.scene
        before, subframe = scene.frame_current, scene.frame_subframe
        self.entries.clear()
        try:
            for index, frame in enumerate(self.frames):
                scene.frame_set(frame)
                self._sample(context, frame)
                yield (index + 1) / len(self.frames)
        finally:
            scene.frame_set(before, subframe=subframe)

    def camera_file(self, scene: bpy.types.Scene) -> CameraFile:
        """The sampled cameras as a camera file's JSON."""
        width, height = render_size(scene.render)
        return {
            "w": width,
            "h": height,
            "fps": scene_fps(scene.render.fps, scene.render.fps_base),
            "frames": list(self.entries),
        }

    def _sample(self, context: bpy.types.Context, frame: int) -> None:
        scene = context.scene
        cameras = list(self.cameras) or ([scene.camera] if scene.camera else [])
        if not cameras:
            raise CameraError("The scene has no camera; add one, or make one the active camera")
        for camera in cameras:
            entry = self._entry(context, camera, frame)
            name = f"{self.prefix}{frame:04d}"
            if len(cameras) > 1:
                name = f"{self.prefix}{bpy.path.clean_name(camera.name)}_{frame:04d}"
            entry.update(name=name, camera=camera.name)
            if self.more is not None:
                entry.update(self.more(context, frame))
            if self.with_look and self.field is not None:
                entry.update(self._edit(context).entry())
                blur = {
                    "lens": lens_entry(camera, context.evaluated_depsgraph_get(), self.field),
                    "shutter": shutter_entry(scene, frame, partial(self._moment, context, camera, frame)),
                }
                entry.update({key: value for key, value in blur.items() if value is not None})
            self.entries.append(entry)

    def _entry(self, context: bpy.types.Context, camera: bpy.types.Object, frame: int) -> dict[str, Any]:
        """The camera and the time that the scene is at; ``frame`` counts where there is no field."""
        render, depsgraph = context.scene.render, context.evaluated_depsgraph_get()
        width, height = render_size(render)
        aspect = (render.pixel_aspect_x, render.pixel_aspect_y)
        field_matrix = self._field_matrix(depsgraph)
        field_name = self.field.name if self.field else ""
        projection = evaluated_projection(camera, depsgraph, width, height, aspect)
        world = camera.evaluated_get(depsgraph).matrix_world
        return {
            **projection.scaled(uniform_scale(field_matrix, field_name)).entry(),
            "transform_matrix": to_capture(world, field_matrix, field_name).tolist(),
            "time": self._seconds(context.scene, frame),
        }

    def _moment(self, context: bpy.types.Context, camera: bpy.types.Object, frame: int) -> dict[str, Any]:
        """As ``_entry``, with the field's crop."""
        return {**self._entry(context, camera, frame), **self._edit(context).crop_entry()}

    def _edit(self, context: bpy.types.Context) -> FieldEdit:
        if self.field is None:
            return FieldEdit()
        depsgraph = context.evaluated_depsgraph_get()
        return sample_edit(self.field.evaluated_get(depsgraph), context.scene, depsgraph)

    def _field_matrix(self, depsgraph: bpy.types.Depsgraph) -> Any:
        return np.eye(4) if self.field is None else self.field.evaluated_get(depsgraph).matrix_world

    def _seconds(self, scene: bpy.types.Scene, frame: int) -> float:
        if self.field is None:
            return (frame - self.frames[0]) / scene_fps(scene.render.fps, scene.render.fps_base)
        return field_seconds(self.field, scene)


def write_camera_file(path: Path, camera_file: CameraFile) -> None:
    """Write a camera file as JSON, whole or not at all.

    Raises:
        CameraError: the file cannot be written.
    """
    try:
        write_atomically(path, json.dumps(camera_file, indent=1).encode("utf-8"))
    except OSError as error:
        raise CameraError(f"{path}: cannot be written ({error.strerror}); choose another folder") from error
