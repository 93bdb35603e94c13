"""The ``instant-ngp`` method: a hash field of a scene that stands still."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import nn

from ...fields.hash_field import HashField
from ...kernels.hash_layout import geometric_layout
from ..base import Report, TrainingViews
from ..volumetric.box import CascadeBox
from ..volumetric.marched_method import MarchedConfig, MarchedMethod
from ..volumetric.rays import PixelSampler
from ..volumetric.uniform_sampler import UniformSampler


class InstantNgpMethod(MarchedMethod[MarchedConfig]):
    """A multiresolution hash encoding, small networks and an occupancy grid; cascades where unbounded."""

    name: ClassVar[str] = "instant-ngp"
    label: ClassVar[str] = "Instant-NGP"
    description: ClassVar[str] = "A hash-encoded radiance field of a still scene; smoke, glass, thin things"
    config_class: ClassVar[type[Any]] = MarchedConfig
    motion_pixels: ClassVar[int] = 0
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "small": {"log2_table_size": 15, "finest": 1024, "steps_across": 512, "samples": 2**15},
        "default": {},
        # the released NeRF configuration
        "paper": {
            "log2_table_size": 19,
            "occupancy_resolution": 128,
            "samples": 2**18,
            "schedule": "published",
            "stereo_weight": 0.0,
        },
    }

    def make_field(self, box: CascadeBox, generator: torch.Generator) -> nn.Module:
        config = self.config
        finest = config.finest * 2 ** (box.cascades - 1)
        layout = geometric_layout(
            3, config.levels, config.features, config.log2_table_size, config.coarsest, finest
        )
        return HashField(layout, config.width, config.color_layers, generator)

    def make_sampler(self, views: TrainingViews, progress: float, report: Report) -> PixelSampler:
        return UniformSampler(views)
