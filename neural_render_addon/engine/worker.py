"""The viewport's thread: takes one order at a time and keeps its connection to the server. No ``bpy``."""

from __future__ import annotations

import queue
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..errors import AddonError, JobCancelled
from ..service import server_process
from ..service.server_process import ServerSettings
from .passes import Picture, merge
from .pictures import PictureSource, resized
from .refinement import Order
from .views import View


@dataclass(frozen=True, eq=False)
class Outcome:
    """An order's ``picture`` (H, W, 4), rows from the bottom; or the sentence why there is none.

    Neither means that the order was dropped.
    """

    order: Order[View]
    picture: Picture | None = None
    error: str = ""
    seconds: float = 0.0


class PictureWorker:
    """Runs orders in a thread of its own; ``is_dropped`` is asked between the bands of a picture."""

    def __init__(self, is_dropped: Callable[[Order[View]], bool]) -> None:
        self._is_dropped = is_dropped
        self._orders: queue.SimpleQueue[tuple[Order[View], ServerSettings] | None] = queue.SimpleQueue()
        self._outcomes: queue.SimpleQueue[Outcome] = queue.SimpleQueue()
        self._stopped = threading.Event()
        self._source: PictureSource | None = None
        self._settings: ServerSettings | None = None
        self._thread = threading.Thread(target=self._run, name="neural-render-viewport", daemon=True)
        self._thread.start()

    def give(self, order: Order[View], settings: ServerSettings) -> None:
        self._orders.put((order, settings))

    def take(self, timeout: float = 0.0) -> Outcome | None:
        """A finished order's outcome, if there is one within ``timeout`` seconds."""
        try:
            return self._outcomes.get(timeout > 0.0, timeout or None)
        except queue.Empty:
            return None

    def stop(self) -> None:
        """End the thread at its next chance."""
        self._stopped.set()
        self._orders.put(None)

    def join(self, timeout: float) -> None:
        self._thread.join(timeout)

    def _run(self) -> None:
        while (given := self._orders.get()) is not None:
            order, settings = given
            try:
                outcome = self._render(order, settings)
            except JobCancelled:
                outcome = Outcome(order)
            except AddonError as error:
                self._source = None  # connect anew: the server may come back with another address
                outcome = Outcome(order, error=str(error))
            except Exception as error:
                # A fault of ours must not end the thread; the trace goes to the console.
                traceback.print_exc()
                outcome = Outcome(order, error=f"Unexpected {type(error).__name__}: {error}; see the console")
            self._outcomes.put(outcome)

    def _render(self, order: Order[View], settings: ServerSettings) -> Outcome:
        start = time.perf_counter()
        if self._source is None or settings != self._settings:
            self._source = PictureSource(server_process.connect(settings).client)
            self._settings = settings
            start = time.perf_counter()
        layers = self._source.render(
            resized(order.view, *order.scaled_size),
            "float16",
            lambda: self._stopped.is_set() or self._is_dropped(order),
            with_depth=len(order.view.fields) > 1,
        )
        combined = layers[0].combined if len(layers) == 1 else merge(layers).combined
        picture = np.ascontiguousarray(np.flipud(combined), dtype=np.float32)
        return Outcome(order, picture, seconds=time.perf_counter() - start)
