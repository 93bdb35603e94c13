"""``neural-render capture``: what is in a capture, and what is wrong with it."""

from __future__ import annotations

import argparse
import dataclasses

from .arguments import add_split_arguments, positive_number, split_options
from .console import Console


def add_parser(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    parser = verbs.add_parser(
        "capture",
        help="look at what was filmed",
        description="Print a capture's cameras, moments, frame rate, sizes, split, extent and problems.",
    )
    parser.add_argument("path", metavar="PATH", help="the capture's folder, or its transforms.json")
    parser.add_argument(
        "--downscale", type=positive_number, metavar="N", help="show sizes at 1/N of the width and height"
    )
    add_split_arguments(parser)
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
