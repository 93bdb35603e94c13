"""The options of Zip-NeRF and their presets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from ...errors import OptionError


@dataclass
class ZipNerfConfig:
    """Sizes and schedule; ``paper`` has the published ones (configurations released with the code)."""

    coarsest: int = 16
    """Cells along an edge of the coarsest grid level; each level has twice as many as the one before."""
    finest: int = 2048
    """Cells along an edge of the field's finest level."""
    finest_proposals: tuple[int, int] = (256, 1024)
    """Cells along an edge of the two proposals' finest levels."""
    features: int = 4
    """Features a level of the field's grid: 1, 2 or 4; the proposals' have one."""
    log2_table_size: int = 19
    """Entries of a level's hash table, as a power of two."""
    width: int = 64
    """Width of the density networks' hidden layer."""
    bottleneck: int = 15
    """Features that the density network hands to the colour network."""
    color_width: int = 64
    """Width of the colour network's three hidden layers."""
    samples: tuple[int, int, int] = (48, 48, 24)
    """Intervals a ray of the two proposals and of the field."""
    rays: int = 4096
    """Rays a step."""
    learning_rate: float = 1e-2
    """Adam's rate after the warm-up."""
    last_learning_rate: float = 1e-3
    """Adam's rate at the end; it falls exponentially."""
    warm_up_share: float = 0.05
    """Share of the training in which the rate rises to its course."""
    far: float = 0.0
    """How far rays of captures without alpha reach, in scene radii; 0: twice the capture's depth."""
    weight_decay: float = 0.0
    """Weight of the grids' normalised decay; 0: the published 0.1, or 10 for captures with alpha."""
    distortion: float = 0.01
    """Weight of the distortion loss."""
    interlevel: float = 0.01
    """Weight of each proposal's interlevel loss."""
    background: Literal["random", "white"] = "random"
    """What is put behind captures with alpha: a colour a ray, from which alpha is learned best, or white."""


PRESETS: dict[str, dict[str, Any]] = {
    # ours: a CPU gets somewhere in minutes
    "small": {
        "finest": 512,
        "finest_proposals": (64, 256),
        "log2_table_size": 17,
        # all of a small table is in use, so that the published 10 for objects would flatten it
        "weight_decay": 0.1,
        "width": 32,
        "color_width": 32,
        "samples": (24, 24, 12),
        "rays": 512,
    },
    "default": {},
    "paper": {
        "finest": 8192,
        "finest_proposals": (512, 2048),
        "log2_table_size": 21,
        "bottleneck": 255,
        "color_width": 256,
        "samples": (64, 64, 32),
        "rays": 65_536,
        "warm_up_share": 0.1,
        "far": 1e6,
        "background": "white",
    },
}


def check(name: str, config: ZipNerfConfig) -> None:
    """Raise OptionError where the options do not fit together."""
    for option, count in (("samples", 3), ("finest_proposals", 2)):
        values = getattr(config, option)
        if len(values) != count or not all(isinstance(n, int) and n >= 2 for n in values):
            raise OptionError(
                f"{name}: option {option!r} is {values}, but must be {count} numbers, each 2 or more"
            )
    if config.features not in (1, 2, 4):
        raise OptionError(f"{name}: option 'features' is {config.features}, but must be 1, 2 or 4")
    if min(config.finest, *config.finest_proposals) < config.coarsest or config.coarsest < 1:
        raise OptionError(
            f"{name}: option 'coarsest' is {config.coarsest}, but must not exceed the finest levels"
        )
    if not 4 <= config.log2_table_size <= 24:
        raise OptionError(
            f"{name}: option 'log2_table_size' is {config.log2_table_size}, but must be from 4 to 24"
        )
    for option in ("width", "bottleneck", "color_width", "rays"):
        if getattr(config, option) < 1:
            raise OptionError(f"{name}: option {option!r} is {getattr(config, option)}, but must be positive")
    if config.background not in ("random", "white"):
        raise OptionError(f"{name}: option 'background' is {config.background!r}, not random or white")
