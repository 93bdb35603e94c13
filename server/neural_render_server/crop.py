"""Shapes that cut a field: what lies in them is kept, removed, or told apart as a matte."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from .errors import OptionError

FloatArray = npt.NDArray[np.float64]
Kind = Literal["box", "sphere"]
# Kept is what lies in any shape of role keep (everything where there is none) and in none of role remove.
Role = Literal["keep", "remove", "matte"]

# A shape that is flatter than this, against its longest axis, holds nothing that float32 could tell.
LEAST_FLATNESS = 1e-6


@dataclass(frozen=True, eq=False)
class CropShape:
    """A box or a ball, of any place, rotation and scale; an ellipsoid where the scales differ.

    ``matrix`` (4, 4) maps the box [-1, 1]^3, or the unit ball, to capture coordinates. ``name`` names its
    matte.
    """

    kind: Kind
    matrix: npt.NDArray[np.float64]
    role: Role = "keep"
    name: str = ""

    @property
    def to_shape(self) -> npt.NDArray[np.float64]:
        """(4, 4) capture coordinates to the shape's own."""
        return np.asarray(np.linalg.inv(self.matrix), dtype=np.float64)

    @staticmethod
    def from_json(value: Any, where: str) -> CropShape:
        """``{shape: "box" | "sphere", matrix: 4x4, role?: "keep" | "remove" | "matte", name?}``.

        Raises:
            OptionError: it is no such thing, or the shape holds nothing (a scale of 0).
        """
        known = {"shape", "matrix", "role", "name"}
        if not isinstance(value, Mapping) or not {"shape", "matrix"} <= set(value) <= known:
            raise OptionError(f"{where}: a crop shape must have shape and matrix, of {sorted(known)}")
        kind, role, name = value["shape"], value.get("role", "keep"), str(value.get("name", ""))
        if kind not in get_args(Kind) or role not in get_args(Role):
            raise OptionError(
                f"{where}: a crop shape is {' or '.join(get_args(Kind))} and its role one of "
                f"{', '.join(get_args(Role))}, not {kind!r} and {role!r}"
            )
        try:
            matrix = np.asarray(value["matrix"], dtype=np.float64)
        except (TypeError, ValueError):
            matrix = np.zeros(0)
        if matrix.shape != (4, 4) or not np.isfinite(matrix).all() or not (matrix[3] == (0, 0, 0, 1)).all():
            raise OptionError(f"{where}: crop shape {name!r}: matrix must be 4x4 with the last row 0 0 0 1")
        if not _holds_something(matrix):
            raise OptionError(
                f"{where}: crop shape {name!r} has a scale of 0, so that it holds nothing; "
                "give it a size along every axis"
            )
        return CropShape(kind, matrix, role, name)


def _holds_something(matrix: npt.NDArray[np.float64]) -> bool:
    lengths = np.linalg.svd(matrix[:3, :3], compute_uv=False)
    return bool(lengths[2] > LEAST_FLATNESS * lengths[0])


@dataclass(frozen=True, eq=False)
class Crop:
    """What of a field is rendered. ``with_mattes``: with each matte shape's share of the pixels."""

    shapes: tuple[CropShape, ...]
    with_mattes: bool = False

    @property
    def mattes(self) -> list[int]:
        """The indices of the shapes that have a matte: what is removed has none."""
        if not self.with_mattes:
            return []
        return [index for index, shape in enumerate(self.shapes) if shape.role != "remove"]

    @property
    def matte_names(self) -> list[str]:
        """The names that files give the mattes, where a full stop would end a layer's name."""
        return [(self.shapes[index].name or f"Shape {index + 1}").replace(".", "_") for index in self.mattes]

    @property
    def bounds(self) -> tuple[FloatArray, FloatArray] | None:
        """Corners of the axis-aligned box around what is kept, in capture coordinates; None where all is."""
        kept = [shape for shape in self.shapes if shape.role == "keep"]
        if not kept:
            return None
        middles = np.array([shape.matrix[:3, 3] for shape in kept])
        order = {"box": 1, "sphere": 2}  # the norm whose unit ball the shape's extent along an axis follows
        reaches = np.array(
            [np.linalg.norm(shape.matrix[:3, :3], ord=order[shape.kind], axis=1) for shape in kept]
        )
        return (middles - reaches).min(axis=0), (middles + reaches).max(axis=0)

    def is_like(self, other: Crop) -> bool:
        """Whether the two have the same shapes, if at other places."""
        own, others = (
            [(shape.kind, shape.role, shape.name) for shape in crop.shapes] for crop in (self, other)
        )
        return own == others

    def between(self, other: Crop, part: float) -> Crop:
        """What lies ``part`` in [0, 1] of the way to ``other``, which is like this one.

        Each of a shape's points goes straight; where the shape would be flat on the way it stays as it is.
        """
        shapes = []
        for first, second in zip(self.shapes, other.shapes, strict=True):
            matrix = first.matrix + part * (second.matrix - first.matrix)
            shapes.append(replace(first, matrix=matrix) if _holds_something(matrix) else first)
        return replace(self, shapes=tuple(shapes))

    def matted(self, with_mattes: bool) -> Crop:
        return replace(self, with_mattes=with_mattes)

    @staticmethod
    def box(minimum: Sequence[float], maximum: Sequence[float]) -> Crop:
        """Keeps what lies in an axis-aligned box in capture coordinates."""
        matrix = np.eye(4)
        low, high = np.asarray(minimum, dtype=np.float64), np.asarray(maximum, dtype=np.float64)
        matrix[:3, :3] = np.diag((high - low) / 2.0)
        matrix[:3, 3] = (low + high) / 2.0
        return Crop((CropShape("box", matrix),))

    @staticmethod
    def from_json(value: Any, where: str) -> Crop | None:
        """A list of shapes, or ``{min: [x, y, z], max: [x, y, z]}``; None, and an empty list, cut nothing.

        Raises:
            OptionError: it is no such thing, a shape holds nothing, or two that have mattes share a name.
        """
        if value is None:
            return None
        if isinstance(value, Mapping):
            return _box_from_json(value, where)
        if not isinstance(value, Sequence) or isinstance(value, str):
            raise OptionError(
                f"{where}: crop must be a list of shapes, or {{min: [x, y, z], max: [x, y, z]}}"
            )
        shapes = tuple(
            CropShape.from_json(shape, f"{where}, shape {index + 1}") for index, shape in enumerate(value)
        )
        names = Crop(shapes, with_mattes=True).matte_names
        if len(set(names)) < len(names):
            raise OptionError(f"{where}: two crop shapes have the same name; their mattes would, too")
        return Crop(shapes) if shapes else None


def _box_from_json(value: Mapping[str, Any], where: str) -> Crop:
    try:
        corners = np.asarray([value["min"], value["max"]], dtype=np.float64)
    except (KeyError, TypeError, ValueError) as error:
        raise OptionError(
            f"{where}: crop must be {{min: [x, y, z], max: [x, y, z]}} in capture coordinates"
        ) from error
    if corners.shape != (2, 3) or not np.isfinite(corners).all() or not (corners[0] < corners[1]).all():
        raise OptionError(
            f"{where}: crop is no box: each of its minimum's numbers must be below its maximum's"
        )
    return Crop.box(*corners.tolist())
