"""``neural-render capture sync``: one clock for the cameras of a capture."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..errors import OptionError
from ..progress import Control
from .console import Console
from .interrupt import cancelled_by_interrupt


def add_parser(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    parser = actions.add_parser(
        "sync",
        help="put cameras that were started by hand on one clock",
        description="Find by how much the cameras of a capture were started apart, to parts of a frame, and "
        "keep it in the capture's capture.json.",
    )
    parser.add_argument("capture", metavar="CAPTURE", help="the capture's folder")
    how = parser.add_mutually_exclusive_group()
    how.add_argument(
        "--by",
        choices=("timecode", "audio", "flash", "picture"),
        help="compare the videos' timecode or sound, a flash of light, or what changes in the picture",
    )
    how.add_argument(
        "--offset",
        type=offset,
        action="append",
        metavar="CAMERA=TIME",
        help="seconds (0.1) or frames (2.5f) to add to a camera's clock; may be given several times",
    )
    parser.add_argument(
        "--fps",
        type=float,
        metavar="N",
        help="timesteps a second; each camera's nearest frames are used at their own times (0, the default: "
        "every frame of the fastest camera is a timestep)",
    )
    return parser


def run(arguments: argparse.Namespace, console: Console) -> None:
    from ..captures.amendments import set_fps
    from ..captures.detect import open_capture, read_capture
    from ..solving.synchronise import set_offsets, synchronise_capture

    path = Path(arguments.capture).expanduser().absolute()
    if arguments.fps is not None:
        set_fps(path, arguments.fps or None)
    if arguments.by is None and arguments.offset is None:
        if arguments.fps is None:
            raise OptionError("nothing to do; give --by, --offset or --fps")
        capture = open_capture(path)
        told = f"{path}: {len(capture.times)} timesteps at {capture.fps:g} a second"
        console.result({"fps": capture.fps, "timesteps": len(capture.times)}, told)
        return
    if arguments.offset:
        fps = read_capture(path).fps
        offsets = {}
        for camera, number, is_frames in arguments.offset:
            if is_frames and not fps:
                raise OptionError(f"{path}: says no frame rate; give the offset of {camera} in seconds")
            offsets[camera] = number / fps if is_frames and fps else number
        result = set_offsets(path, offsets)
    else:
        control = Control()
        with cancelled_by_interrupt(control, console):
            result = synchronise_capture(path, arguments.by, console.event, control)
    for warning in result["warnings"]:
        console.note(f"warning: {warning}")
    console.result(result, format_offsets(result))


def format_offsets(result: dict[str, Any]) -> str:
    """One line a camera: its offset in seconds and frames, and the residual of its pairs."""
    fps = result["fps"]
    lines = [f"synchronised by {result['by']}"]
    for name, seconds in result["offsets"].items():
        residual = result["residuals"].get(name)
        told = "" if residual is None else f", residual {1e3 * residual:.2f} ms ({residual * fps:.3f} frames)"
        lines.append(f"  {name:<12} {seconds:+.5f} s  {seconds * fps:+.3f} frames{told}")
    return "\n".join(lines)


def offset(text: str) -> tuple[str, float, bool]:
    """``cam01=2.5f`` as the camera, the number and whether it counts frames."""
    name, _, value = text.partition("=")
    try:
        number = float(value.removesuffix("f"))
    except ValueError:
        number = float("nan")
    if not name or not abs(number) < 1e6:
        raise argparse.ArgumentTypeError(f"{text!r} is not CAMERA=SECONDS or CAMERA=FRAMESf")
    return name.strip(), number, value.endswith("f")
