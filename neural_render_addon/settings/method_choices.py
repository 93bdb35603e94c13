"""The training methods that the server offers, as choices in the panel.

Blender keeps no reference to the strings of a dynamic enum, so they live here.
"""

from __future__ import annotations

from typing import Any

from ..service.messages import MethodInfo

Items = list[tuple[str, str, str]]

# Shown until a server has answered: the default method and its presets, which every server has.
_FALLBACK = (
    MethodInfo(
        "gaussians", "Gaussians", "Gaussians in space and time", ("small", "default", "paper"), "default"
    ),
)

_methods: tuple[MethodInfo, ...] = _FALLBACK
_method_items: Items = []
_preset_items: dict[str, Items] = {}


def set_methods(methods: list[MethodInfo]) -> None:
    """Offer what the server offers; each method's default preset comes first."""
    global _methods
    _methods = tuple(methods) or _FALLBACK
    _method_items[:] = [(method.name, method.label, method.description) for method in _methods]
    _preset_items.clear()
    for method in _methods:
        presets = sorted(method.presets, key=lambda preset: preset != method.default_preset)
        _preset_items[method.name] = [
            (preset, preset.capitalize(), f"The {preset} settings of {method.label}") for preset in presets
        ] or [("default", "Default", "The method's own settings")]


def method_items(_owner: Any, _context: Any) -> Items:
    return _method_items


def preset_items(owner: Any, _context: Any) -> Items:
    return _preset_items.get(owner.method) or _preset_items[_methods[0].name]


set_methods([])
