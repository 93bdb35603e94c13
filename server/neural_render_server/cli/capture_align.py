"""``neural-render capture align``: up axis, scale and origin of a capture."""

from __future__ import annotations

import argparse
from pathlib import Path

from .arguments import point, positive_number
from .console import Console


def add_parser(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    parser = actions.add_parser(
        "align",
        help="set a capture's up axis, scale and origin",
        description="Turn, scale and move a capture's coordinates; kept in its capture.json. Points are "
        "given in the present coordinates as x,y,z (write --up=-1,0,0 where the first is negative). Scenes "
        "trained before keep their coordinates.",
    )
    parser.add_argument("capture", metavar="CAPTURE", help="the capture's folder")
    parser.add_argument("--up", type=point, metavar="X,Y,Z", help="the direction that becomes +z")
    parser.add_argument("--origin", type=point, metavar="X,Y,Z", help="the point that becomes 0,0,0")
    parser.add_argument(
        "--between",
        type=point,
        nargs=2,
        metavar="X,Y,Z",
        help="two points whose distance is known, with --distance",
    )
    parser.add_argument(
        "--distance", type=positive_number, metavar="METRES", help="the distance between the two points"
    )
    return parser


def run(arguments: argparse.Namespace, console: Console) -> None:
    from ..captures.amendments import align
    from ..solving.world import alignment_from

    matrix = alignment_from(arguments.up, arguments.origin, arguments.between, arguments.distance)
    path = Path(arguments.capture).expanduser().absolute()
    whole = align(path, matrix)
    rows = "\n".join("  " + " ".join(f"{value:10.5f}" for value in row) for row in whole)
    console.result({"capture": str(path), "alignment": whole.tolist()}, f"{path}: aligned by\n{rows}")
