"""OpenCV's YAML files, as far as calibrations use them: numbers, texts, lists of texts, matrices.

Format: OpenCV's ``modules/core/src/persistence_yml.cpp``, whose own reader runs for ever on some damaged
files. A key stands at the start of a line; what belongs to it follows indented, or as a list's ``- `` lines.
"""

from __future__ import annotations

import math
import re
from pathlib import Path

from ..errors import CaptureError
from ..files import is_no_file

Value = float | str | list[str] | list[float]

# A calibration of a thousand cameras is one megabyte.
_MAX_BYTES = 64 * 2**20

_KEY = re.compile(r"([A-Za-z_][^:\s]*)\s*:(?:\s+(.*))?$")
_MATRIX = "!!opencv-matrix"
_NOT_FINITE = {".nan": math.nan, ".inf": math.inf, "+.inf": math.inf, "-.inf": -math.inf}


def read_opencv_yaml(path: Path) -> dict[str, Value]:
    """The values of the file by key; a matrix is the flat list of its numbers.

    Raises:
        CaptureError: it cannot be read or is no such file; a damaged value is named by its key.
    """
    unreadable = f"{path}: not an OpenCV YAML file; calibrate again with EasyMocap's own tool"
    try:
        if is_no_file(path) or (path.exists() and path.stat().st_size > _MAX_BYTES):
            raise CaptureError(unreadable)
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise CaptureError(unreadable) from error
    if not lines or not lines[0].startswith("%YAML"):
        raise CaptureError(unreadable)
    values: dict[str, Value] = {}
    for key, first, rest in _entries(lines[1:]):
        try:
            values[key] = _value(first, rest)
        except ValueError as error:
            raise CaptureError(f"{path}: {key} cannot be read ({error}); calibrate again") from error
    return values


def _entries(lines: list[str]) -> list[tuple[str, str, list[str]]]:
    """(key, what follows it on its line, the lines that belong to it)."""
    entries: list[tuple[str, str, list[str]]] = []
    for line in lines:
        found = _KEY.match(line)
        if found is not None:
            entries.append((found[1], (found[2] or "").strip(), []))
        elif entries and line.strip() and not line.startswith(("---", "...", "#", "%")):
            entries[-1][2].append(line.strip())
    return entries


def _value(first: str, rest: list[str]) -> Value:
    """
    Raises:
        ValueError: it is damaged.
    """
    if first.startswith(_MATRIX):
        return _matrix(rest)
    if not first and all(line.startswith("- ") for line in rest):
        return [_text(line[2:]) for line in rest]
    if first.startswith("["):
        inside = " ".join([first, *rest])[1:].rpartition("]")[0]
        return [_text(item) for item in inside.split(",") if item.strip()]
    try:
        return _number(first)
    except ValueError:
        return _text(first)


def _matrix(lines: list[str]) -> list[float]:
    about, opened, data = " ".join(lines).partition("data:")
    size = dict(re.findall(r"(rows|cols):\s*(\d{1,9})\b", about))
    inside, closed, _ = data.strip().removeprefix("[").partition("]")
    if not opened or not closed or len(size) < 2:
        raise ValueError("it is cut short")
    numbers = [_number(item) for item in inside.split(",") if item.strip()]
    if len(numbers) != int(size["rows"]) * int(size["cols"]):
        raise ValueError(f"{len(numbers)} numbers in {size['rows']} rows of {size['cols']}")
    return numbers


def _number(text: str) -> float:
    text = text.strip()
    return _NOT_FINITE[text.lower()] if text.lower() in _NOT_FINITE else float(text)


def _text(text: str) -> str:
    text = text.strip()
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'" else text
