"""What a training of a capture will take, told before it starts."""

from __future__ import annotations

from dataclasses import dataclass

from .capture import Capture
from .frames import DEFAULT_MEMORY_LIMIT, deep_cameras, view_bytes
from .store import DISK_RESERVE_BYTES, SPOOL_CACHE_BYTES

# Server and worker without frames, measured with the default method (docs/results.md, Memory): 873 MB with
# 70 MB of frames, 1.90 GB with 23 GB of them on disk.
_PROCESSES_BYTES = 800 * 10**6


@dataclass(frozen=True)
class TrainingNeeds:
    """Bytes: ``frames`` of decoded pictures, of which ``memory`` holds a share and ``disk`` the rest.

    ``memory`` is the peak of all processes with the default method; ``disk`` is temporary and 0 where all
    frames fit in memory.
    """

    frames: int
    memory: int
    disk: int


def training_needs(capture: Capture) -> TrainingNeeds:
    """The needs of training ``capture`` on its training views at its cameras' size.

    Raises:
        CaptureError: a view's file cannot be read.
    """
    views = [capture.views[index] for index in capture.train_indices]
    deep = deep_cameras(capture, views)
    frames = sum(
        view_bytes(capture.cameras[view.camera], view, capture.has_alpha, deep[view.camera]) for view in views
    )
    if frames <= DEFAULT_MEMORY_LIMIT:
        return TrainingNeeds(frames, _PROCESSES_BYTES + frames, 0)
    # The default method keeps a working set of the size of the limit beside the spool's own cache.
    held = DEFAULT_MEMORY_LIMIT + SPOOL_CACHE_BYTES
    return TrainingNeeds(frames, _PROCESSES_BYTES + held, frames + DISK_RESERVE_BYTES)
