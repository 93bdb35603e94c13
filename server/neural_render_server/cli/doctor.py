"""``neural-render doctor``: what is wrong with this machine or installation, and what to do about it."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

from .console import Console


def add_parser(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    parser = verbs.add_parser(
        "doctor",
        help="check this machine and installation",
        description="Check device, driver, memory, disk, codecs, state folder, ports and versions, and say "
        "what to do about each. Exits with 1 where something keeps the server from working.",
    )
    parser.add_argument(
        "--state-dir",
        type=Path,
        metavar="DIR",
        help="the server's state folder (NEURAL_RENDER_STATE_DIR, or the user's data folder)",
    )
    return parser


def run(arguments: argparse.Namespace, console: Console) -> int:
    from ..doctor import examine, worst
    from ..doctor.report import format_findings

    findings = examine(arguments.state_dir)
    status = worst(findings)
    data = {"status": status, "findings": [dataclasses.asdict(finding) for finding in findings]}
    console.result(data, format_findings(findings))
    return int(status == "error")
