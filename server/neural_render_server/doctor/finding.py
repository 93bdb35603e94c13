"""What one check found."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

# From good to bad: with a warning the work goes, slower or not all of it; with an error it does not.
Status = Literal["ok", "warning", "error"]


@dataclass(frozen=True)
class Finding:
    """``text`` says what is there; ``remedy``, empty where all is well, what to do about it."""

    name: str
    status: Status
    text: str
    remedy: str = ""


def worst(findings: Iterable[Finding]) -> Status:
    """The worst status among ``findings``."""
    order = get_args(Status)
    return max((finding.status for finding in findings), key=order.index, default="ok")
