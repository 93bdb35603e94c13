"""Running a stage of ``colmap_stage`` as its parent sees it: follow, pause, cancel, and tell a crash."""

from __future__ import annotations

import contextlib
import json
import queue
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import IO, Any

import psutil

from ..errors import SolveError
from ..progress import Control

# How often the user's wishes are asked for while a stage runs: a cancel takes effect within 2 s.
_ASK_SECONDS = 0.1

# What COLMAP's log says of its progress, and how its lines about errors begin (glog: E and F; C++; Python).
_PROGRESS = re.compile(r"(?:Process\w*|Placed) \w+ \[(\d+)/(\d+)(?:, (\d+)/(\d+))?\]")
_ERRORS = ("E2", "F2", "  what()", "RuntimeError", "ValueError", "MemoryError")


def run_stage(job: dict[str, Any], control: Control, tell: Callable[[float], None]) -> None:
    """Do one stage in a process of its own; ``tell`` gets the part done.

    Raises:
        SolveError: the process ended before its work was done.
        Cancelled: the user cancelled; the process is gone.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "neural_render_server.solving.colmap_stage"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        errors="replace",
    )
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    reason = ""
    assert process.stdin is not None and process.stderr is not None
    reader = threading.Thread(target=_read, args=(process.stderr, lines), daemon=True)
    reader.start()
    try:
        process.stdin.write(json.dumps(job) + "\n")
        process.stdin.flush()
        reason = _follow(process, lines, control, tell)
        process.wait()
    except BrokenPipeError:
        process.wait()  # it died at once: the exit code tells how
    finally:
        process.kill()
        process.wait()
        reader.join(timeout=1.0)
    if process.returncode != 0:
        raise SolveError(
            f"the solver stopped while {_DOING[job['stage']]} ({_end(process.returncode)}{reason}); "
            "solve again to go on from there, with a smaller picture size if memory is short"
        )


_DOING = {
    "features": "looking for features",
    "matches": "matching features",
    "mapping": "placing the cameras",
}


def _follow(
    process: subprocess.Popen[str],
    lines: queue.SimpleQueue[str | None],
    control: Control,
    tell: Callable[[float], None],
) -> str:
    """Read the log to its end; what it says last of an error, if anything."""
    reason = ""
    while True:
        if control.is_paused:
            _hold(process.pid, control)
        control.check()
        try:
            line = lines.get(timeout=_ASK_SECONDS)
        except queue.Empty:
            continue
        if line is None:
            return reason
        part = logged_progress(line)
        if part is not None:
            tell(part)
        if line.startswith(_ERRORS):
            reason = f": {line.strip()}"


def logged_progress(line: str) -> float | None:
    """The part done that a line of COLMAP's log tells: ``[3/29]`` of all, or block ``[2/8, 5/8]``."""
    found = _PROGRESS.search(line)
    if found is None:
        return None
    done, of, inner_done, inner_of = (int(number) if number else 1 for number in found.groups())
    if found[3] is None:
        return min(1.0, done / max(1, of))
    return min(1.0, ((done - 1) * inner_of + inner_done - 1) / max(1, of * inner_of))


def _hold(pid: int, control: Control) -> None:
    """Keep the process stopped until the user goes on or cancels."""
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        process.suspend()
        try:
            control.check()
        finally:
            process.resume()


def _read(stream: IO[str], lines: queue.SimpleQueue[str | None]) -> None:
    for line in stream:
        lines.put(line)
    lines.put(None)


def _end(code: int) -> str:
    if code < 0:
        return f"signal {-code}, {signal.Signals(-code).name}"
    return f"exit code {code}"
