"""NeRF: Representing scenes as neural radiance fields for view synthesis (Mildenhall et al. 2020)."""

from __future__ import annotations

from typing import Any, ClassVar

import torch

from ..base import Tensors, TrainingViews
from .coarse_fine import CoarseFineMethod
from .conditions import Condition, Timeless
from .config import PRESETS, NerfConfig


class NerfMethod(CoarseFineMethod[NerfConfig]):
    """A still field: of a moving capture it learns all moments at once."""

    name: ClassVar[str] = "nerf"
    label: ClassVar[str] = "NeRF"
    description: ClassVar[str] = "The original radiance field, for still captures; slow, kept for comparison"
    config_class: ClassVar[type[Any]] = NerfConfig
    presets: ClassVar[dict[str, dict[str, Any]]] = PRESETS
    motion_pixels: ClassVar[int] = 0

    def start_condition(self, views: TrainingViews, generator: torch.Generator) -> Condition:
        return Timeless()

    def load_condition(self, tensors: Tensors) -> Condition:
        return Timeless()

    def learning_rates(self, progress: float) -> tuple[float, float]:
        rate = self.config.rate(progress)
        return rate, rate
