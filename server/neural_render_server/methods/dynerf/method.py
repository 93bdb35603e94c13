"""Training DyNeRF: the networks of NeRF with a latent code a timestep, hierarchically (section 3)."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch

from ...errors import OptionError
from ..base import Report, Tensors, TrainingViews
from ..nerf.coarse_fine import CoarseFineMethod
from ..nerf.conditions import Condition
from ..volumetric.importance_sampler import ImportanceSampler
from ..volumetric.rays import PixelSampler
from ..volumetric.uniform_sampler import UniformSampler
from .config import PRESETS, DynerfConfig, check
from .latents import LatentCodes
from .stages import Stage, keyframes, stage_at


class DynerfMethod(CoarseFineMethod[DynerfConfig]):
    """A moving field whose moments are latent codes; between timesteps it renders interpolated codes."""

    name: ClassVar[str] = "dynerf"
    label: ClassVar[str] = "DyNeRF"
    description: ClassVar[str] = "A radiance field with a learned code per moment, for slow, faithful study"
    config_class: ClassVar[type[Any]] = DynerfConfig
    presets: ClassVar[dict[str, dict[str, Any]]] = PRESETS
    needs_times: ClassVar[bool] = True

    def __init__(self, config: DynerfConfig, device: torch.device) -> None:
        super().__init__(config, device)
        check(self.name, config)

    def initialise(self, views: TrainingViews, seed: int, report: Report) -> None:
        _, timesteps = np.unique(views.camera_indices, return_counts=True)
        if self.config.sampling != "none" and len(timesteps) and timesteps.max() == 1:
            raise OptionError(
                f"{self.name}: sampling={self.config.sampling} needs cameras that stand still "
                "while they film several moments, which this capture has not; use sampling=none"
            )
        super().initialise(views, seed, report)

    def start_condition(self, views: TrainingViews, generator: torch.Generator) -> Condition:
        times = torch.from_numpy(views.times[self._keyframes(views)])
        return LatentCodes.random(times, self.config.latent_size, generator)

    def load_condition(self, tensors: Tensors) -> Condition:
        return LatentCodes(tensors["times"], tensors["codes"])

    def before_step(self, views: TrainingViews, progress: float) -> None:
        """Give every timestep its code where the keyframes' stage ends."""
        codes = self._ready()[0].condition
        assert isinstance(codes, LatentCodes)
        timesteps = np.unique(views.timestep_indices)
        if not self._stage(progress).keyframes and len(codes.times) < len(timesteps):
            self.renew_condition(codes.at(torch.from_numpy(views.times[timesteps])))

    def learning_rates(self, progress: float) -> tuple[float, float]:
        rate = self.config.learning_rates[self._stage(progress).rate]
        return rate, self.config.latent_rate * rate

    def sampler_stage(self, progress: float) -> Stage:
        return self._stage(progress)

    def make_sampler(self, views: TrainingViews, progress: float) -> PixelSampler:
        stage = self._stage(progress)
        timesteps = self._keyframes(views) if stage.keyframes else np.unique(views.timestep_indices)
        if stage.weights == "even":
            return UniformSampler(views, np.flatnonzero(np.isin(views.timestep_indices, timesteps)))
        return ImportanceSampler(
            views, stage.weights, lambda _message, _fraction: None, stage.gamma, timesteps=list(timesteps)
        )

    def _stage(self, progress: float) -> Stage:
        return stage_at(self.config.sampling, progress)

    def _keyframes(self, views: TrainingViews) -> npt.NDArray[np.int64]:
        return keyframes(np.unique(views.timestep_indices), self.config.keyframe_interval)
