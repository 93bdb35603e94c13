"""Arguments that several verbs share, and their values."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..captures.capture import SplitOptions


def add_json_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--json",
        action="store_true",
        help="for programs: progress as JSON lines on stderr, the result as one JSON object on stdout",
    )


def add_split_arguments(parser: argparse.ArgumentParser) -> None:
    """Which frames to use, and which to hold out for judging the result."""
    group = parser.add_argument_group("which frames")
    group.add_argument(
        "--test-cameras",
        type=names,
        metavar="NAMES",
        help="cameras to hold out for judging, separated by commas (cam00,cam05); never trained on",
    )
    group.add_argument(
        "--every-nth-test",
        type=whole_number,
        metavar="N",
        help="hold out every N-th camera, from the first",
    )
    group.add_argument(
        "--test-timesteps",
        type=timestep_list,
        metavar="LIST",
        help="moments to hold out of every camera, from 0 (10,20,30)",
    )
    group.add_argument(
        "--timesteps",
        type=timestep_range,
        metavar="FIRST:LAST",
        help="use only moments FIRST up to before LAST",
    )


def split_options(arguments: argparse.Namespace) -> SplitOptions:
    from ..captures.capture import SplitOptions

    return SplitOptions(
        test_cameras=arguments.test_cameras or (),
        every_nth_test=arguments.every_nth_test,
        test_timesteps=arguments.test_timesteps or (),
        timesteps=arguments.timesteps,
    )


def names(text: str) -> list[str]:
    """``a,b`` as a list."""
    found = [name.strip() for name in text.split(",") if name.strip()]
    if not found:
        raise argparse.ArgumentTypeError("give at least one name")
    return found


def whole_number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None


def positive_number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return value


def timestep_list(text: str) -> list[int]:
    return [whole_number(part) for part in names(text)]


def timestep_range(text: str) -> tuple[int, int]:
    """``0:24`` as (0, 24)."""
    first, separator, last = text.partition(":")
    if not separator:
        raise argparse.ArgumentTypeError(f"{text!r} is not FIRST:LAST, such as 0:24")
    return whole_number(first), whole_number(last)


def setting(text: str) -> tuple[str, str]:
    """``key=value`` of a method's config."""
    key, separator, value = text.partition("=")
    if not separator or not key:
        raise argparse.ArgumentTypeError(f"{text!r} is not KEY=VALUE")
    return key.strip(), value.strip()


def point(text: str) -> list[float]:
    """``x,y,z`` as three numbers."""
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) != 3:
        raise argparse.ArgumentTypeError(f"{text!r} is not three numbers x,y,z")
    return numbers


def crop_box(text: str) -> dict[str, list[float]]:
    """``xmin,ymin,zmin,xmax,ymax,zmax`` as ``{min, max}``."""
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) != 6:
        raise argparse.ArgumentTypeError(f"{text!r} is not six numbers xmin,ymin,zmin,xmax,ymax,zmax")
    return {"min": numbers[:3], "max": numbers[3:]}
