"""Compiling every kernel of a backend before it is needed, so that it can be told and timed apart."""

from __future__ import annotations

import numpy as np
import torch

from ..cameras import Camera
from . import layout
from .backend import Backend, LossWeights


def warm_up(backend: Backend, device: torch.device) -> None:
    """One iteration on one Gaussian: some seconds the first time on a machine, nothing afterwards."""
    rows = torch.zeros((1, layout.WIDTH), device=device)
    rows[0, layout.POSITION] = torch.tensor([0.0, 0.0, -2.0], device=device)
    rows[0, layout.ROTATION.start] = 1.0
    size = layout.TILE
    camera = Camera(size, size, float(size), float(size), size / 2, size / 2, np.eye(4))
    view = layout.make_view(camera, 0.0, 0.1)
    drawn = backend.render(rows, view)
    truth = torch.zeros((size, size, 3), device=device)
    used = torch.ones((size, size), dtype=torch.bool, device=device)
    for first_column in (0, 1):
        # the part of a picture is another kind of array to the compiler than the whole
        used[:, :first_column] = False
        loss = backend.loss(drawn, truth, used, torch.zeros(3, device=device), LossWeights(transmittance=0.1))
    found = backend.gradients(rows, view, loss)
    moments = torch.zeros((1, 2, layout.WIDTH), device=device)
    steps = torch.zeros(1, dtype=torch.int32, device=device)
    backend.adam(rows, moments, steps, found, torch.zeros(layout.WIDTH, device=device))
