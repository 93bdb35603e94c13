"""``neural-render capture solve``: footage in, a posed capture out."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..progress import Control
from .arguments import whole_number
from .console import Console, duration
from .interrupt import cancelled_by_interrupt


def add_parser(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    parser = actions.add_parser(
        "solve",
        help="find the cameras' poses and lenses from photos or videos",
        description="Find where the cameras stood, from photos, one moving video, or the videos of several "
        "cameras, and write a capture. Run again after Ctrl-C: finished stages are kept.",
    )
    parser.add_argument(
        "footage", metavar="FOOTAGE", help="a folder of photos or videos, one folder a camera, or a video"
    )
    parser.add_argument(
        "--out", metavar="DIR", help="the folder for the capture (FOOTAGE.capture beside the footage)"
    )
    parser.add_argument(
        "--motion",
        choices=("auto", "fixed", "moving"),
        help="whether the cameras of several videos stand still (auto: frames are compared)",
    )
    parser.add_argument(
        "--intrinsics",
        choices=("auto", "shared", "separate"),
        help="one lens and zoom for all pictures, or one a camera (auto: shared where all have one size, but "
        "for several moving cameras)",
    )
    parser.add_argument(
        "--lens",
        choices=("auto", "pinhole", "simple_radial", "radial", "opencv", "opencv_fisheye"),
        help="the lens model (auto: simple_radial, one term)",
    )
    parser.add_argument(
        "--matching",
        choices=("auto", "exhaustive", "sequential"),
        help="which pictures are compared: all pairs, or those near in order (auto: by their number)",
    )
    parser.add_argument(
        "--mapper", choices=("incremental", "global"), help="how poses are found (incremental)"
    )
    parser.add_argument(
        "--frames", type=whole_number, metavar="N", help="sharp frames to choose from a moving video (60)"
    )
    parser.add_argument(
        "--picture-size",
        type=whole_number,
        metavar="PIXELS",
        help="longest side at which features are looked for (1600)",
    )
    parser.add_argument("--features", type=whole_number, metavar="N", help="most features a picture (8192)")
    parser.add_argument(
        "--sync",
        choices=("none", "timecode", "audio", "flash", "picture"),
        help="also put fixed cameras on one clock (none)",
    )
    return parser


def run(arguments: argparse.Namespace, console: Console) -> None:
    from ..solving.options import SolveOptions, default_out
    from ..solving.solve import solve

    footage = Path(arguments.footage).expanduser().absolute()
    out = Path(arguments.out).expanduser().absolute() if arguments.out else default_out(footage)
    options = SolveOptions.from_json(
        {
            "footage": str(footage),
            "out": str(out),
            "motion": arguments.motion,
            "intrinsics": arguments.intrinsics,
            "lens": arguments.lens,
            "matching": arguments.matching,
            "mapper": arguments.mapper,
            "frames": arguments.frames,
            "picture_size": arguments.picture_size,
            "features": arguments.features,
            "synchronise": arguments.sync,
        }
    )
    control = Control()
    with cancelled_by_interrupt(control, console):
        result = solve(options, console.event, control)
    up, scale = result["world"]["up_from"], result["world"]["scale_from"]
    console.result(
        result,
        f"{result['capture']}: {result['footage']} in {duration(result['seconds'])}; up guessed from {up}, "
        f"the scale from {scale}",
    )
