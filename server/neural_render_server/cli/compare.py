"""``neural-render compare``: several scenes of one capture in one table and one report."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..errors import OptionError
from .console import Console
from .evaluate import add_evaluation_arguments, evaluation_options, report_folder, report_line, write


def add_parser(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    parser = verbs.add_parser(
        "compare",
        help="score several scenes of one capture beside each other",
        description="Score scenes that were trained on one capture with one split, on the same views.",
    )
    parser.add_argument("scenes", metavar="SCENE", nargs="+", help="the scene folders")
    add_evaluation_arguments(parser)
    return parser


def run(arguments: argparse.Namespace, console: Console) -> None:
    from ..evaluation.compare import comparison
    from ..evaluation.evaluate import evaluated

    if len(arguments.scenes) < 2:
        raise OptionError("compare needs at least two scenes; use eval for one")
    folder = report_folder(arguments)
    paths = [Path(scene) for scene in arguments.scenes]
    with evaluated(paths, evaluation_options(arguments), console.stage) as evaluation:
        data = comparison(evaluation)
        if folder is not None:
            data["report"] = write(evaluation, folder, data, arguments)
    console.result(data, "\n".join([*table(data), *report_line(data)]))


def table(data: dict[str, Any]) -> list[str]:
    """One line a scene, one column a measure; a star marks the best."""
    from ..evaluation.measures import MEASURES

    used = [measure for measure in MEASURES if any(measure.key in scene for scene in data["scenes"])]
    rows = [["scene", *(measure.label for measure in used)]]
    for scene in data["scenes"]:
        cells = [
            measure.text(scene.get(measure.key))
            + ("*" if data["best"].get(measure.key) == scene["scene"] else " ")
            for measure in used
        ]
        rows.append([scene["scene"], *cells])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(
            [
                row[0].ljust(widths[0]),
                *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)),
            ]
        )
        for row in rows
    ]
