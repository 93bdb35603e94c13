"""``neural-render render``: a camera file in, frames out."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..progress import Control
from .arguments import crop_box, names
from .console import Console
from .interrupt import cancelled_by_interrupt


def add_parser(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    parser = verbs.add_parser(
        "render",
        help="render a scene along a camera path",
        description="Render a trained scene through the cameras of a camera file, one image each.",
    )
    parser.add_argument("scene", metavar="SCENE", help="the scene folder")
    parser.add_argument(
        "--cameras", required=True, metavar="FILE", help="the camera file (Blender: File > Export)"
    )
    parser.add_argument("--out", required=True, metavar="DIR", help="the folder to write the frames to")
    parser.add_argument(
        "--format", choices=("exr", "png"), default="exr", help="exr for compositing, png for a look (exr)"
    )
    parser.add_argument(
        "--passes",
        type=names,
        default=["combined", "depth"],
        metavar="NAMES",
        help="of combined, depth and motion, separated by commas (combined,depth)",
    )
    parser.add_argument(
        "--crop",
        type=crop_box,
        metavar="BOX",
        help="keep only what lies in the box xmin,ymin,zmin,xmax,ymax,zmax, in the capture's units; write "
        "--crop=-1,... where the first number is negative",
    )
    parser.add_argument(
        "--background",
        choices=("transparent", "field"),
        default="transparent",
        help="behind the field: nothing, or the background it learned (transparent)",
    )
    parser.add_argument(
        "--samples", type=int, default=32, metavar="N", help="pictures averaged for lens and shutter (32)"
    )
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="of the lens and shutter samples (0)"
    )
    parser.add_argument("--keep", action="store_true", help="keep frames that exist; render the missing ones")
    parser.add_argument(
        "--cache",
        type=float,
        default=0.0,
        metavar="GB",
        help="keep up to so many gigabytes of frames, and take the same ones from there again (0)",
    )
    parser.add_argument("--device", default="auto", metavar="NAME", help="auto, cpu or cuda (auto)")
    return parser


def run(arguments: argparse.Namespace, console: Console) -> None:
    from ..camera_path import CameraPath
    from ..optics import BlurSampling
    from ..rendering.frame_cache import GIGABYTE, FrameCache
    from ..rendering.frames import RenderOptions, render_path
    from ..rendering.passes import PassOptions
    from ..service.state import StateFolder, default_state_dir

    passes = PassOptions.from_json(arguments.passes, arguments.crop, arguments.background)
    sampling = BlurSampling(arguments.samples, arguments.seed)
    options = RenderOptions(passes, arguments.format, not arguments.keep, arguments.device, sampling)
    path = CameraPath.load(arguments.cameras)
    out = Path(arguments.out).expanduser().absolute()
    cache = None
    if arguments.cache > 0.0:
        cache = FrameCache(StateFolder(default_state_dir()).frame_cache, arguments.cache * GIGABYTE)
    control = Control()
    with cancelled_by_interrupt(control, console):
        result = render_path(Path(arguments.scene), path, out, options, console.event, control, cache)
    others = [f", {result[source]} {source}" for source in ("kept", "cached") if result[source]]
    kept = "".join(others)
    console.result(result, f"{out}: {result['rendered']} frames rendered in {result['seconds']:.1f} s{kept}")
