"""Check Server: what ``neural-render doctor`` finds, and what keeps it from being asked. No ``bpy``."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import ServerProcessError
from .server_process import DETACHED, ServerSettings, clean_environment, find_executable

# A first start loads torch from a cold disk.
DOCTOR_TIMEOUT = 120.0


@dataclass(frozen=True)
class Finding:
    """``status`` is ``ok``, ``warning`` or ``error``; ``remedy`` is empty where all is well."""

    name: str
    status: str
    text: str
    remedy: str

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Finding:
        return Finding(*(str(data.get(key) or "") for key in ("name", "status", "text", "remedy")))


def examine(settings: ServerSettings) -> list[Finding]:
    """The doctor's findings; where it cannot run, one that says why. Takes some seconds."""
    try:
        executable = find_executable(settings)
    except ServerProcessError as error:
        text, _, remedy = str(error).partition("; ")
        return [Finding("installation", "error", text, remedy)]
    command = [str(executable), "doctor", "--json", "--state-dir", str(settings.state_dir)]
    try:
        ended = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=DOCTOR_TIMEOUT,
            env=clean_environment(),
            **DETACHED,
        )
    except OSError as error:
        return [_broken(executable, str(error.strerror))]
    except subprocess.TimeoutExpired:
        return [_broken(executable, f"it did not end within {DOCTOR_TIMEOUT:.0f} s")]
    try:
        answer = json.loads(ended.stdout.strip().splitlines()[-1])
        return [Finding.from_json(entry) for entry in answer["findings"]]
    except (ValueError, IndexError, KeyError, TypeError):
        lines = [line.strip() for line in ended.stderr.splitlines() if line.strip()]
        return [_broken(executable, lines[-1] if lines else f"it ended with {ended.returncode}")]


def _broken(executable: Path, why: str) -> Finding:
    return Finding("installation", "error", f"{executable} does not run: {why}", "press Repair Server")
