"""What each picture of a capture was rendered from, so that Keep Rendered sees what has changed since.

Of the scene that is: cameras, places of objects, lights, and the settings of render and view. Materials,
meshes and the world would have to be compared as a whole; a change of these is not seen.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import bpy

from .plan import CapturePlan

if TYPE_CHECKING:
    from .rendering import RenderedView

# One line of JSON a picture, in the capture's folder; the last line about a file counts.
LOG = "rendered.jsonl"
# Decimals of a matrix that count: Blender's own evaluation is repeated to about seven digits.
DECIMALS = 5
VIEW_SETTINGS = ("view_transform", "look", "exposure", "gamma")


class RenderedLog:
    """The log in a capture's folder; a line that is cut off counts as not there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._looks: dict[str, str] = {}
        if (folder / LOG).is_file():
            for line in (folder / LOG).read_text(encoding="utf-8").splitlines():
                try:
                    entry = json.loads(line)
                    self._looks[entry["file"]] = entry["look"]
                except (ValueError, KeyError, TypeError):
                    continue

    def is_outdated(self, file: Path, look: str) -> bool:
        """Whether ``file`` is known to be rendered from something else. What is not known is kept."""
        return self._looks.get(self._name(file), look) != look

    def note(self, file: Path, look: str) -> None:
        """``file`` has been rendered from ``look``. Raises OSError."""
        name = self._name(file)
        self._looks[name] = look
        with (self._folder / LOG).open("a", encoding="utf-8") as log:
            log.write(json.dumps({"file": name, "look": look}) + "\n")

    def _name(self, file: Path) -> str:
        return file.relative_to(self._folder).as_posix()


def look_of(
    plan: CapturePlan, scene: bpy.types.Scene, depsgraph: bpy.types.Depsgraph, view: RenderedView
) -> str:
    """What the picture of ``view`` depends on, as a hash."""
    settings = scene.view_settings
    content = {
        "camera": [view.projection.entry(), _rounded(view.camera_to_world)],
        "engine": scene.render.engine,
        "samples": [getattr(getattr(scene, "cycles", None), "samples", 0), scene.eevee.taa_render_samples],
        "alpha": plan.use_alpha,
        "view": "standard" if plan.use_standard_view else [getattr(settings, name) for name in VIEW_SETTINGS],
        "objects": [_object(obj, depsgraph) for obj in scene.objects if _is_seen(obj)],
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _is_seen(obj: bpy.types.Object) -> bool:
    return not obj.hide_render and obj.type not in {"CAMERA", "EMPTY", "SPEAKER"}


def _object(obj: bpy.types.Object, depsgraph: bpy.types.Depsgraph) -> list[Any]:
    evaluated = obj.evaluated_get(depsgraph)
    light = [evaluated.data.energy, *evaluated.data.color] if obj.type == "LIGHT" else []
    data = evaluated.data.name if evaluated.data is not None else ""
    return [obj.name, data, _rounded(evaluated.matrix_world), _rounded([light])]


def _rounded(matrix: Any) -> list[list[float]]:
    return [[round(float(value), DECIMALS) for value in row] for row in matrix]
