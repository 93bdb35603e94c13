#!/usr/bin/env python3
"""The project's commands. Standard library only; each makes the environments it needs below .venvs/.

python3 tasks.py demo    the main job, end to end, on the bundled capture: film to composited shot
python3 tasks.py test    all checks and tests, in both Blender lines
python3 tasks.py build   the extension's zip into dist/
python3 tasks.py bench   the benchmarks' tables and plots into out/benchmarks/
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent
ENVIRONMENTS = ROOT / ".venvs"

# Each bpy wheel runs on exactly one Python; the server takes what the packages have wheels for.
BLENDERS = {"blender-4.5": ("bpy==4.5.15", "3.11"), "blender-5.2": ("bpy==5.2.3", "3.13")}
BLENDER_TEST_PACKAGES = ("OpenEXR", "pytest")
SERVER_PYTHONS = ("3.11", "3.12", "3.13")
BLENDER_LIBRARIES = (
    "libx11-6 libxext6 libxrender1 libxfixes3 libxi6 libxxf86vm1 libxkbcommon0 libsm6 libice6 libgl1 "
    "libegl1 libgomp1"
)

# Checks that run at once. More would wait for each other: what trains in the tests uses all cores by itself.
LANES = min(2, os.cpu_count() or 1)
PROGRESS_SECONDS = 30.0


def say(text: str) -> None:
    print(f"==> {text}", flush=True)


def fail(text: str) -> None:
    sys.exit(f"tasks.py: {text}")


def find_python(versions: Sequence[str]) -> str | None:
    """An interpreter of one of these versions: this one, on the PATH, or one of pyenv's."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for version in versions:
        if sys.version_info[:2] == tuple(map(int, version.split("."))):
            return sys.executable
        candidates = [*sorted(pyenv.glob(f"{version}.*/bin/python"), reverse=True)]
        on_path = shutil.which(f"python{version}")
        for candidate in ([Path(on_path)] if on_path else []) + candidates:
            # pyenv's shims are on the PATH for versions that are not switched on: ask before believing.
            probe = subprocess.run([candidate, "-c", "import venv"], capture_output=True)
            if probe.returncode == 0:
                return str(candidate)
    return None


def environment(name: str, versions: Sequence[str], *installs: Sequence[str]) -> Path:
    """The Python of the environment ``name``, made or renewed when what it installs has changed."""
    folder = ENVIRONMENTS / name
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    stamp, wanted = folder / "installed.txt", _fingerprint(installs)
    if stamp.is_file() and stamp.read_text() == wanted and python.exists():
        return python
    base = find_python(versions)
    if base is None:
        fail(f"{name} needs Python {' or '.join(versions)}; install one so that it is on the PATH")
    say(f"making the environment {name} (Python {versions[0]}); this happens once")
    if not python.exists():
        subprocess.run([base, "-m", "venv", folder], check=True)
    for install in installs:
        command = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *install]
        if subprocess.run(command, cwd=ROOT).returncode:
            fail(
                f"installing {' '.join(install)} into {folder} failed; see above, mend it and run this again"
            )
    stamp.write_text(wanted)
    return python


def _fingerprint(installs: Sequence[Sequence[str]]) -> str:
    files = [ROOT / "server" / "pyproject.toml", ROOT / "server" / "constraints.txt"]
    content = b"".join(file.read_bytes() for file in files)
    return hashlib.sha256(repr(installs).encode() + content).hexdigest()


def server_python() -> Path:
    return environment(
        "server",
        SERVER_PYTHONS,
        ["-c", "server/constraints.txt", "torch"],
        ["-c", "server/constraints.txt", "-e", "server[dev]"],
    )


def blender_python(name: str) -> Path:
    package, version = BLENDERS[name]
    python = environment(name, [version], [package, *BLENDER_TEST_PACKAGES])
    probe = subprocess.run([python, "-c", "import bpy"], capture_output=True, text=True)
    if probe.returncode:
        fail(f"{package} does not start ({probe.stderr.strip()[-300:]}); it may need: {BLENDER_LIBRARIES}")
    return python


