"""``neural-render jobs``: the running server's queue, and its jobs' places in it."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from .arguments import whole_number
from .console import Console, duration

ACTIONS = ("cancel", "pause", "resume")


def add_parser(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    parser = verbs.add_parser(
        "jobs",
        help="list the running server's jobs, or change one",
        description="List the jobs of the server that runs on this machine, or cancel, pause, resume or "
        "prioritise one of them.",
    )
    parser.add_argument("job", nargs="?", metavar="JOB", help="a job's id, for one of the options below")
    group = parser.add_mutually_exclusive_group()
    for action in ACTIONS:
        group.add_argument(
            f"--{action}", dest="action", action="store_const", const=action, help=f"{action} JOB"
        )
    group.add_argument(
        "--priority",
        type=whole_number,
        metavar="N",
        help="of the queued jobs, those of higher N come first (0)",
    )
    parser.add_argument(
        "--state-dir",
        type=Path,
        metavar="DIR",
        help="the server's state folder (NEURAL_RENDER_STATE_DIR, or the user's data folder)",
    )
    return parser


def run(arguments: argparse.Namespace, console: Console) -> None:
    from ..errors import OptionError, ServiceError
    from ..service.announced import call
    from ..service.state import StateFolder, default_state_dir

    state = StateFolder(arguments.state_dir or default_state_dir())
    server = state.read_server()
    if server is None:
        raise ServiceError(f"{state.path}: no server is running; start one with neural-render serve")
    asked = arguments.action or ("priority" if arguments.priority is not None else "")
    if bool(asked) != bool(arguments.job):
        raise OptionError("to change a job give its id and one of --cancel, --pause, --resume, --priority")
    if not asked:
        jobs = json.loads(call(server, "/v1/jobs"))["jobs"]
        console.result({"jobs": jobs}, "\n".join(map(_line, jobs)) or "no jobs")
        return
    body = {"priority": arguments.priority} if asked == "priority" else {}
    job = json.loads(call(server, f"/v1/jobs/{arguments.job}/{asked}", body))
    console.result(job, _line(job))


def _line(job: dict[str, Any]) -> str:
    target = job["params"].get("out") or job["params"].get("scene")
    left = "" if job["time_left"] is None else f", {duration(job['time_left'])} left"
    priority = f" priority {job['priority']}" if job["priority"] else ""
    return f"{job['id']}  {job['kind']:6} {job['state']:9} {job['progress']:4.0%}{left}{priority}  {target}"
