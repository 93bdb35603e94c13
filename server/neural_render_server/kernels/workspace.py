"""Arrays that are reused from one call to the next, so that training does not grow."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt


class Workspace:
    """Named flat buffers that only grow; ``array`` gives a view of the wanted shape with old contents.

    They start as zeros, so that what a kernel leaves out is never NaN: 0 times it stays 0.
    """

    def __init__(self) -> None:
        self._buffers: dict[str, npt.NDArray[Any]] = {}

    def array(self, name: str, shape: tuple[int, ...], dtype: type[np.generic]) -> npt.NDArray[Any]:
        size = math.prod(shape)
        buffer = self._buffers.get(name)
        if buffer is None or buffer.size < size:
            # a little more than asked for, since counts creep up while Gaussians are added
            buffer = np.zeros(size + size // 4, dtype)
            self._buffers[name] = buffer
        return buffer[:size].reshape(shape)

    @property
    def bytes(self) -> int:
        return sum(buffer.nbytes for buffer in self._buffers.values())
