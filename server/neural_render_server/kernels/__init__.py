"""Differentiable rasterising of dynamic Gaussians: a torch reference and the numba path for the CPU.

``reference.py`` is plain torch on any device; ``cpu.py`` is the fast path, equal to it. Both are backends
of the same shape (``backend.py``), chosen by device.
"""

from __future__ import annotations

import torch

from .backend import Backend


def backend_for(device: torch.device) -> Backend:
    """A backend of its own for one thread's work on ``device``."""
    if device.type == "cpu":
        from .cpu import CpuBackend

        return CpuBackend()
    from .reference import ReferenceBackend

    return ReferenceBackend()
