"""A process-wide pool that runs GIL-free kernels over slices of their work.

Each slice writes only its own output, so results do not depend on the number of threads.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from itertools import pairwise

# Slices beyond the thread count even out uneven work; more only add overhead.
SLICES_PER_THREAD = 4


def thread_count() -> int:
    """Threads for kernels: the CPUs this process may use, or ``NEURAL_RENDER_THREADS``."""
    wanted = os.environ.get("NEURAL_RENDER_THREADS", "")
    if wanted.isdigit() and int(wanted) > 0:
        return int(wanted)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(thread_count(), thread_name_prefix="kernel")


def run_sliced(work: Callable[[int, int], None], bounds: Sequence[int]) -> None:
    """Call ``work(bounds[k], bounds[k + 1])`` for every k, here and on the pool; return when all are done."""
    run_all([partial(work, low, high) for low, high in pairwise(bounds) if low < high])


def run_all(works: Sequence[Callable[[], None]]) -> None:
    """Call all of ``works``, about in their order, here and on the pool; return when all are done."""
    # every thread takes the next one: a future for each costs more than a small piece of work
    following = iter(works)

    def take() -> None:
        for work in following:
            work()

    helpers = [_pool().submit(take) for _ in range(min(thread_count(), len(works)) - 1)]
    try:
        take()
    finally:
        # who has not begun stands behind other calls' work: nothing is left for it
        errors = [helper.exception() for helper in helpers if not helper.cancel()]
    for error in errors:
        if error is not None:
            raise error


def several_bounds(total: int) -> list[int]:
    """Bounds that cut ``range(total)`` into several slices for each thread, which evens out uneven work."""
    return even_bounds(total, SLICES_PER_THREAD * thread_count())


def even_bounds(total: int, slices: int | None = None) -> list[int]:
    """Bounds that cut ``range(total)`` into equal slices."""
    slices = thread_count() if slices is None else slices
    return [total * k // slices for k in range(slices + 1)]