def available_blender() -> str:
    """The newest Blender whose Python is here."""
    for name in reversed(BLENDERS):
        if find_python([BLENDERS[name][1]]) is not None:
            return name
    fail("the demo needs Python 3.13 or 3.11; install one so that it is on the PATH")
    raise AssertionError


def run(title: str, command: Sequence[str | Path], **environ: str) -> bool:
    say(title)
    start = time.monotonic()
    code = subprocess.run(list(map(str, command)), cwd=ROOT, env={**os.environ, **environ}).returncode
    say(f"{title}: {'ok' if code == 0 else f'FAILED (exit {code})'} in {time.monotonic() - start:.0f} s")
    return code == 0


@dataclass(frozen=True)
class Check:
    """A command whose output goes to a log, to be shown whole when it ends."""

    title: str
    command: Sequence[str | Path]
    environ: dict[str, str] = field(default_factory=dict)


def run_beside(checks: Sequence[Check], logs: Path) -> bool:
    """Run the checks in their order, ``LANES`` at once; whether all went well. Their logs go to ``logs``."""
    good, start = True, time.monotonic()
    with ThreadPoolExecutor(LANES) as lanes:
        waiting: dict[Future[tuple[int, float]], Check] = {
            lanes.submit(_run_to_log, check, _log_of(check, logs)): check for check in checks
        }
        while waiting:
            ended, _ = wait(waiting, PROGRESS_SECONDS, return_when="FIRST_COMPLETED")
            for future in ended:
                check = waiting.pop(future)
                code, seconds = future.result()
                say(check.title)
                print(_log_of(check, logs).read_text(errors="replace"), flush=True)
                say(f"{check.title}: {'ok' if code == 0 else f'FAILED (exit {code})'} in {seconds:.0f} s")
                good &= code == 0
            running = [_progress(check, logs) for future, check in waiting.items() if future.running()]
            if running and not ended:
                say(f"{time.monotonic() - start:.0f} s, running: {', '.join(running)}")
    return good


def _log_of(check: Check, logs: Path) -> Path:
    return logs / f"{check.title.replace(' ', '-').replace(':', '')}.log"


def _run_to_log(check: Check, log: Path) -> tuple[int, float]:
    # Beside another process, OpenMP's threads (torch) must sleep when they wait, not spin.
    environ = {**os.environ, "OMP_WAIT_POLICY": "passive", **check.environ}
    start = time.monotonic()
    with open(log, "wb") as output:
        process = subprocess.run(
            list(map(str, check.command)), cwd=ROOT, env=environ, stdout=output, stderr=subprocess.STDOUT
        )
    return process.returncode, time.monotonic() - start


def _progress(check: Check, logs: Path) -> str:
    """The check's title, and how far pytest says it is."""
    log = _log_of(check, logs)
    percentages = re.findall(r"\[ *(\d+%)\]", log.read_text(errors="replace")) if log.is_file() else []
    return f"{check.title} ({percentages[-1]})" if percentages else check.title


def build() -> Path:
    """Build the extension's zip with Blender's own tool and return its path."""
    python = blender_python(available_blender())
    find = "import bpy; print(bpy.utils.resource_path('LOCAL'))"
    resources = subprocess.run([python, "-c", find], capture_output=True, text=True, check=True)
    folder = Path(resources.stdout.strip().splitlines()[-1])
    tool = folder / "scripts" / "addons_core" / "bl_pkg" / "cli" / "blender_ext.py"
    (ROOT / "dist").mkdir(exist_ok=True)
    for command in (
        ["validate", str(ROOT)],
        ["build", "--source-dir", str(ROOT), "--output-dir", str(ROOT / "dist")],
    ):
        if not run(f"extension {command[0]}", [python, tool, *command]):
            fail("the extension does not build; see above")
    newest = max((ROOT / "dist").glob("neural_render-*.zip"), key=lambda path: path.stat().st_mtime)
    say(f"built {newest.relative_to(ROOT)}")
    return newest


