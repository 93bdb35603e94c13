"""``neural-render mesh``: the field's solid surfaces as a PLY file."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..progress import Control
from .arguments import crop_box
from .console import Console
from .interrupt import cancelled_by_interrupt


def add_parser(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    parser = verbs.add_parser(
        "mesh",
        help="write a scene's solid surfaces as a mesh",
        description="Fuse depth pictures of a trained scene into a triangle mesh in the capture's "
        "coordinates: a proxy for shadows, holdouts and collisions.",
    )
    parser.add_argument("scene", metavar="SCENE", help="the scene folder")
    parser.add_argument("--out", required=True, metavar="FILE", help="the PLY file to write")
    parser.add_argument(
        "--times", type=seconds, default=(0.0,), metavar="LIST", help="moments in seconds: 0,0.5,1 (0)"
    )
    parser.add_argument(
        "--combine",
        choices=("any", "always"),
        default="any",
        help="of several moments: what is solid at any of them, or always (any)",
    )
    parser.add_argument(
        "--resolution", type=int, default=128, metavar="N", help="voxels along the longest side (128)"
    )
    parser.add_argument(
        "--crop", type=crop_box, metavar="BOX", help="as of neural-render render; else what the cameras see"
    )
    parser.add_argument(
        "--rig-only", action="store_true", help="look from the cameras alone, not from between them"
    )
    parser.add_argument("--device", default="auto", metavar="NAME", help="auto, cpu or cuda (auto)")
    return parser


def seconds(text: str) -> tuple[float, ...]:
    """``0,0.5`` as numbers."""
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of seconds such as 0,0.5,1") from None


def run(arguments: argparse.Namespace, console: Console) -> None:
    from ..crop import Crop
    from ..meshes.proxy import MeshOptions, write_mesh

    options = MeshOptions(
        arguments.times,
        arguments.combine,
        arguments.resolution,
        Crop.from_json(arguments.crop, "--crop"),
        not arguments.rig_only,
        arguments.device,
    )
    out = Path(arguments.out).expanduser().absolute()
    control = Control()
    with cancelled_by_interrupt(control, console):
        result = write_mesh(Path(arguments.scene), out, options, console.event, control)
    console.result(result, f"{out}: {result['faces']} faces, one voxel is {result['voxel']:.4g} units")
