"""The largest values that a method's options may have: they become sizes of arrays.

A config comes from a user, who may mistype it, or from the scene folder of a stranger. The limits lie well
above every published setting, and keep what is allocated before a scene's tensors are compared below 2 GB.
"""

from __future__ import annotations

import math
from typing import Any

# By the last word of an option's name; the others need no limit below that of 32-bit numbers.
_LIMITS = {
    "width": 4096,
    "bottleneck": 4096,
    "layers": 64,
    "octaves": 64,
    "levels": 32,
    "features": 16,
    "resolution": 512,
    "across": 2**16,
    "size": 2**16,  # of a latent vector
    "samples": 2**22,
    "rays": 2**22,
    "pixels": 2**26,
}
_LARGEST = 2**31 - 1
_LARGEST_LOG2 = 24
_LONGEST = 1024


def beyond_limit(name: str, value: Any) -> str | None:
    """What ``value`` may be at most, in words; None where it is within that."""
    if isinstance(value, str | list | tuple) and len(value) > _LONGEST:
        return f"have more than {_LONGEST} entries"
    for item in value if isinstance(value, list | tuple) else (value,):
        if isinstance(item, bool) or not isinstance(item, int | float):
            continue
        if isinstance(item, float):
            if not math.isfinite(item):
                return "be no finite number"
            continue
        limit = _LARGEST_LOG2 if "log2" in name else _LIMITS.get(name.rpartition("_")[2], _LARGEST)
        if abs(item) > limit:
            return f"be beyond {limit}"
    return None
