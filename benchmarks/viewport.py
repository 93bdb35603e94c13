"""How soon the viewport of a real Blender shows a trained scene after its camera moved.

python -m benchmarks.viewport SCENE --blender DIR [--out DIR]

DIR holds the wrappers ``blender`` and ``blender-gui`` (tests/gui/run_gui.py). The view turns 50 times, each
time from a full picture; a time runs until the redraw that shows the picture has ended.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from . import report

REPOSITORY = Path(__file__).resolve().parents[1]
# The screen on which the maximised viewport's region is 960 x 540.
SCREEN = "960x588x24"


def row(name: str, seconds: list[float], size: str) -> dict[str, Any]:
    ordered = sorted(seconds)
    return {
        "picture": name,
        "size": size,
        "median ms": 1e3 * statistics.median(ordered),
        "95th percentile ms": 1e3 * ordered[int(0.95 * len(ordered))],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scene", type=Path)
    parser.add_argument("--blender", type=Path, required=True, metavar="DIR")
    parser.add_argument("--out", type=Path, default=Path("out/benchmarks"))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="neural-render-viewport-") as folder:
        command = [sys.executable, str(REPOSITORY / "tests" / "gui" / "run_gui.py")]
        command += ["--script", str(Path(__file__).with_name("viewport_in_blender.py")), "--screen", SCREEN]
        command += ["--blender", str(arguments.blender), "--scene", str(arguments.scene), "--out", folder]
        before = os.getloadavg()[0]
        subprocess.run([*command, "--server-python", sys.executable], check=True)
        result = json.loads((Path(folder) / "viewport.json").read_text())
        arguments.out.mkdir(parents=True, exist_ok=True)
        (arguments.out / "viewport.png").write_bytes((Path(folder) / "viewport.png").read_bytes())
    width, height, moves = result["width"], result["height"], result["moves"]
    divisor = round(statistics.median(move["divisor"] for move in moves))
    coarse = f"{width // divisor}x{height // divisor}"
    rows = [
        row("first, when the engine has drawn it", [move["drawn"] for move in moves], coarse),
        row("first", [move["first"] for move in moves], coarse),
        row("full", [move["full"] for move in moves], f"{width}x{height}"),
    ]
    title = f"The viewport after {len(moves)} moves of the view (load average before: {before:.1f})"
    report.write(arguments.out, "viewport", title, rows, "python -m benchmarks.viewport SCENE --blender DIR")


if __name__ == "__main__":
    main()