def demo(arguments: argparse.Namespace) -> int:
    server, blender = server_python(), blender_python(available_blender())
    out = Path(arguments.out).resolve()
    command = [
        blender,
        "examples/demo/shot.py",
        "--capture",
        "examples/stage24",
        "--out",
        out,
        "--zip",
        build(),
    ]
    command += ["--server-python", server, "--minutes", str(arguments.minutes)]
    if not run("demo: film to composited shot", command):
        return 1
    say(f"look at {out / 'contact_sheet.png'} and {out / 'shot.mp4'}")
    return 0


def test(arguments: argparse.Namespace) -> int:
    server = server_python()
    blenders = {name: blender_python(name) for name in BLENDERS}
    reports = ROOT / "out" / "test-reports"
    shutil.rmtree(reports, ignore_errors=True)
    reports.mkdir(parents=True)

    def pytest(name: str, python: Path, *arguments: str) -> Check:
        command = [python, "-m", "pytest", "-q", f"--junitxml={reports / name}.xml", *arguments]
        return Check(f"tests: {name}", command, {"NEURAL_RENDER_SERVER_PYTHON": str(server)})

    # The longest first; the server's tests in two parts, so that no lane is left waiting for the other.
    service = "tests/server/service"
    checks = [
        Check("ruff check", [server, "-m", "ruff", "check", "."]),
        Check("ruff format", [server, "-m", "ruff", "format", "--check", "."]),
        Check("mypy", [server, "-m", "mypy"]),
        *(pytest(name, python, "tests/addon", "tests/end_to_end") for name, python in blenders.items()),
        pytest("server", server, "tests/server", f"--ignore={service}", "tests/test_tasks.py"),
        pytest("service", server, service),
    ]
    good = run_beside(checks, reports)
    passed, failed, skipped = count(reports)
    if arguments.gui:
        command = [server, "tests/gui/run_gui.py", "--blender", arguments.gui, "--out", "out/gui"]
        clicked = run("tests: the main job by mouse in a real Blender", [*command, "--server-python", server])
        passed, failed, good = passed + clicked, failed + (not clicked), good and clicked
    print(f"{passed} passed, {failed} failed, {skipped} skipped", flush=True)
    return 0 if good and failed == 0 else 1


def count(reports: Path) -> tuple[int, int, int]:
    """Passed, failed and skipped tests over all JUnit reports."""
    total = failed = skipped = 0
    for report in reports.glob("*.xml"):
        for suite in ElementTree.parse(report).getroot().iter("testsuite"):
            total += int(suite.get("tests", 0))
            failed += int(suite.get("failures", 0)) + int(suite.get("errors", 0))
            skipped += int(suite.get("skipped", 0))
    return total - failed - skipped, failed, skipped


def bench(arguments: argparse.Namespace) -> int:
    return 0 if run("benchmarks", [server_python(), "-m", "benchmarks", *arguments.rest]) else 1


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    verbs = parser.add_subparsers(dest="verb", required=True)
    demo_parser = verbs.add_parser("demo", help="film to composited shot on the bundled capture")
    demo_parser.add_argument("--out", default="out/demo", help="where pictures and the film go")
    demo_parser.add_argument("--minutes", type=float, default=2.5, help="training time")
    demo_parser.set_defaults(run=demo)
    test_parser = verbs.add_parser("test", help="all checks and tests")
    test_parser.add_argument("--gui", metavar="DIR", help="also click through a real Blender (tests/gui)")
    test_parser.set_defaults(run=test)
    verbs.add_parser("build", help="the extension's zip").set_defaults(
        run=lambda arguments: 0 if build() else 1
    )
    bench_parser = verbs.add_parser("bench", help="the benchmarks")
    bench_parser.add_argument("rest", nargs=argparse.REMAINDER, help="options of benchmarks/__main__.py")
    bench_parser.set_defaults(run=bench)
    arguments = parser.parse_args()
    result: int = arguments.run(arguments)
    return result


if __name__ == "__main__":
    sys.exit(main())
