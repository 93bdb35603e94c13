"""``neural-render serve``: the server that Blender and other programs talk to."""

from __future__ import annotations

import argparse
from pathlib import Path

from .arguments import whole_number
from .console import Console


def add_parser(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    parser = verbs.add_parser(
        "serve",
        help="run the server that Blender talks to",
        description="Run the server on this machine only. It prints one JSON line with its address and token "
        "when it is ready, and keeps the same in server.json in its state folder.",
    )
    parser.add_argument(
        "--host", default="127.0.0.1", metavar="NAME", help="127.0.0.1, localhost or ::1 (127.0.0.1)"
    )
    parser.add_argument("--port", type=whole_number, default=0, metavar="N", help="the port (any free one)")
    parser.add_argument(
        "--state-dir",
        type=Path,
        metavar="DIR",
        help="where jobs and server.json are kept (NEURAL_RENDER_STATE_DIR, or the user's data folder)",
    )
    parser.add_argument(
        "--parent-pid",
        dest="parent_pids",
        type=whole_number,
        action="append",
        default=[],
        metavar="PID",
        help="end when this process has ended; may be given several times",
    )
    parser.add_argument("--stay", action="store_true", help="stay when the parent processes have ended")
    return parser


def run(arguments: argparse.Namespace, console: Console) -> None:
    from ..service.serve import ServeOptions, serve

    serve(
        ServeOptions(
            arguments.host, arguments.port, arguments.state_dir, arguments.parent_pids, arguments.stay
        )
    )
