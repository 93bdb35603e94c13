"""Whether ``scene.json`` is what training writes: its types and ranges, before anything is made from it.

A scene folder may come from a stranger, and its numbers become sizes of arrays.
"""

from __future__ import annotations

import math
import types
from typing import Any, Union, get_args, get_origin, get_type_hints

# As captures.checks.MAX_IMAGE_SIDE.
MAX_SIDE = 32768
MAX_TIMESTEPS = 10**7


def wrong_field(description: type, data: dict[str, Any]) -> str | None:
    """What of ``data`` does not fit the dataclass ``description``, in words; None where all does."""
    for name, kind in get_type_hints(description).items():
        if name in data and not _fits(data[name], kind):
            return f"{name} is {_shortened(data[name])}"
    for name in ("width", "height"):
        if name in data and not 1 <= data[name] <= MAX_SIDE:
            return f"{name} is {_shortened(data[name])}"
    if not 1 <= len(data.get("times", [0])) <= MAX_TIMESTEPS:
        return f"there are {len(data['times'])} times"
    bounds = data.get("bounds", {"min": [0.0] * 3, "max": [0.0] * 3})
    if set(bounds) != {"min", "max"} or any(len(corner) != 3 for corner in bounds.values()):
        return f"bounds are {_shortened(bounds)}"
    return None


def _fits(value: Any, kind: Any) -> bool:
    """Whether a JSON value has the type of an annotation; numbers must be finite."""
    origin, inner = get_origin(kind), get_args(kind)
    if kind is Any:
        return True
    if kind is type(None):
        return value is None
    if origin in (Union, types.UnionType):
        return any(_fits(value, one) for one in inner)
    if origin is list:
        return isinstance(value, list) and all(_fits(item, inner[0]) for item in value)
    if origin is dict:
        return isinstance(value, dict) and all(_fits(item, inner[1]) for item in value.values())
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and _is_finite(value)
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # JSON's integers have no limit
        return False


def _shortened(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:60] + "..."
