"""The command line: the same verbs as the service, one module each."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from .. import __version__
from ..errors import Cancelled, NeuralRenderError
from ..service.error_bodies import error_code
from . import capture, compare, doctor, evaluate, jobs, mesh, methods, render, serve, train
from .arguments import add_json_argument
from .console import Console

VERBS = (capture, train, evaluate, compare, render, mesh, serve, methods, jobs, doctor)

EXIT_ERROR = 1
EXIT_CANCELLED = 130  # as a shell says of a program that Ctrl-C ended


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    top = argparse.ArgumentParser(
        prog="neural-render",
        description="Train radiance fields of filmed, moving scenes and render them for Blender.",
    )
    top.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    verbs = top.add_subparsers(dest="verb", metavar="VERB", required=True)
    for verb in VERBS:
        added = verb.add_parser(verbs)
        if verb is capture:
            continue  # its actions have their own
        added.set_defaults(run=verb.run)
        add_json_argument(added)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb; returns the exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = parser().parse_args(capture.with_action(given))
    console = Console(options.json)
    try:
        code: int | None = options.run(options, console)
    except (Cancelled, KeyboardInterrupt):
        console.error("cancelled", "cancelled; what was finished is kept")
        return EXIT_CANCELLED
    except NeuralRenderError as error:
        console.error(error_code(error), str(error))
        return EXIT_ERROR
    except BrokenPipeError:
        # Who read our output has gone, as in `neural-render methods | head -1`.
        sys.stderr.close()
        return EXIT_ERROR
    return code or 0
