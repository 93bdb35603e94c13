"""``neural-render capture``: look at a capture, solve its cameras, synchronise and align them."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence

from . import capture_align, capture_solve, capture_sync
from .arguments import add_json_argument, add_split_arguments, positive_number, split_options
from .console import Console

# ``capture PATH`` is short for ``capture inspect PATH``.
_ACTIONS = {"solve": capture_solve, "sync": capture_sync, "align": capture_align}
_INSPECT = "inspect"


def with_action(arguments: Sequence[str]) -> list[str]:
    """The arguments of the command line, with the action that ``capture PATH`` leaves out."""
    given = list(arguments)
    if given[:1] == ["capture"] and given[1:2] and given[1] not in (*_ACTIONS, _INSPECT, "-h", "--help"):
        given.insert(1, _INSPECT)
    return given


def add_parser(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    parser = verbs.add_parser(
        "capture",
        help="look at what was filmed, solve its cameras, synchronise and align them",
        description="Look at a capture (`capture PATH`), or make one from footage and correct it.",
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    inspect = actions.add_parser(
        _INSPECT,
        help="print what is in a capture (the action may be left out)",
        description="Print a capture's cameras, moments, frame rate, sizes, split, extent and problems.",
    )
    inspect.add_argument("path", metavar="PATH", help="the capture's folder, or its transforms.json")
    inspect.add_argument(
        "--downscale", type=positive_number, metavar="N", help="show sizes at 1/N of the width and height"
    )
    add_split_arguments(inspect)
    inspect.set_defaults(run=run)
    add_json_argument(inspect)
    for action in _ACTIONS.values():
        added = action.add_parser(actions)
        added.set_defaults(run=action.run)
        add_json_argument(added)
    return parser


def run(arguments: argparse.Namespace, console: Console) -> None:
    from ..captures.describe import describe, format_description
    from ..captures.detect import open_capture

    capture = open_capture(arguments.path, split_options(arguments))
    if arguments.downscale is not None:
        smaller = [camera.downscaled(arguments.downscale) for camera in capture.cameras]
        capture = dataclasses.replace(capture, cameras=smaller)
    description = describe(capture)
    console.result(description, format_description(description))
