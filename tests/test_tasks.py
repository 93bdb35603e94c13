"""The checks of ``tasks.py test`` run beside each other and still read one after another."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="module")
def tasks() -> ModuleType:
    """tasks.py, which is a script."""
    path = Path(__file__).parents[1] / "tasks.py"
    spec = importlib.util.spec_from_file_location("tasks", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["tasks"] = module  # its dataclass looks itself up
    spec.loader.exec_module(module)
    return module


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_checks_run_at_once_and_their_output_stays_together(
    tasks: ModuleType, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two checks that wait for each other's file end only if both run; neither's lines are torn apart."""
    monkeypatch.setattr(tasks, "LANES", 2)
    monkeypatch.setattr(tasks, "PROGRESS_SECONDS", 0.2)
    meet = (
        "import pathlib, sys, time; here, there = map(pathlib.Path, sys.argv[1:]);"
        "print(here.name, 'begins [ 50%]', flush=True); here.touch();"
        "exec('while not there.exists(): time.sleep(0.01)'); time.sleep(1.0); print(here.name, 'ends')"
    )
    one, two = str(tmp_path / "one"), str(tmp_path / "two")
    checks = [
        tasks.Check("check: one", [*python(meet), one, two]),
        tasks.Check("check: two", [*python(meet), two, one]),
    ]
    assert tasks.run_beside(checks, tmp_path)
    shown = capfd.readouterr().out
    for name in ("one", "two"):
        assert f"==> check: {name}\n{name} begins [ 50%]\n{name} ends\n" in shown
        assert f"==> check: {name}: ok in" in shown
    assert "check: one (50%)" in shown


def test_a_failed_check_fails_all_and_the_others_still_run(
    tasks: ModuleType, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    checks = [
        tasks.Check("bad", python("import sys; print('why', file=sys.stderr); sys.exit(3)")),
        tasks.Check("good", python("import os; print(os.environ['WORD'])"), {"WORD": "hello"}),
    ]
    assert not tasks.run_beside(checks, tmp_path)
    shown = capfd.readouterr().out
    assert "why" in shown and "bad: FAILED (exit 3)" in shown
    assert "hello" in shown and "good: ok" in shown
