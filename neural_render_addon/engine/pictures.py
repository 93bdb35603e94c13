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
from .blur import Blur
from .passes import EMPTY_DEPTH, NO_DEPTH, Layer
from .views import FieldView, View

if TYPE_CHECKING:  # it loads requests, which enabling the add-on must not wait for
    from ..service.client import Client

# Seconds that a band should take: an interrupted picture wastes no more than that, and a band's fixed
# costs, some ten milliseconds, stay small beside it.
BAND_SECONDS = 0.4
# Rows of the first band of a scene whose speed is not known yet, and of one that is many pictures' mean.
FIRST_ROWS = 32
FIRST_BLURRED_ROWS = 4

NO_BLUR = Blur()


class PictureSource:
    """Renders views on one server, and remembers how fast each scene renders."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self._seconds_per_pixel: dict[tuple[str, int], float] = {}

    def render(
        self,
        view: View,
        dtype: str,
        stopped: Callable[[], bool],
        progress: Callable[[float], None] = lambda fraction: None,
        with_depth: bool = True,
        with_mattes: bool = False,
        with_motion: bool = False,
        blur: Blur = NO_BLUR,
    ) -> list[Layer]:
        """One layer a field, with the mattes of its crop and how it moves within if asked; ``progress`` is
        told the part done.

        Raises:
            JobCancelled: ``stopped()`` turned true.
            AddonError: the server is gone, or cannot render it; the message is its own.
        """
        layers: list[Layer] = []
        part = 1.0 / len(view.fields)

        def tell(fraction: float) -> None:
            progress((len(layers) + fraction) * part)

        for index, field in enumerate(view.fields):
            passes = ["combined", "depth"] if with_depth else ["combined"]
            if with_mattes and field.edit.matte_names:
                passes.append("mattes")
            if with_motion:
                passes.append("motion")
            planes = self._planes(view, index, tuple(passes), dtype, stopped, tell, blur)
            layers.append(layer_of(planes, field))
        return layers

    def _planes(
        self,
        view: View,
        index: int,
        passes: tuple[str, ...],
        dtype: str,
        stopped: Callable[[], bool],
        progress: Callable[[float], None],
        blur: Blur,
    ) -> dict[str, npt.NDArray[np.float32]]:
        field = view.fields[index]
        projection = view.projection.scaled(field.scale)
        work = field.scene_path, blur.pictures
        bands: list[dict[str, npt.NDArray[np.float32]]] = []
        top = 0
        while top < projection.height:
            if stopped():
                raise JobCancelled("Cancelled")
            rows = self._rows(work, projection.width, projection.height - top)
            whole = rows == projection.height and projection.window is None
            band = projection if whole else projection.cut(0, top, projection.width, rows)
            start = time.perf_counter()
            answer = self.client.render(
                field.scene_path,
                {
                    **band.entry(),
                    "transform_matrix": field.camera_to_capture,
                    **field.edit.entry(),
                    **blur.entry(view, index, top, rows),
                },
                field.seconds,
                passes,
                dtype,
                field.background,
                blur.samples,
            )
            pixels = rows * projection.width
            self._seconds_per_pixel[work] = (time.perf_counter() - start) / pixels
            bands.append({name: plane.astype(np.float32) for name, plane in answer.planes.items()})
            top += rows
            progress(top / projection.height)
        return {name: np.concatenate([band[name] for band in bands]) for name in passes}

    def _rows(self, work: tuple[str, int], width: int, left: int) -> int:
        """Rows of the next band, of those that are left; ``work``: a scene, and how many pictures of it."""
        pace = self._seconds_per_pixel.get(work)
        first = FIRST_ROWS if work[1] == 1 else FIRST_BLURRED_ROWS
        rows = first if pace is None else max(1, int(BAND_SECONDS / (pace * width)))
        # Not a last band of a few rows: its fixed costs would be all it does.
        return left if rows * 1.5 >= left else rows


def layer_of(planes: dict[str, npt.NDArray[np.float32]], field: FieldView) -> Layer:
    """The server's planes in scene units; without a depth, it is 0."""
    combined, depth = planes["combined"], np.zeros(planes["combined"].shape[:2], dtype=np.float32)
    if "depth" in planes:
        # float16 holds no 1e10: there, nothing is infinitely far.
        depth = planes["depth"][..., 0]
        depth = np.where(depth < NO_DEPTH, depth * np.float32(field.scale), EMPTY_DEPTH)
    mattes = {}
    if "mattes" in planes:
        names = field.edit.matte_names
        mattes = {name: planes["mattes"][..., index] for index, name in enumerate(names)}
    return Layer(combined, depth, mattes, planes.get("motion"))


def resized(view: View, width: int, height: int) -> View:
    """The view in another size."""
    return replace(view, projection=view.projection.resized(width, height))
