"""What an artist does to a field with Blender's objects: crop shapes, exposure, white balance.

The server does it; here it is only taken out of Blender, frame by frame, in capture coordinates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import AddonError
from .fields import volume_corners

if TYPE_CHECKING:
    import bpy

# A shape flatter than this, against its longest axis, has a scale of 0 (the server's ``crop.py``).
LEAST_FLATNESS = 1e-6


@dataclass(frozen=True)
class CropShape:
    """``matrix`` (4, 4), nested tuples, maps the box [-1, 1]^3, or the unit ball, to capture coordinates."""

    name: str
    shape: str
    role: str
    matrix: tuple[tuple[float, ...], ...]

    def entry(self) -> dict[str, Any]:
        return {"name": self.name, "shape": self.shape, "role": self.role, "matrix": self.matrix}


@dataclass(frozen=True)
class FieldEdit:
    """``exposure`` in stops, ``temperature`` in kelvin, ``tint`` as in Blender's white balance."""

    crop: tuple[CropShape, ...] = ()
    exposure: float = 0.0
    temperature: float = 6500.0
    tint: float = 0.0

    @property
    def matte_names(self) -> tuple[str, ...]:
        """Names of the shapes that have a matte, in the server's order."""
        return tuple(shape.name for shape in self.crop if shape.role != "remove")

    def crop_entry(self) -> dict[str, Any]:
        """What a shutter's moment carries of it: the crop as it is then."""
        return {"crop": [shape.entry() for shape in self.crop]} if self.crop else {}

    def entry(self) -> dict[str, Any]:
        """What of it a camera file's entry carries; nothing where nothing is edited."""
        edits = self.crop_entry()
        grade = {"exposure": self.exposure, "temperature": self.temperature, "tint": self.tint}
        if grade != {"exposure": 0.0, "temperature": 6500.0, "tint": 0.0}:
            edits["grade"] = grade
        return edits


def crop_objects(field: bpy.types.Object, scene: bpy.types.Scene) -> list[Any]:
    """The field's crop items whose objects are in the scene; one that was deleted cuts nothing."""
    items = field.original.neural_render.edit.crops
    return [item for item in items if item.object is not None and item.object.name in scene.objects]


def matte_names(scene: bpy.types.Scene) -> list[str]:
    """Names of all mattes of the scene's fields, each once."""
    names: dict[str, None] = {}
    for field in scene.objects:
        if field.neural_render.is_field and field.neural_render.scene_path:
            for item in crop_objects(field, scene):
                if item.role != "REMOVE":
                    names[item.object.name] = None
    return list(names)


def sample_edit(field: bpy.types.Object, scene: bpy.types.Scene, depsgraph: bpy.types.Depsgraph) -> FieldEdit:
    """The edits of an evaluated field object at the frame that the depsgraph is at.

    Raises:
        AddonError: a crop object has a scale of 0, or is disabled, so that its place is not known.
    """
    edit = field.neural_render.edit
    to_capture = np.linalg.inv(np.array(field.matrix_world, dtype=np.float64))
    shapes = []
    for item in crop_objects(field, scene):
        volume = item.object.evaluated_get(depsgraph)
        is_render = depsgraph.mode == "RENDER"
        # Blender may still hold what it evaluated before the object was disabled.
        if not volume.is_evaluated or (item.object.hide_render if is_render else item.object.hide_viewport):
            where = "renders" if is_render else "viewports"
            raise AddonError(
                f"The crop object {item.object.name!r} (or its collection) is disabled in {where}, so that "
                "Blender does not animate it; enable it there, or hide it with the eye icon instead"
            )
        matrix = to_capture @ box_matrix(volume)
        lengths = np.linalg.svd(matrix[:3, :3], compute_uv=False)
        if not lengths[2] > LEAST_FLATNESS * lengths[0]:
            raise AddonError(
                f"The crop object {item.object.name!r} has scale 0, so that it holds nothing; give it a size "
                "along every axis, or take it out of the field's crop objects"
            )
        rows = tuple(tuple(float(value) for value in row) for row in matrix)
        shapes.append(CropShape(item.object.name, item.shape.lower(), item.role.lower(), rows))
    return FieldEdit(tuple(shapes), edit.exposure, edit.temperature, edit.tint)


def box_matrix(volume: bpy.types.Object) -> Any:
    """(4, 4) from the box [-1, 1]^3 to the world coordinates of an object's box."""
    corners = np.array(volume_corners(volume), dtype=np.float64)
    low, high = corners.min(axis=0), corners.max(axis=0)
    local = np.eye(4)
    local[:3, :3] = np.diag((high - low) / 2.0)
    local[:3, 3] = (low + high) / 2.0
    return np.array(volume.matrix_world, dtype=np.float64) @ local
