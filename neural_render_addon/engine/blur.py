"""The lens and the shutter of a final frame, for each field in its own units. No ``bpy``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from .views import View

# What of a lens is a length.
LENGTHS = ("aperture_radius", "focus_distance")


@dataclass(frozen=True)
class Blur:
    """``lens``, as a camera's entry but in scene units, or None; ``shutter``, what is seen from open to
    close, evenly apart, or nothing; ``samples``, the pictures that are averaged.
    """

    lens: dict[str, Any] | None = None
    shutter: tuple[View, ...] = ()
    samples: int = 1

    @property
    def pictures(self) -> int:
        """How many pictures one takes."""
        return self.samples if self.lens is not None or self.shutter else 1

    def entry(self, view: View, index: int, top: int, rows: int) -> dict[str, Any]:
        """What of it a camera's entry carries: field ``index`` of ``view``, ``rows`` rows from ``top``."""
        entry: dict[str, Any] = {}
        scale = view.fields[index].scale
        if self.lens is not None:
            entry["lens"] = {
                name: value / scale if name in LENGTHS else value for name, value in self.lens.items()
            }
        if self.shutter:
            entry["shutter"] = {"cameras": [_moment(moment, index, top, rows) for moment in self.shutter]}
        return entry


def shutter_views(times: Sequence[float], see: Callable[[float], View]) -> tuple[View, ...]:
    """What is seen at scene frames ``times``; nothing where nothing moves."""
    views = tuple(see(time) for time in times)
    return () if all(view == views[0] for view in views) else views


def _moment(view: View, index: int, top: int, rows: int) -> dict[str, Any]:
    field = view.fields[index]
    projection = view.projection.scaled(field.scale).cut(0, top, view.projection.width, rows)
    pose = {"transform_matrix": field.camera_to_capture, "time": field.seconds}
    return {**projection.entry(), **pose, **field.edit.crop_entry()}
