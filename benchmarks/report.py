"""How a benchmark shows its figures: one markdown table and one JSON file, beside the plots."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def machine() -> str:
    """The machine in words, without its name."""
    model = platform.processor() or platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    except OSError:
        pass
    return f"{os.cpu_count()} cores, {model}, Python {platform.python_version()}"


def markdown(rows: Sequence[dict[str, Any]]) -> str:
    """Rows as a markdown table; what a row lacks is a dash."""
    if not rows:
        return "(nothing measured)\n"
    names = list(dict.fromkeys(name for row in rows for name in row))
    lines = ["| " + " | ".join(names) + " |", "|" + "---|" * len(names)]
    lines += ["| " + " | ".join(_text(row.get(name)) for name in names) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def _text(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def write(out: Path, name: str, title: str, rows: Sequence[dict[str, Any]], command: str) -> None:
    """Print a benchmark's table and write ``NAME.md`` and ``NAME.json`` into ``out``."""
    out.mkdir(parents=True, exist_ok=True)
    text = f"## {title}\n\n{machine()}; `{command}`\n\n{markdown(rows)}"
    (out / f"{name}.md").write_text(text, encoding="utf-8")
    (out / f"{name}.json").write_text(json.dumps({"machine": machine(), "rows": list(rows)}, indent=1))
    print(text, flush=True)
