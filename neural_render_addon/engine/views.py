"""What a camera sees at a frame, taken out of Blender: all that a worker thread needs to render it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..cameras.camera import to_capture, uniform_scale
from ..cameras.projections import Projection
from ..errors import AddonError
from ..field_edit import FieldEdit, sample_edit
from ..fields import field_period, field_seconds

if TYPE_CHECKING:
    import bpy

FloatArray = npt.NDArray[np.float64]
# Nested tuples rather than arrays: two views are the same if they are equal.
Matrix = tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class FieldView:
    """One trained field as a camera sees it.

    ``camera_to_capture`` (4, 4) has OpenGL axes; ``seconds`` is the moment of the capture, ``scale``
    scene units a capture unit. ``period`` is after how many seconds its time starts anew, 0 if it does not.
    """

    scene_path: str
    camera_to_capture: Matrix
    seconds: float
    period: float
    scale: float
    edit: FieldEdit
    background: str


@dataclass(frozen=True)
class View:
    """Everything in one picture; ``camera_to_world`` (4, 4) and ``projection`` are in scene units."""

    projection: Projection
    camera_to_world: Matrix
    fields: tuple[FieldView, ...]


def as_tuples(matrix: Any) -> Matrix:
    return tuple(tuple(float(value) for value in row) for row in matrix)


@dataclass(frozen=True)
class PlacedField:
    """A trained field in the scene at a frame; ``matrix`` (4, 4) maps capture to scene coordinates."""

    name: str
    scene_path: str
    matrix: Matrix
    seconds: float
    period: float
    edit: FieldEdit
    background: str


def sample_fields(depsgraph: bpy.types.Depsgraph) -> tuple[PlacedField, ...]:
    """The visible fields of an evaluated scene, each with its own place, scale and moment.

    Raises:
        CameraError: a field's scale is not uniform.
        AddonError: no trained field is visible, or a crop object has a scale of 0.
    """
    placed = _placed_fields(depsgraph)
    if not placed:
        raise AddonError(
            "No trained field is visible in this scene; press Train Scene, or open a trained scene in the "
            "Capture panel"
        )
    return placed


def sample_same_fields(
    depsgraph: bpy.types.Depsgraph, fields: tuple[PlacedField, ...]
) -> tuple[PlacedField, ...]:
    """``fields`` as they are at the depsgraph's moment; one that is not visible then stays as it is.

    Raises:
        CameraError: a field's scale is not uniform.
        AddonError: a crop object has a scale of 0.
    """
    found: dict[str, list[PlacedField]] = {}
    for field in _placed_fields(depsgraph):
        found.setdefault(field.name, []).append(field)
    # instances have their field's name: of each name, the first is the first
    return tuple(found[field.name].pop(0) if found.get(field.name) else field for field in fields)


def _placed_fields(depsgraph: bpy.types.Depsgraph) -> tuple[PlacedField, ...]:
    from bpy.path import abspath

    scene = depsgraph.scene
    settings = scene.original.neural_render.render
    fields = list(visible_fields(depsgraph))
    # What was learned behind one field would hide the others.
    background = settings.background if len(fields) == 1 else "transparent"
    placed = []
    for field, matrix in fields:  # an instance is cut as its field is
        uniform_scale(matrix, field.name)
        edit = sample_edit(field, scene, depsgraph)
        path = abspath(field.neural_render.scene_path)
        seconds = field_seconds(field, scene)
        period = field_period(field)
        placed.append(PlacedField(field.name, path, as_tuples(matrix), seconds, period, edit, background))
    return tuple(placed)


def look(fields: tuple[PlacedField, ...], projection: Projection, camera_to_world: Any) -> View:
    """What a camera with this world matrix (4, 4) sees of the fields; its own scale does not matter.

    Raises:
        CameraError: the camera's matrix is singular.
    """
    seen = tuple(
        FieldView(
            scene_path=field.scene_path,
            camera_to_capture=as_tuples(to_capture(camera_to_world, field.matrix, field.name)),
            seconds=field.seconds,
            period=field.period,
            scale=uniform_scale(field.matrix, field.name),
            edit=field.edit,
            background=field.background,
        )
        for field in fields
    )
    return View(projection, as_tuples(to_capture(camera_to_world, np.eye(4), "")), seen)


def visible_fields(depsgraph: bpy.types.Depsgraph) -> Iterator[tuple[bpy.types.Object, FloatArray]]:
    """The evaluated objects that carry a trained field, with world matrices (4, 4); instances each."""
    for instance in depsgraph.object_instances:
        properties = getattr(instance.object, "neural_render", None)
        if properties is not None and properties.is_field and properties.scene_path:
            yield instance.object, np.array(instance.matrix_world, dtype=np.float64)
