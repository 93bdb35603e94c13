"""What Zip-NeRF minimises (section 3 for proposals; weights and constants as in the released code)."""

from __future__ import annotations

import torch

from ..volumetric.stepfun import blurred_interlevel_loss, distortion_loss
from .config import ZipNerfConfig
from .model import Rendered, ZipNerfField
from .spacing import distortion_distances

CHARBONNIER = 1e-3
# Half-widths of the blur for the two proposals, in normalised distance.
PULSE_WIDTHS = (0.03, 0.003)
# Normalised weight decay for real scenes and for synthetic objects.
DECAY, DECAY_OBJECT = 0.1, 10.0


def charbonnier(image: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Mean of sqrt(error^2 + 0.001^2): nearly the absolute error."""
    return torch.sqrt((image - truth) ** 2 + CHARBONNIER**2).mean()


def total_loss(
    field: ZipNerfField,
    rendered: Rendered,
    image: torch.Tensor,
    truth: torch.Tensor,
    config: ZipNerfConfig,
    is_object: bool,
) -> torch.Tensor:
    """All terms; ``image`` and ``truth`` (R, 3) over the same background."""
    *proposals, final = rendered.levels
    loss = charbonnier(image, truth)
    for proposal, width in zip(proposals, PULSE_WIDTHS, strict=True):
        loss = loss + config.interlevel * blurred_interlevel_loss(
            final.s, final.weights, proposal.s, proposal.weights, width
        )
    loss = loss + config.distortion * distortion_loss(distortion_distances(final.t), final.weights)
    decay = config.weight_decay or (DECAY_OBJECT if is_object else DECAY)
    return loss + decay * field.weight_decay()
