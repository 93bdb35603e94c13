"""What a user chooses before training."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..captures.capture import Capture, SplitOptions
from ..captures.detect import open_capture
from ..captures.transfer import LOG_CURVES
from ..errors import OptionError
from ..methods.registry import DEFAULT_METHOD, DEFAULT_PRESET

DEFAULT_MINUTES = 5.0


@dataclass(frozen=True)
class TrainOptions:
    """A training, as the command line and the service state it.

    The budget is one of ``minutes`` (wall clock, of the steps), ``steps`` (deterministic on the CPU for a
    seed) or ``cpu_seconds`` (of this process, its start included, for comparisons on shared machines);
    five minutes without any. ``match_colors`` takes the cameras' differences in colour out while training,
    relative to the camera ``color_reference``, else to what most cameras show. ``transfer`` is the curve (of
    ``captures.transfer.LOG_CURVES``) of videos that do not say themselves that they are log.
    """

    capture: str
    scene: str
    method: str = DEFAULT_METHOD
    preset: str = DEFAULT_PRESET
    options: dict[str, Any] = field(default_factory=dict)
    minutes: float | None = None
    steps: int | None = None
    cpu_seconds: float | None = None
    seed: int = 0
    downscale: float = 1.0
    test_cameras: Sequence[str] = ()
    every_nth_test: int | None = None
    test_timesteps: Sequence[int] = ()
    timesteps: tuple[int, int] | None = None
    match_colors: bool = True
    color_reference: str | None = None
    transfer: str | None = None
    resume: bool = False
    overwrite: bool = False
    device: str = "auto"

    def __post_init__(self) -> None:
        budgets = [value for value in (self.minutes, self.steps, self.cpu_seconds) if value is not None]
        if len(budgets) > 1:
            raise OptionError("give one of minutes, steps and cpu_seconds, not several")
        if any(not value > 0 for value in budgets):
            raise OptionError(f"the training budget is {budgets[0]}, but must be above 0")
        if not self.downscale >= 1:
            raise OptionError(f"downscale is {self.downscale}, but must be at least 1")
        if self.transfer is not None and self.transfer not in LOG_CURVES:
            raise OptionError(
                f"there is no recording curve {self.transfer!r}; there are {', '.join(LOG_CURVES)}"
            )
        if self.resume and self.overwrite:
            raise OptionError("resume and overwrite exclude each other; choose one")

    @property
    def scene_path(self) -> Path:
        return Path(self.scene)

    @property
    def split(self) -> SplitOptions:
        return SplitOptions(
            test_cameras=tuple(self.test_cameras),
            every_nth_test=self.every_nth_test,
            test_timesteps=tuple(self.test_timesteps),
            timesteps=self.timesteps,
        )

    def open_capture(self) -> Capture:
        """The capture, split and decoded as the options say."""
        return dataclasses.replace(open_capture(Path(self.capture), self.split), transfer=self.transfer)

    def to_json(self) -> dict[str, Any]:
        data = dataclasses.asdict(self)
        data["test_cameras"] = list(self.test_cameras)
        data["test_timesteps"] = list(self.test_timesteps)
        data["timesteps"] = list(self.timesteps) if self.timesteps else None
        return data

    @staticmethod
    def from_json(data: Any) -> TrainOptions:
        """Check and read options from JSON.

        Raises:
            OptionError: an option does not exist, is missing or has the wrong type.
        """
        if not isinstance(data, dict):
            raise OptionError("training options must be a JSON object")
        known = {option.name: option for option in dataclasses.fields(TrainOptions)}
        for key in data:
            if key not in known:
                raise OptionError(f"there is no training option {key!r}; there are {', '.join(known)}")
        for key in ("capture", "scene"):
            if not isinstance(data.get(key), str) or not data[key]:
                raise OptionError(f"training needs {key!r}: the path of the {key} folder")
        values = {key: value for key, value in data.items() if value is not None}
        for key, kinds in _KINDS.items():
            if key in values and (
                not isinstance(values[key], kinds) or _is_bool_for_number(values[key], kinds)
            ):
                raise OptionError(f"training option {key!r} is {values[key]!r}, which is of the wrong type")
        if "timesteps" in values:
            pair = values["timesteps"]
            if len(pair) != 2 or not all(isinstance(number, int) for number in pair):
                raise OptionError("training option 'timesteps' must be two whole numbers, first and last + 1")
            values["timesteps"] = (pair[0], pair[1])
        if not all(isinstance(name, str) for name in values.get("test_cameras", ())):
            raise OptionError("training option 'test_cameras' must be a list of camera names")
        if not all(isinstance(number, int) for number in values.get("test_timesteps", ())):
            raise OptionError("training option 'test_timesteps' must be a list of whole numbers")
        for key in ("test_cameras", "test_timesteps"):
            values[key] = tuple(values.get(key, ()))
        return TrainOptions(**values)


_KINDS: dict[str, tuple[type, ...]] = {
    "method": (str,),
    "preset": (str,),
    "device": (str,),
    "options": (dict,),
    "minutes": (int, float),
    "cpu_seconds": (int, float),
    "downscale": (int, float),
    "steps": (int,),
    "seed": (int,),
    "every_nth_test": (int,),
    "test_cameras": (list, tuple),
    "test_timesteps": (list, tuple),
    "timesteps": (list, tuple),
    "match_colors": (bool,),
    "color_reference": (str,),
    "transfer": (str,),
    "resume": (bool,),
    "overwrite": (bool,),
}


def _is_bool_for_number(value: Any, kinds: tuple[type, ...]) -> bool:
    return isinstance(value, bool) and bool not in kinds
