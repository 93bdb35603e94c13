"""What this machine computes on. Importing torch takes seconds, so it is found out in the background."""

from __future__ import annotations

import platform
import threading
from pathlib import Path

import psutil


class DeviceProbe:
    """Finds the device once, in a thread; until then it is ``unknown``."""

    def __init__(self) -> None:
        self.device = "unknown"
        self.name = "unknown"
        self._thread = threading.Thread(target=self._find, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def _find(self) -> None:
        import torch

        if torch.cuda.is_available():
            self.name, self.device = torch.cuda.get_device_name(), "cuda"
        else:
            self.name, self.device = processor_name(), "cpu"


def processor_name() -> str:
    """The processor's marketing name where the system tells it, and its cores."""
    name = platform.processor() or platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                name = line.partition(":")[2].strip()
                break
    except OSError:
        pass  # not Linux
    return f"{name}, {psutil.cpu_count()} threads"


def resident_bytes() -> int:
    """Resident memory of this process and its workers."""
    server = psutil.Process()
    total = 0
    for process in [server, *server.children(recursive=True)]:
        try:
            total += process.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total
