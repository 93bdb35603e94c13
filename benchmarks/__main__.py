"""All benchmarks of the main job, one after another: tables and plots into one folder.

python -m benchmarks [CAPTURE] [--seconds 60] [--out out/benchmarks]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "stage24"


def run(module: str, *arguments: str) -> None:
    """Run one benchmark in a process of its own, so that none counts another's memory or threads."""
    print(f"==> {module} {' '.join(arguments)}", flush=True)
    if subprocess.run([sys.executable, "-m", module, *arguments]).returncode:
        sys.exit(f"{module} failed; see above")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, prog="python -m benchmarks"
    )
    parser.add_argument("capture", nargs="?", default=str(EXAMPLE), help="a dynamic capture with cam00")
    parser.add_argument("--seconds", default="60", help="CPU seconds of each training")
    parser.add_argument("--out", type=Path, default=Path("out/benchmarks"))
    arguments = parser.parse_args()
    out, scene = str(arguments.out), str(arguments.out / "scene")
    run("benchmarks.kernels", "--out", out)
    run(
        "benchmarks.training",
        arguments.capture,
        "--seconds",
        arguments.seconds,
        "--ablation-seconds",
        arguments.seconds,
        "--out",
        out,
    )
    train = ["train", arguments.capture, "--out", scene, "--test-cameras", "cam00", "--overwrite"]
    run("neural_render_server.cli", *train, "--cpu-seconds", arguments.seconds)
    run("benchmarks.rendering", scene, "--out", out)
    run("benchmarks.transport", scene, "--out", out)
    run("benchmarks.startup", arguments.capture, "--out", out)
    run("benchmarks.addon_enable", "--out", out)
    run("benchmarks.memory", arguments.capture, "--minutes", "1", "--out", out)
    tables = [
        file.read_text(encoding="utf-8") for file in sorted(arguments.out.glob("*.md")) if file.stem != "all"
    ]
    (arguments.out / "all.md").write_text("\n".join(tables), encoding="utf-8")
    print(f"==> {arguments.out / 'all.md'} and {arguments.out / 'training.png'}", flush=True)


if __name__ == "__main__":
    main()
