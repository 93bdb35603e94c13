"""Adding Gaussians where the image is wrong."""

from __future__ import annotations

import math

import numpy as np
import torch

from ...kernels import layout
from ...kernels.reference import rotation_matrices

INTERVAL = 50  # iterations between additions
SHARE = 0.06  # added each time, of those there are
ERROR_MEMORY = 0.9  # of the running mean of a Gaussian's error over the iterations that drew it
SHRINK = 0.22  # taken from the log scales of source and clone
CHILD_OFFSET = 0.8  # of the clone's mean, in standard deviations
TIME_JITTER = 0.5  # of the clone's centre in time, in temporal deviations
# The clone of a static Gaussian is static; jittering its centre would move it out of the capture.
STATIC_LOG_EXTENT = math.log(200.0)


def clone_by_error(
    parameters: torch.Tensor,
    moments: torch.Tensor,
    steps: torch.Tensor,
    errors: torch.Tensor,
    alive: int,
    random: np.random.Generator,
) -> int:
    """Clone Gaussians, drawn by their running error, into the rows from ``alive`` on; returns the new count.

    All arrays have room for more rows, which bounds the growth, and are changed in place. Source and clone
    share the source's opacity, ``1 - sqrt(1 - o)`` each (Rota Bulo et al. 2024,
    "Revising Densification", equation 5).
    """
    added = min(len(parameters) - alive, max(1, round(SHARE * alive)))
    weights = errors[:alive].double().cpu().numpy()
    total = weights.sum()
    candidates = int(np.count_nonzero(weights))
    added = min(added, candidates)
    if added <= 0 or not total > 0:
        return alive
    chosen = random.choice(alive, added, replace=False, p=weights / total)
    sources = torch.from_numpy(np.sort(chosen)).to(parameters.device)
    clones = torch.arange(alive, alive + added, device=parameters.device)

    opacity = torch.sigmoid(parameters[sources, layout.OPACITY].double())
    shared = 1 - torch.sqrt(1 - opacity)
    parameters[sources, layout.OPACITY] = torch.logit(shared, eps=1e-6).float()
    parameters[sources, layout.SCALE] -= SHRINK
    parameters[clones] = parameters[sources]

    noise = torch.from_numpy(random.standard_normal((added, 4)).astype(np.float32)).to(parameters.device)
    scales = torch.exp(parameters[sources, layout.SCALE])
    axes = rotation_matrices(parameters[sources, layout.ROTATION])
    offset = (axes @ (CHILD_OFFSET * scales * noise[:, :3])[:, :, None])[:, :, 0]
    log_extent = parameters[sources, layout.EXTENT]
    jitter = TIME_JITTER * torch.exp(log_extent) * noise[:, 3]
    jitter = torch.where(log_extent < STATIC_LOG_EXTENT, jitter, torch.zeros_like(jitter))
    offset += jitter[:, None] * parameters[sources, layout.VELOCITY]
    parameters[clones, layout.POSITION] += offset
    parameters[clones, layout.TIME] += jitter

    for rows in (sources, clones):
        moments[rows] = 0.0
        steps[rows] = 0
    errors[sources] *= 0.5
    errors[clones] = errors[sources]
    return alive + added
