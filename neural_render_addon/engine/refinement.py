"""What the viewport asks of the server next: coarse while something moves, finer when it stands still.

A state machine without ``bpy``, threads or a clock of its own. One order runs at a time; the newest view
that is wanted is the next one rendered, and views in between are never asked for.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from .pace import fitted

# What is rendered: compared, and given back in orders.
View = TypeVar("View")

# A picture's sides are divided by one of these.
DIVISORS = (1, 2, 4, 8, 16)
# Of the first order, when nothing is known of the speed.
FIRST_DIVISOR = 4
# Seconds that a picture may take while something moves, and that the next finer one may take when it stands
# still. Without a graphics card Blender takes as long again to draw its overlays over the first, and ten of
# both a second still feel like moving.
COARSE_SECONDS, FINE_SECONDS = 0.06, 1.0
# Where what every picture costs leaves no room for that: times that cost. To shrink a picture further would
# make it worse and hardly sooner.
WORTH_SHRINKING = 1.25
# A picture this many times slower than expected means another scene or other work beside: what was learned is
# void.
MUCH_SLOWER = 3.0
# Seconds without a change after which the view stands still: longer than between two mouse events.
STILL_SECONDS = 0.12
# Seconds after a failure before the same view is tried again.
RETRY_SECONDS = 2.0


@dataclass(frozen=True)
class Order(Generic[View]):
    """A picture to render: ``view`` in its full ``size`` (width, height) divided by ``divisor``."""

    view: View
    size: tuple[int, int]
    divisor: int
    is_coarse: bool

    @property
    def scaled_size(self) -> tuple[int, int]:
        width, height = self.size
        return max(1, width // self.divisor), max(1, height // self.divisor)


class Refinement(Generic[View]):
    """The state of one viewport. All times are seconds of the caller's clock."""

    def __init__(self) -> None:
        self._wanted: View | None = None
        self._size = (1, 1)
        self._changed_at = -math.inf
        self._running: Order[View] | None = None
        self._shown: Order[View] | None = None
        self._failed_at = -math.inf
        self._seconds: dict[int, float] = {}  # by pixels of a picture

    def want(self, view: View, size: tuple[int, int], now: float) -> None:
        """This is what the viewport looks at."""
        if view != self._wanted or size != self._size:
            self._wanted, self._size = view, size
            self._changed_at, self._failed_at = now, -math.inf

    def next_order(self, now: float) -> Order[View] | None:
        """The order to run now; None while one runs, while waiting, or when all is done."""
        if self._wanted is None or self._running is not None or now - self._failed_at < RETRY_SECONDS:
            return None
        shown = self._shown
        if shown is None or not self._is_wanted(shown):
            divisor, is_coarse = self._coarse_divisor(), True
        elif shown.divisor > 1 and now - self._changed_at >= STILL_SECONDS:
            divisor, is_coarse = self._finer_divisor(shown.divisor), False
        else:
            return None
        self._running = Order(self._wanted, self._size, divisor, is_coarse)
        return self._running

    def is_dropped(self, order: Order[View]) -> bool:
        """Whether to give up an order that runs: refining what nobody looks at any more.

        A coarse one is finished, for else nothing would be seen while something moves without a stop.
        """
        return not order.is_coarse and not self._is_wanted(order)

    def deliver(self, order: Order[View], seconds: float) -> None:
        """The order's picture is there and shown."""
        width, height = order.scaled_size
        pixels = width * height
        if self._seconds and seconds > MUCH_SLOWER * fitted(self._seconds).seconds(pixels):
            self._seconds.clear()
        self._seconds[pixels] = 0.5 * (self._seconds.get(pixels, seconds) + seconds)
        self._shown, self._running = order, None

    def drop(self) -> None:
        """The running order was given up."""
        self._running = None

    def fail(self, now: float) -> None:
        """The running order failed; the same view is tried again only after a while."""
        self._running, self._failed_at = None, now

    @property
    def is_busy(self) -> bool:
        """Whether something runs or will be ordered without a further ``want``."""
        if self._wanted is None:
            return False
        shown = self._shown
        return self._running is not None or shown is None or not self._is_wanted(shown) or shown.divisor > 1

    def _is_wanted(self, order: Order[View]) -> bool:
        return order.view == self._wanted and order.size == self._size

    def _coarse_divisor(self) -> int:
        if not self._seconds:
            return FIRST_DIVISOR
        limit = max(COARSE_SECONDS, WORTH_SHRINKING * fitted(self._seconds).fixed)
        return self._largest_within(limit, DIVISORS)

    def _finer_divisor(self, divisor: int) -> int:
        return self._largest_within(FINE_SECONDS, [finer for finer in DIVISORS if finer < divisor])

    def _largest_within(self, limit: float, divisors: Sequence[int]) -> int:
        """The divisor of the largest picture that takes at most ``limit`` seconds, else of the smallest."""
        pace = fitted(self._seconds)
        for divisor in divisors:
            width, height = Order(None, self._size, divisor, True).scaled_size
            if pace.seconds(width * height) <= limit:
                return divisor
        return divisors[-1]
