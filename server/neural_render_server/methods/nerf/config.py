"""The options of NeRF and NeRF-T, and their presets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from ...errors import OptionError


@dataclass
class CoarseFineConfig:
    """Sizes and sampling that NeRF, NeRF-T and DyNeRF share; the defaults are NeRF's."""

    width: int = 256
    """Width of the networks' hidden layers; the one for colour has half of it."""
    layers: int = 8
    """Hidden layers before density."""
    skip: int = 5
    """Hidden layer (from 0) that sees the input again."""
    position_octaves: int = 10
    """Frequencies of the encoded position."""
    direction_octaves: int = 4
    """Frequencies of the encoded view direction."""
    coarse_samples: int = 64
    """Samples a ray of the coarse network."""
    fine_samples: int = 128
    """Further samples a ray, drawn where the coarse network found something, for the fine network."""
    rays: int = 1024
    """Rays a step."""
    density_noise: float = 1.0
    """Standard deviation of noise added to density in training, for captures without alpha: it keeps the
    field from becoming empty for good."""
    central_steps: int = 500
    """First steps, which see only the middle of each picture, for captures with alpha."""
    background: Literal["random", "white"] = "random"
    """What is put behind captures with alpha: a colour a ray, from which alpha is learned best, or white."""
    space: Literal["auto", "ndc", "bounded"] = "auto"
    """Where rays are sampled: in normalised device coordinates, for rigs that face one way and state their
    depths, or between a near and a far bound."""


@dataclass
class NerfConfig(CoarseFineConfig):
    """All of NeRF's options."""

    learning_rate: float = 5e-4
    """Adam's rate at the start."""
    last_learning_rate: float = 5e-5
    """Adam's rate at the end; it falls exponentially."""

    def rate(self, progress: float) -> float:
        """Adam's rate at ``progress`` in [0, 1]."""
        return float(self.learning_rate * (self.last_learning_rate / self.learning_rate) ** progress)


@dataclass
class NerfTimeConfig(NerfConfig):
    """NeRF's options, and the encoding of time."""

    time_octaves: int = 0
    """Frequencies of the encoded time; 0: as many as the timesteps can tell apart."""


# The paper's batch is 4096 rays; its synthetic scenes have white backgrounds.
_PAPER: dict[str, Any] = {"rays": 4096, "background": "white"}
# Ours: a CPU gets somewhere in minutes.
SMALL_NETWORKS: dict[str, Any] = {
    "width": 64,
    "layers": 4,
    "skip": 2,
    "coarse_samples": 24,
    "fine_samples": 24,
    "rays": 512,
    "central_steps": 100,
}
SMALL: dict[str, Any] = {**SMALL_NETWORKS, "learning_rate": 2e-3, "last_learning_rate": 2e-4}
PRESETS: dict[str, dict[str, Any]] = {"small": SMALL, "default": {}, "paper": _PAPER}
# DyNeRF's baseline has DyNeRF's networks and batch (Li et al. 2022, section 4 and supplement).
TIME_PRESETS: dict[str, dict[str, Any]] = {
    "small": SMALL,
    "default": {},
    "paper": {**_PAPER, "width": 512, "rays": 24_576},
}


def check(name: str, config: CoarseFineConfig) -> None:
    """Raise OptionError where the options of the method ``name`` do not fit together."""
    for option in ("width", "layers", "coarse_samples", "fine_samples", "rays"):
        if getattr(config, option) < 1:
            raise OptionError(f"{name}: option {option!r} is {getattr(config, option)}, but must be positive")
    if config.coarse_samples < 3:
        raise OptionError(
            f"{name}: option 'coarse_samples' is {config.coarse_samples}, but must be 3 or more"
        )
    if not 0 < config.skip < config.layers:
        raise OptionError(
            f"{name}: option 'skip' is {config.skip}, but must be from 1 to {config.layers - 1}"
        )
    if config.background not in ("random", "white"):
        raise OptionError(f"{name}: option 'background' is {config.background!r}, not random or white")
    if config.space not in ("auto", "ndc", "bounded"):
        raise OptionError(f"{name}: option 'space' is {config.space!r}, not auto, ndc or bounded")
