"""``neural-render methods``: the ways to train."""

from __future__ import annotations

import argparse
import json
from typing import Any

from .console import Console


def add_parser(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    return verbs.add_parser(
        "methods",
        help="list the ways to train",
        description="List the methods with their presets and the settings that train --set changes.",
    )


def run(arguments: argparse.Namespace, console: Console) -> None:
    from ..methods.registry import describe_methods

    described = describe_methods()
    console.result({"methods": described}, "\n\n".join(_format(method) for method in described))


def _format(method: dict[str, Any]) -> str:
    presets = ", ".join(
        f"{name} (default)" if name == method["default_preset"] else name for name in method["presets"]
    )
    lines = [
        f"{method['name']}: {method['label']}",
        f"  {method['description']}",
        f"  presets: {presets}",
        "  settings:",
    ]
    lines += [f"    {name}={json.dumps(entry['default'])}" for name, entry in method["config_schema"].items()]
    return "\n".join(lines)
