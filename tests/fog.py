"""A volumetric field of known content, without a training: a cube of even fog."""

from __future__ import annotations

import numpy as np
import torch

from neural_render_server.methods.instant_ngp import InstantNgpMethod
from neural_render_server.methods.registry import make_config
from neural_render_server.methods.volumetric.box import CascadeBox
from neural_render_server.methods.volumetric.occupancy import OccupancyGrid

CPU = torch.device("cpu")


def fog() -> InstantNgpMethod:
    """A cube of edge 2 around the origin, evenly filled: zero features give grey 0.5, density 1 an edge."""
    options = {"levels": 2, "log2_table_size": 8, "width": 16, "color_layers": 1, "steps_across": 512}
    method = InstantNgpMethod(make_config(InstantNgpMethod, "small", options), CPU)
    box = CascadeBox(np.zeros(3), 2.0, 1)
    field = method.make_field(box, torch.Generator().manual_seed(0)).state_dict()
    zero = {f"field.{name}": torch.zeros_like(value) for name, value in field.items()}
    tensors = {**box.tensors(), **OccupancyGrid(1, 8, CPU).tensors(), **zero}
    method.load({**tensors, "times": torch.zeros(2, dtype=torch.float64)}, None)
    return method
