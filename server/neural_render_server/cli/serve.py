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
        description="Run the server, by default for this machine only. It prints one JSON line with its "
        "address and token when it is ready, and keeps the same in server.json in its state folder.",
    )
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        metavar="NAME",
        help="where to listen (127.0.0.1); beyond this machine only with --tls-cert and --allow-root",
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
    parser.add_argument(
        "--allow-root",
        dest="allowed_roots",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help="a folder that requests may name, with all below it; may be given several times (any but the "
        "system's and the home's hidden ones)",
    )
    parser.add_argument("--tls-cert", type=Path, metavar="PEM", help="serve HTTPS with this certificate")
    parser.add_argument("--tls-key", type=Path, metavar="PEM", help="the certificate's private key")
    return parser


def run(arguments: argparse.Namespace, console: Console) -> None:
    from ..service.serve import ServeOptions, serve

    serve(
        ServeOptions(
            arguments.host,
            arguments.port,
            arguments.state_dir,
            arguments.parent_pids,
            arguments.stay,
            arguments.allowed_roots,
            arguments.tls_cert,
            arguments.tls_key,
        )
    )
