"""Methods by name. Ours and third parties' register alike, through the entry point group below."""

from __future__ import annotations

import dataclasses
import inspect
import json
from importlib.metadata import entry_points
from typing import Any

import torch

from ..errors import OptionError
from .base import Method
from .config_limits import beyond_limit

ENTRY_POINT_GROUP = "neural_render.methods"
DEFAULT_METHOD = "gaussians"
DEFAULT_PRESET = "default"


def method_names() -> list[str]:
    """The registered methods' names, the default first."""
    names = {entry.name for entry in entry_points(group=ENTRY_POINT_GROUP)}
    return sorted(names, key=lambda name: (name != DEFAULT_METHOD, name))


def get_method(name: str) -> type[Method]:
    """The method class registered as ``name``.

    Raises:
        OptionError: there is none, or what is registered is not a Method.
    """
    for entry in entry_points(group=ENTRY_POINT_GROUP):
        if entry.name == name:
            loaded = entry.load()
            if not (isinstance(loaded, type) and issubclass(loaded, Method)):
                raise OptionError(f"method {name!r}: {entry.value} is not a subclass of Method")
            return loaded
    raise OptionError(f"there is no method {name!r}; choose one of {', '.join(method_names())}")


def describe_methods() -> list[dict[str, Any]]:
    """What a user can choose: each method's name, label, description, presets and options."""
    described = []
    for name in method_names():
        method = get_method(name)
        described.append(
            {
                "name": name,
                "label": method.label,
                "description": method.description,
                "presets": list(method.presets),
                "default_preset": DEFAULT_PRESET,
                "config_schema": config_schema(method),
            }
        )
    return described


def config_schema(method: type[Method]) -> dict[str, Any]:
    """The options of a method's config: type and default of each, as JSON."""
    default = method.config_class()
    return {
        option.name: {"type": _type_name(option.type), "default": getattr(default, option.name)}
        for option in dataclasses.fields(default)
    }


def _type_name(kind: Any) -> str:
    """``int``, whether a config's module evaluates its annotations or not."""
    return kind if isinstance(kind, str) else inspect.formatannotation(kind)


def make_config(method: type[Method], preset: str, overrides: dict[str, Any]) -> Any:
    """The method's config for ``preset`` with ``overrides`` on top; each is checked against its type.

    Raises:
        OptionError: the preset or an option does not exist, or a value has the wrong type.
    """
    if preset not in method.presets:
        raise OptionError(f"{method.name}: no preset {preset!r}; choose one of {', '.join(method.presets)}")
    defaults = method.config_class()
    known = {option.name for option in dataclasses.fields(defaults)}
    values = {**method.presets[preset]}
    for key, value in overrides.items():
        if key not in known:
            raise OptionError(f"{method.name}: no option {key!r}; there are {', '.join(sorted(known))}")
        values[key] = _converted(f"{method.name}: option {key!r}", key, value, getattr(defaults, key))
    return method.config_class(**values)


def config_from_json(method: type[Method], data: dict[str, Any]) -> Any:
    """The config a scene was stored with; options that this version no longer has are left out.

    Raises:
        OptionError: a value has the wrong type, or is beyond what an option may be.
    """
    defaults = method.config_class()
    known = {option.name for option in dataclasses.fields(defaults)}
    return method.config_class(
        **{
            key: _converted(f"{method.name}: option {key!r}", key, value, getattr(defaults, key))
            for key, value in data.items()
            if key in known
        }
    )


def _converted(where: str, name: str, value: Any, default: Any) -> Any:
    """``value`` (from JSON or a command line string) as the type of ``default``."""
    converted = _typed(where, value, default)
    beyond = beyond_limit(name, converted)
    if beyond is not None:
        raise OptionError(f"{where} is {str(value)[:60]}, but must not {beyond}")
    return converted


def _typed(where: str, value: Any, default: Any) -> Any:
    if isinstance(default, str):
        return str(value)
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except json.JSONDecodeError as error:
            raise OptionError(f"{where} is {value!r}, but must be like {json.dumps(default)}") from error
    if isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(default, tuple) and isinstance(value, list):
        return tuple(value)
    if type(value) is not type(default):
        raise OptionError(f"{where} is {value!r}, but must be like {json.dumps(default)}")
    return value


def resolve_device(name: str) -> torch.device:
    """``auto`` is CUDA where there is one, else the CPU.

    Raises:
        OptionError: the named device does not exist here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise OptionError(f"device {name!r} does not exist; choose auto, cpu or cuda") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise OptionError("device 'cuda' is not available here; choose auto or cpu")
    return device
