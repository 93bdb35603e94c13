"""How long Blender takes to enable the add-on, as it does at every start once an artist has ticked it.

python -m benchmarks.addon_enable [--out DIR] [--runs N]

The built zip is installed into a Blender folder of its own, once. Then every run is a fresh process of each
Blender wheel below .venvs/ (``python3 tasks.py test`` makes them) that enables the add-on and measures that
alone: wall time, and the process's CPU time in all its threads. The first run also compiles the add-on's
Python files, so it is shown by itself.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from . import report

ROOT = Path(__file__).resolve().parents[1]
ZIP_NAME = "neural_render.zip"

# Run by a Blender wheel's Python. It leaves without Blender's clean-up, which is none of the add-on's time.
INSTALL = """
import os, subprocess, sys, bpy
scripts = os.path.join(bpy.utils.resource_path("LOCAL"), "scripts")
tool = os.path.join(scripts, "addons_core", "bl_pkg", "cli", "blender_ext.py")
source, built = sys.argv[1:]
subprocess.run(
    [sys.executable, tool, "build", "--source-dir", source, "--output-filepath", built], check=True, stdout=2
)
bpy.ops.extensions.package_install_files(filepath=built, repo="user_default", enable_on_install=False)
os._exit(0)
"""
ENABLE = """
import json, os, sys, time, bpy
wall, processor = time.perf_counter(), time.process_time()
bpy.ops.preferences.addon_enable(module="bl_ext.user_default.neural_render")
seconds = {"wall": time.perf_counter() - wall, "processor": time.process_time() - processor}
assert hasattr(bpy.types.Scene, "neural_render")
print(json.dumps({**seconds, "version": bpy.app.version_string}), flush=True)
os._exit(0)
"""


def measure(python: Path, runs: int) -> list[dict[str, Any]]:
    """The first run and the median of the others, in milliseconds, for one Blender wheel's Python."""
    with tempfile.TemporaryDirectory(prefix="neural-render-") as folder:
        environment = {**os.environ, "BLENDER_USER_RESOURCES": folder}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)  # Blender keeps compiled files

        def blender(code: str, *arguments: str) -> str:
            command = [str(python), "-c", code, *arguments]
            return subprocess.run(
                command, env=environment, stdout=subprocess.PIPE, check=True, text=True
            ).stdout

        blender(INSTALL, str(ROOT), str(Path(folder) / ZIP_NAME))
        found = [json.loads(blender(ENABLE).splitlines()[-1]) for _ in range(runs + 1)]
    rows = []
    for name, some in (("first, compiles Python", found[:1]), ("later", found[1:])):
        wall, processor = ([1000 * run[kind] for run in some] for kind in ("wall", "processor"))
        rows.append(
            {
                "Blender": found[0]["version"],
                "start": name,
                "median wall ms": statistics.median(wall),
                "slowest wall ms": max(wall),
                "median CPU ms": statistics.median(processor),
                "runs": len(some),
            }
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("out/benchmarks"))
    parser.add_argument("--runs", type=int, default=9)
    arguments = parser.parse_args()
    pythons = sorted((ROOT / ".venvs").glob("blender-*/bin/python"))
    if not pythons:
        parser.error(".venvs/ holds no Blender; run python3 tasks.py test once, which makes them")
    rows = [row for python in pythons for row in measure(python, arguments.runs)]
    report.write(
        arguments.out, "addon_enable", "Enabling the add-on", rows, "python -m benchmarks.addon_enable"
    )


if __name__ == "__main__":
    main()
