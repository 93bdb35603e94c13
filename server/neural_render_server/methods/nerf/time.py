"""NeRF-T, DyNeRF's baseline: NeRF given the encoded time (Li et al. 2022, section 3.1 and table 1)."""

from __future__ import annotations

from typing import Any, ClassVar

import torch

from ..base import Tensors, TrainingViews
from .coarse_fine import CoarseFineMethod
from .conditions import Condition, EncodedTime
from .config import TIME_PRESETS, NerfTimeConfig


class NerfTimeMethod(CoarseFineMethod[NerfTimeConfig]):
    """A moving field: density and colour depend on the encoded time."""

    name: ClassVar[str] = "nerf-t"
    label: ClassVar[str] = "NeRF-T"
    description: ClassVar[str] = "NeRF given the time, for moving captures: DyNeRF's baseline"
    config_class: ClassVar[type[Any]] = NerfTimeConfig
    presets: ClassVar[dict[str, dict[str, Any]]] = TIME_PRESETS
    needs_times: ClassVar[bool] = True

    def start_condition(self, views: TrainingViews, generator: torch.Generator) -> Condition:
        return EncodedTime.of(views.times, self.config.time_octaves)

    def load_condition(self, tensors: Tensors) -> Condition:
        return EncodedTime.from_span(tensors["span"])

    def learning_rates(self, progress: float) -> tuple[float, float]:
        rate = self.config.rate(progress)
        return rate, rate
