"""What a solve is asked for."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal, get_args

from ..errors import OptionError

CameraMotion = Literal["auto", "fixed", "moving"]
Intrinsics = Literal["auto", "shared", "separate"]
Lens = Literal["auto", "pinhole", "simple_radial", "radial", "opencv", "opencv_fisheye"]
Matching = Literal["auto", "exhaustive", "sequential"]
Mapper = Literal["incremental", "global"]
Synchronise = Literal["none", "timecode", "audio", "flash", "picture"]

_CHOICES: dict[str, tuple[str, ...]] = {
    "motion": get_args(CameraMotion),
    "intrinsics": get_args(Intrinsics),
    "lens": get_args(Lens),
    "matching": get_args(Matching),
    "mapper": get_args(Mapper),
    "synchronise": get_args(Synchronise),
}
_LEAST = {"frames": 2, "picture_size": 100, "features": 100}


@dataclass(frozen=True)
class SolveOptions:
    """``picture_size`` is the longest side, in pixels, at which features are looked for."""

    footage: str
    out: str
    motion: CameraMotion = "auto"
    intrinsics: Intrinsics = "auto"
    lens: Lens = "auto"
    matching: Matching = "auto"
    mapper: Mapper = "incremental"
    frames: int = 60
    picture_size: int = 1600
    features: int = 8192
    synchronise: Synchronise = "none"

    @staticmethod
    def from_json(data: dict[str, Any]) -> SolveOptions:
        """Options from a job's parameters; None stands for the default.

        Raises:
            OptionError: an unknown name, or a value that cannot be used.
        """
        known = {field.name for field in fields(SolveOptions)}
        given = {name: value for name, value in data.items() if value is not None}
        for name in given:
            if name not in known:
                raise OptionError(f"there is no solve option {name!r}; there are {', '.join(sorted(known))}")
        for name in ("footage", "out"):
            if not isinstance(given.get(name), str) or not given[name]:
                raise OptionError(f"{name} must name a folder")
        for name, choices in _CHOICES.items():
            if given.get(name, choices[0]) not in choices:
                raise OptionError(f"{name} {given[name]!r} is not one of {', '.join(choices)}")
        for name, least in _LEAST.items():
            value = given.get(name, least)
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise OptionError(f"{name} is {value!r}, but must be a whole number of at least {least}")
        return SolveOptions(**given)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def default_out(footage: Path) -> Path:
    """Where a solved capture goes when nobody says: ``FOOTAGE.capture`` beside the footage."""
    return footage.with_name(f"{footage.stem if footage.is_file() else footage.name}.capture")
