"""A process-wide pool that runs GIL-free kernels over slices of their work.

Each slice writes only its own output, so results do not depend on the number of threads.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
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
    """Call ``work(bounds[k], bounds[k + 1])`` for every k, on the pool; return when all are done."""
    slices = [(low, high) for low, high in pairwise(bounds) if low < high]
    if len(slices) == 1 or thread_count() == 1:
        for low, high in slices:
            work(low, high)
        return
    futures = [_pool().submit(work, low, high) for low, high in slices]
    for future in futures:
        future.result()


def even_bounds(total: int, slices: int | None = None) -> list[int]:
    """Bounds that cut ``range(total)`` into equal slices."""
    slices = thread_count() if slices is None else slices
    return [total * k // slices for k in range(slices + 1)]
