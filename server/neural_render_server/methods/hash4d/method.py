"""The ``hash4d`` method: a still hash field and one over space and time, gated by where anything moves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import nn

from ...errors import CaptureError
from ...fields.dynamic_hash_field import DynamicHashField
from ...kernels.hash_layout import geometric_layout
from ..base import Report, TrainingViews
from ..volumetric.box import CascadeBox
from ..volumetric.importance_sampler import ImportanceSampler
from ..volumetric.marched_method import MarchedConfig, MarchedMethod
from ..volumetric.mixed_sampler import MixedSampler
from ..volumetric.rays import PixelSampler
from ..volumetric.uniform_sampler import UniformSampler
from .motion_hull import motion_hull


@dataclass
class Hash4dConfig(MarchedConfig):
    """Options of hash4d; those of the hash grid are the still field's."""

    moving_levels: int = 8
    """Levels of the grid over space and time."""
    moving_log2_table_size: int = 18
    """Entries of a level's table over space and time, as a power of two."""
    moving_finest: int = 256
    """Cells along the innermost cube's edge at the finest level over space and time."""
    timesteps_a_cell: float = 1.5
    """Timesteps that the finest level's cells last."""
    gate_resolution: int = 64
    """Cells along an edge of the grid that says where anything moves."""
    first_stage: float = 0.2
    """Share of the budget that samples all rays alike, before importance sampling."""
    importance_share: float = 0.5
    """Share of a batch that is drawn by importance after that; the rest is drawn from everywhere."""
    last_stage: float = 0.3
    """Share of the budget, at its end, that samples by IST; between the two it is ISG."""


class Hash4dMethod(MarchedMethod[Hash4dConfig]):
    """Instant-NGP's machinery for moving scenes, with DyNeRF's ray importance sampling."""

    name: ClassVar[str] = "hash4d"
    label: ClassVar[str] = "Dynamic hash field"
    description: ClassVar[str] = "A hash-encoded radiance field of a moving scene; smoke, fire, glass"
    needs_times: ClassVar[bool] = True
    motion_pixels: ClassVar[int] = 2**15  # a core renders some 20,000 rays a second
    config_class: ClassVar[type[Any]] = Hash4dConfig
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "small": {
            "log2_table_size": 15,
            "moving_log2_table_size": 16,
            "finest": 1024,
            "steps_across": 384,
            "samples": 2**15,
        },
        "default": {"steps_across": 512},
        "paper": {
            "log2_table_size": 19,
            "moving_log2_table_size": 21,
            "occupancy_resolution": 128,
            "samples": 2**18,
            "schedule": "published",
        },
    }

    def __init__(self, config: Hash4dConfig, device: torch.device) -> None:
        super().__init__(config, device)
        self._timesteps = 2

    def make_field(self, box: CascadeBox, generator: torch.Generator) -> nn.Module:
        config = self.config
        scale = 2 ** (box.cascades - 1)
        still = geometric_layout(
            3, config.levels, config.features, config.log2_table_size, config.coarsest, config.finest * scale
        )
        times = max(2, round((self._timesteps - 1) / config.timesteps_a_cell))
        moving = geometric_layout(
            4,
            config.moving_levels,
            config.features,
            config.moving_log2_table_size,
            [config.coarsest] * 3 + [min(2, times)],
            [config.moving_finest * scale] * 3 + [times],
        )
        return DynamicHashField(
            still, moving, config.gate_resolution, config.width, config.color_layers, generator
        )

    def initialise(self, views: TrainingViews, seed: int, report: Report) -> None:
        self._timesteps = len(views.times)
        if self._timesteps < 2:
            raise CaptureError(
                "hash4d is for moving scenes, but this capture has one timestep; use instant-ngp"
            )
        super().initialise(views, seed, report)

    def prepare_field(self, field: nn.Module, box: CascadeBox, views: TrainingViews, report: Report) -> None:
        hull = motion_hull(views, box, self.config.gate_resolution, report)
        field.get_buffer("gate").copy_(torch.from_numpy(hull))

    def sampler_stage(self, progress: float) -> int:
        if progress < self.config.first_stage:
            return 0
        return 1 if progress < 1.0 - self.config.last_stage else 2

    def make_sampler(self, views: TrainingViews, progress: float, report: Report) -> PixelSampler:
        stage = self.sampler_stage(progress)
        moving_cameras = len(set(views.camera_indices.tolist())) == len(views)
        if stage == 0 or moving_cameras:
            return UniformSampler(views)
        important = ImportanceSampler(views, "isg" if stage == 1 else "ist", report)
        return MixedSampler(important, UniformSampler(views), self.config.importance_share)

    def tensors(self) -> dict[str, torch.Tensor]:
        return {**super().tensors(), "timesteps": torch.tensor([self._timesteps])}

    def load(
        self, tensors: dict[str, torch.Tensor], optimizer_tensors: dict[str, torch.Tensor] | None
    ) -> None:
        self._timesteps = int(tensors.get("timesteps", torch.tensor([2]))[0])
        super().load(tensors, optimizer_tensors)
