"""Few pools of memory for all threads of the server, so that many frames take no more than some."""

from __future__ import annotations

import ctypes

# <malloc.h> of glibc; see mallopt(3). Each arena is a pool of its own, by default up to eight a core: what a
# thread frees in one does not serve the threads of another, and a server whose requests go from thread to
# thread grew by 0.4 to 0.9 MB in 1000 frames (benchmarks/load.py).
_M_ARENA_MAX = -8
ARENAS = 2


def limit_arenas() -> bool:
    """Let glibc keep at most ``ARENAS`` arenas, before threads start; False with another C library."""
    try:
        return bool(ctypes.CDLL(None).mallopt(_M_ARENA_MAX, ARENAS))
    except (AttributeError, OSError, TypeError):  # musl, macOS; Windows has no such handle
        return False
