"""Which of a volume kernel's two implementations runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

_reference_only = False


def is_compiled(tensor: torch.Tensor) -> bool:
    """Whether kernels on ``tensor`` run in numba: on the CPU, unless ``reference_kernels`` is in force."""
    return tensor.device.type == "cpu" and not _reference_only


def as_array(tensor: torch.Tensor) -> Any:
    """The tensor as numba takes it: C-contiguous, without gradient."""
    return tensor.detach().contiguous().numpy()


@contextmanager
def reference_kernels() -> Iterator[None]:
    """Run the torch references for a while, in all threads: to measure and to check against them."""
    global _reference_only
    before, _reference_only = _reference_only, True
    try:
        yield
    finally:
        _reference_only = before
