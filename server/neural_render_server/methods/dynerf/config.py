"""The options of DyNeRF and their presets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from ...errors import OptionError
from ..nerf.config import SMALL_NETWORKS, CoarseFineConfig
from .stages import SAMPLINGS


@dataclass
class DynerfConfig(CoarseFineConfig):
    """NeRF's sizes and sampling, with wider networks, and the options of latent codes and stages."""

    width: int = 512
    """Width of the networks' hidden layers."""
    rays: int = 4096
    """Rays a step."""
    latent_size: int = 1024
    """Numbers that describe a timestep."""
    sampling: Literal["none", "isg", "ist", "is*"] = "is*"
    """Where rays go: anywhere, where a pixel differs from its median over time (ISG), where it changes from
    frame to frame (IST), or by ISG first and by IST in the end (IS*)."""
    keyframe_interval: int = 30
    """Timesteps between keyframes, which are learned first; 1: all are learned from the start."""
    learning_rates: tuple[float, float, float] = (5e-4, 1e-4, 1e-5)
    """Adam's rates of keyframes, of the full sequence, and of the last stage of IS*."""
    latent_rate: float = 10.0
    """The latent codes' rate, as a multiple of the networks'."""


# Ours: DyNeRF's order among its ablations shows on a toy rig at these sizes.
PRESETS: dict[str, dict[str, Any]] = {
    "small": {
        **SMALL_NETWORKS,
        "latent_size": 64,
        "keyframe_interval": 8,
        "learning_rates": (2e-3, 1e-3, 3e-4),
    },
    "default": {},
    # the batch of eight GPUs (section 4)
    "paper": {"rays": 24_576, "background": "white"},
}


def check(name: str, config: DynerfConfig) -> None:
    """Raise OptionError where DyNeRF's own options do not fit."""
    if config.sampling not in SAMPLINGS:
        raise OptionError(
            f"{name}: option 'sampling' is {config.sampling!r}; choose of {', '.join(SAMPLINGS)}"
        )
    for option in ("latent_size", "keyframe_interval"):
        if getattr(config, option) < 1:
            raise OptionError(f"{name}: option {option!r} is {getattr(config, option)}, but must be positive")
    rates = config.learning_rates
    if len(rates) != 3 or not all(isinstance(rate, int | float) and rate > 0 for rate in rates):
        raise OptionError(f"{name}: option 'learning_rates' is {rates}, but must be three positive numbers")
