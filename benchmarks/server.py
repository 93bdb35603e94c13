"""A server for benchmarks, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

COMMAND = (sys.executable, "-m", "neural_render_server.cli", "serve", "--state-dir")


@contextmanager
def running_server() -> Iterator[dict[str, Any]]:
    """The ready line of a server with an empty state folder."""
    with tempfile.TemporaryDirectory(prefix="neural-render-") as folder:
        process = subprocess.Popen([*COMMAND, folder], stdout=subprocess.PIPE, text=True)
        try:
            assert process.stdout is not None
            yield json.loads(process.stdout.readline())
        finally:
            process.terminate()
            process.wait()
