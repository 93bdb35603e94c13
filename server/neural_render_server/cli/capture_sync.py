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
    parser.add_argument(
        "--readout",
        type=readout,
        action="append",
        metavar="[CAMERA=]MS[:DIRECTION]",
        help="milliseconds in which a rolling shutter reads a picture out, towards down (the default), up, "
        "left or right as it is shown upright; of one camera or of all, 0 for none; training then takes "
        "every row at its own time",
    )
    return parser


def run(arguments: argparse.Namespace, console: Console) -> None:
    from ..captures.amendments import set_fps
    from ..captures.detect import read_capture
    from ..solving.synchronise import set_offsets, synchronise_capture

    path = Path(arguments.capture).expanduser().absolute()
    if arguments.fps is not None:
        set_fps(path, arguments.fps or None)
    if arguments.readout:
        keep_readouts(path, arguments.readout)
    if arguments.by is None and arguments.offset is None:
        if arguments.fps is None and not arguments.readout:
            raise OptionError("nothing to do; give --by, --offset, --fps or --readout")
        console.result(*timing(path))
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


def keep_readouts(path: Path, given: list[tuple[str, float, str]]) -> None:
    from ..captures.amendments import set_readouts
    from ..captures.detect import read_capture
    from ..captures.readout import Readout, readouts_of

    capture = read_capture(path)
    found: dict[str, Readout] = {}
    for camera, milliseconds, direction in given:
        values = {"seconds": milliseconds / 1e3, "direction": direction}
        readout = Readout.from_json(values, "--readout")
        found |= readouts_of(capture, readout, [camera] if camera else None)
    set_readouts(capture, found)


def timing(path: Path) -> tuple[dict[str, Any], str]:
    """What is kept of a capture's timesteps and shutters, for JSON and in words."""
    from ..captures.amendments import read_amendments
    from ..captures.detect import open_capture

    capture, readouts = open_capture(path), read_amendments(path).readouts
    lines = [f"{path}: {len(capture.times)} timesteps"]
    if capture.fps:
        lines[0] += f" at {capture.fps:g} a second"
    lines += [
        f"  {name:<12} read out in {1e3 * own.seconds:g} ms, {own.direction}"
        for name, own in readouts.items()
    ]
    data = {
        "fps": capture.fps,
        "timesteps": len(capture.times),
        "readouts": {name: own.to_json() for name, own in readouts.items()},
    }
    return data, "\n".join(lines)


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


def readout(text: str) -> tuple[str, float, str]:
    """``cam01=16.5:left`` as the camera (empty: all), the milliseconds and the direction."""
    name, _, value = text.rpartition("=")
    number, _, direction = value.partition(":")
    try:
        milliseconds = float(number)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not [CAMERA=]MILLISECONDS[:DIRECTION]") from error
    return name.strip(), milliseconds, direction or "down"
