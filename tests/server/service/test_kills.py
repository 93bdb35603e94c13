"""Killed at random moments, as ``python -m benchmarks.kills`` does it fifty times: nothing is lost."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks.kills import run


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is POSIX")
def test_whatever_is_killed_everything_comes_to_its_end(tiny_film: Path, tmp_path: Path) -> None:
    rounds = run(tiny_film, kills=3, folder=tmp_path, seed=1)
    assert [(told.victim, told.kind) for told in rounds] == [
        ("server", "train"),
        ("server", "render"),
        ("worker", "train"),
    ]
    assert [told.faults for told in rounds] == [[]] * 3
