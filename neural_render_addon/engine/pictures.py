"""A view's fields rendered by the server, a band of rows at a time. No ``bpy``.

Bands let a picture be cancelled, and its progress be told, however slow the method is.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ..errors import JobCancelled
from ..projections import Projection
from .passes import EMPTY_DEPTH, NO_DEPTH, Layer
from .views import FieldView, View

if TYPE_CHECKING:  # it loads requests, which enabling the add-on must not wait for
    from ..client import Client

# Seconds that a band should take: an interrupted picture wastes no more than that, and a band's fixed
# costs, some ten milliseconds, stay small beside it.
BAND_SECONDS = 0.4
# Rows of the first band of a scene whose speed is not known yet.
FIRST_ROWS = 32


class PictureSource:
    """Renders views on one server, and remembers how fast each scene renders."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self._seconds_per_pixel: dict[str, float] = {}

    def render(
        self,
        view: View,
        dtype: str,
        stopped: Callable[[], bool],
        progress: Callable[[float], None] = lambda fraction: None,
        with_depth: bool = True,
    ) -> list[Layer]:
        """One layer a field; ``progress`` is told the part done in [0, 1].

        Raises:
            JobCancelled: ``stopped()`` turned true.
            AddonError: the server is gone, or cannot render it; the message is its own.
        """
        layers: list[Layer] = []
        part = 1.0 / len(view.fields)

        def tell(fraction: float) -> None:
            progress((len(layers) + fraction) * part)

        for field in view.fields:
            projection = view.projection.scaled(field.scale)
            layers.append(self._layer(field, projection, dtype, stopped, tell, with_depth))
        return layers

    def _layer(
        self,
        field: FieldView,
        projection: Projection,
        dtype: str,
        stopped: Callable[[], bool],
        progress: Callable[[float], None],
        with_depth: bool,
    ) -> Layer:
        passes = ("combined", "depth") if with_depth else ("combined",)
        bands: list[dict[str, npt.NDArray[np.float32]]] = []
        top = 0
        while top < projection.height:
            if stopped():
                raise JobCancelled("Cancelled")
            rows = self._rows(field.scene_path, projection.width, projection.height - top)
            whole = rows == projection.height and projection.window is None
            band = projection if whole else projection.cut(0, top, projection.width, rows)
            start = time.perf_counter()
            answer = self.client.render(
                field.scene_path,
                {**band.entry(), "transform_matrix": field.camera_to_capture},
                field.seconds,
                passes,
                dtype,
                None if field.crop is None else {"min": list(field.crop[0]), "max": list(field.crop[1])},
                field.background,
            )
            pixels = rows * projection.width
            self._seconds_per_pixel[field.scene_path] = (time.perf_counter() - start) / pixels
            bands.append({name: plane.astype(np.float32) for name, plane in answer.planes.items()})
            top += rows
            progress(top / projection.height)
        planes = {name: np.concatenate([band[name] for band in bands]) for name in passes}
        if not with_depth:
            return Layer(planes["combined"], np.zeros(planes["combined"].shape[:2], dtype=np.float32))
        depth = planes["depth"][..., 0]
        # float16 holds no 1e10: there, nothing is infinitely far.
        return Layer(
            planes["combined"], np.where(depth < NO_DEPTH, depth * np.float32(field.scale), EMPTY_DEPTH)
        )

    def _rows(self, scene_path: str, width: int, left: int) -> int:
        """Rows of the next band, of those that are left."""
        pace = self._seconds_per_pixel.get(scene_path)
        rows = FIRST_ROWS if pace is None else max(1, int(BAND_SECONDS / (pace * width)))
        # Not a last band of a few rows: its fixed costs would be all it does.
        return left if rows * 1.5 >= left else rows


def resized(view: View, width: int, height: int) -> View:
    """The view in another size."""
    return replace(view, projection=view.projection.resized(width, height))
