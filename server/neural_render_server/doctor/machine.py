"""The machine: processor, GPU and its driver, memory, disk."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import psutil

from ..captures.store import DISK_RESERVE_BYTES
from ..service.device import processor_name
from .finding import Finding

GIGABYTE = 10**9

# A server and its worker take 1 GB by themselves (docs/results.md), and frames up to another before they
# are spooled to disk.
LITTLE_MEMORY = 3 * GIGABYTE

# Decoded frames of a capture beyond memory's share are spooled: 10 s of six Full HD cameras take 11 GB.
LITTLE_DISK = 5 * GIGABYTE

_NVIDIA_SECONDS = 10.0


@dataclass(frozen=True)
class NvidiaGpu:
    """What the driver says of the first GPU."""

    name: str
    driver: str
    memory: str


def nvidia_gpu() -> NvidiaGpu | None:
    """The first GPU that NVIDIA's driver knows, None without a driver or a GPU."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return None
    query = ["--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
    try:
        answer = subprocess.run([tool, *query], capture_output=True, text=True, timeout=_NVIDIA_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return None
    parts = [part.strip() for part in answer.stdout.partition("\n")[0].split(",")]
    return NvidiaGpu(*parts) if answer.returncode == 0 and len(parts) == 3 else None


def check_device(gpu: NvidiaGpu | None) -> Finding:
    """What torch computes on, and whether a GPU stays unused."""
    try:
        import torch
    except (ImportError, OSError) as error:
        return Finding("device", "error", f"torch does not load ({error})", "press Repair Server")
    if torch.cuda.is_available():
        return Finding("device", "ok", f"{torch.cuda.get_device_name()}, CUDA {torch.version.cuda}")
    processor = processor_name()
    if gpu is None:
        return Finding("device", "ok", f"{processor}; no NVIDIA GPU is in use")
    if torch.version.cuda is None:
        return Finding(
            "device",
            "warning",
            f"{processor}; {gpu.name} is unused, for torch {torch.__version__} is built for processors",
            "choose CUDA as Torch in the add-on's preferences and press Repair Server",
        )
    return Finding(
        "device",
        "warning",
        f"{processor}; {gpu.name} is unused, for torch (CUDA {torch.version.cuda}) cannot reach it",
        f"update NVIDIA's driver ({gpu.driver}) and restart the machine",
    )


def check_driver(gpu: NvidiaGpu | None) -> Finding:
    if gpu is None:
        return Finding("driver", "ok", "no NVIDIA driver; the processor does the work")
    return Finding("driver", "ok", f"NVIDIA {gpu.driver} for {gpu.name} with {gpu.memory}")


def check_memory() -> Finding:
    memory = psutil.virtual_memory()
    text = f"{memory.available / GIGABYTE:.1f} of {memory.total / GIGABYTE:.1f} GB are free"
    if memory.available >= LITTLE_MEMORY:
        return Finding("memory", "ok", text)
    return Finding(
        "memory",
        "warning",
        text,
        "close other programs, or train with a higher downscale and fewer timesteps",
    )


def check_disk(state_dir: Path) -> Finding:
    """Room where jobs are kept, and where frames that memory does not hold are spooled."""
    temporary = Path(tempfile.gettempdir())
    places = {"state folder": _existing(state_dir), "temporary folder": temporary}
    free = {name: shutil.disk_usage(path).free for name, path in places.items()}
    text = ", ".join(f"{size / GIGABYTE:.1f} GB free for the {name}" for name, size in free.items())
    least = min(free, key=lambda name: free[name])
    if free[least] < DISK_RESERVE_BYTES:
        return Finding("disk", "error", text, f"free some space on the disk of {places[least]}")
    if free["temporary folder"] < LITTLE_DISK:
        remedy = (
            f"free some space on the disk of {temporary}, or set TMPDIR to a larger one for long captures"
        )
        return Finding("disk", "warning", text, remedy)
    return Finding("disk", "ok", text)


def _existing(path: Path) -> Path:
    """The path, or the nearest folder above it that exists."""
    return next(folder for folder in (path, *path.parents) if folder.exists())
