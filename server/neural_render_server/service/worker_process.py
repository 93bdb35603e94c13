"""A worker process as the service sees it: start, command, listen, end."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

# What is kept of a worker's stderr for the error of a job whose worker died.
_STDERR_LINES = 40


class WorkerProcess:
    """One ``neural_render_server.service.worker``; see there for what goes over its pipes."""

    def __init__(self, job: dict[str, Any], held_files: Sequence[int] = ()) -> None:
        """Start it. On POSIX the worker keeps the file descriptors ``held_files`` open while it lives."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "neural_render_server.service.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
            pass_fds=() if sys.platform == "win32" else tuple(held_files),
        )
        self._stderr: deque[str] = deque(maxlen=_STDERR_LINES)
        self._write_lock = threading.Lock()
        self._stderr_thread = threading.Thread(target=self._read_stderr, daemon=True)
        self._stderr_thread.start()
        self._send(job)

    @property
    def pid(self) -> int:
        return self._process.pid

    def command(self, name: str) -> None:
        """Send ``cancel``, ``pause`` or ``resume``; nothing happens where the worker has ended."""
        self._send({"command": name})

    def messages(self) -> Iterator[dict[str, Any]]:
        """What the worker tells, until its process has ended."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.endswith("\n"):  # one that was killed may leave half a line
                yield json.loads(line)
        self._process.wait()
        self._stderr_thread.join(timeout=1.0)

    def kill_after(self, seconds: float) -> None:
        """Kill the process unless it has ended by itself within ``seconds``."""

        def wait_and_kill() -> None:
            try:
                self._process.wait(seconds)
            except subprocess.TimeoutExpired:
                self._process.kill()

        threading.Thread(target=wait_and_kill, daemon=True).start()

    def stderr_tail(self) -> str:
        return "".join(self._stderr).strip()

    def describe_end(self) -> str:
        """How the process ended, in words: ``signal 9 (SIGKILL)`` or ``exit code 1``."""
        code = self._process.returncode
        if code is not None and code < 0:
            try:
                return f"signal {-code} ({signal.Signals(-code).name})"
            except ValueError:
                return f"signal {-code}"
        return f"exit code {code}"

    def _send(self, message: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        try:
            with self._write_lock:
                self._process.stdin.write(json.dumps(message) + "\n")
                self._process.stdin.flush()
        except (OSError, ValueError):
            pass  # it has ended: messages() tells how

    def _read_stderr(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._stderr.append(line)
