"""What a verb tells its user: a line that rewrites itself on a terminal, or JSON for programs."""

from __future__ import annotations

import json
import shutil
import sys
import time
from typing import Any

from ..progress import Event

# Without a terminal (a log file) one progress line this often is enough.
_PLAIN_SECONDS = 10.0


class Console:
    """Progress goes to stderr, results to stdout, errors to stderr (with ``--json`` to stdout)."""

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json
        self._is_terminal = sys.stderr.isatty()
        self._line_open = False
        self._last_plain = -_PLAIN_SECONDS
        self._last_message = ""

    def event(self, event: Event) -> None:
        """Tell one event of a training or rendering."""
        if self.as_json:
            print(json.dumps({"event": event.kind, **event.data}, default=str), file=sys.stderr, flush=True)
        elif event.kind == "message":
            level = event.data.get("level", "info")
            self.note(f"{level}: {event.data['message']}" if level != "info" else str(event.data["message"]))
        elif event.kind == "progress":
            self._progress(event.data)

    def stage(self, message: str, fraction: float) -> None:
        """Tell how far a stage without time left has come."""
        self.event(Event("progress", {"fraction": min(fraction, 1.0), "time_left": None, "message": message}))

    def note(self, text: str) -> None:
        """A line for people on stderr."""
        if self.as_json:
            return
        self._end_line()
        print(text, file=sys.stderr, flush=True)

    def result(self, data: dict[str, Any], text: str) -> None:
        """The verb's outcome: ``data`` for programs, ``text`` for people."""
        self._end_line()
        print(json.dumps(data, default=str) if self.as_json else text, flush=True)

    def error(self, code: str, message: str) -> None:
        self._end_line()
        if self.as_json:
            print(json.dumps({"error": {"code": code, "message": message}}), flush=True)
        else:
            print(f"neural-render: {message}", file=sys.stderr, flush=True)

    def _progress(self, data: dict[str, Any]) -> None:
        line = progress_line(data["fraction"], data.get("time_left"), data.get("message", ""))
        if self._is_terminal:
            width = shutil.get_terminal_size().columns - 1
            print("\r" + line[:width].ljust(width), end="", file=sys.stderr, flush=True)
            self._line_open = True
            return
        now, message = time.monotonic(), str(data.get("message", "")).partition(",")[0].rstrip("0123456789")
        if now - self._last_plain >= _PLAIN_SECONDS or message != self._last_message:
            self._last_plain, self._last_message = now, message
            print(line, file=sys.stderr, flush=True)

    def _end_line(self) -> None:
        if self._line_open:
            print(file=sys.stderr)
            self._line_open = False


def progress_line(fraction: float, time_left: float | None, message: str) -> str:
    """`` 42%  Training, step 300, 24.1 dB, 1:05 left``."""
    left = "" if time_left is None else f", {duration(time_left)} left"
    return f"{100 * fraction:3.0f}%  {message}{left}"


def duration(seconds: float) -> str:
    """``m:ss`` or ``h:mm:ss``."""
    minutes, rest = divmod(round(max(seconds, 0.0)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
