"""The command line, as people and programs use it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neural_render_server.cli import main, parser
from neural_render_server.cli.console import duration, progress_line
from neural_render_server.rendering.images import read_exr

QUICK = ("--preset", "small", "--set", "count=1500")

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs ``neural-render`` in this process: exit code, stdout, stderr."""

    def run_main(*arguments: str | Path) -> tuple[int, str, str]:
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as ended:  # argparse
            code = int(ended.code or 0)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run_main


def result_of(out: str) -> dict[str, Any]:
    """With ``--json``: the only line of stdout."""
    (line,) = out.splitlines()
    data: dict[str, Any] = json.loads(line)
    return data


@pytest.fixture(scope="module")
def scene(tiny_film: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cli") / "scene"
    assert main(["train", str(tiny_film), "--out", str(folder), "--steps", "30", *QUICK]) == 0
    return folder


def test_capture_prints_what_was_filmed(run: Run, tiny_film: Path) -> None:
    code, out, _ = run("capture", tiny_film)
    assert code == 0 and "cam00" in out and "64x48" in out
    options = ("--test-cameras", "cam01,cam02", "--timesteps", "0:4", "--downscale", "2")
    code, out, _ = run("capture", tiny_film, *options, "--json")
    described = result_of(out)
    assert code == 0 and described["timesteps"] == 4 and described["cameras"][0]["w"] == 32
    assert [camera["name"] for camera in described["cameras"] if camera["is_test"]] == ["cam01", "cam02"]


def test_train_writes_a_scene_and_tells_its_progress_as_json(
    run: Run, tiny_film: Path, tmp_path: Path
) -> None:
    scene = tmp_path / "scene"
    code, out, err = run("train", tiny_film, "--out", scene, "--steps", "20", *QUICK, "--json")
    result = result_of(out)
    events = [json.loads(line) for line in err.splitlines() if line.startswith("{")]
    assert code == 0 and result["scene"] == str(scene) and result["step"] == 20
    assert result["metrics"]["split"] == "test" and result["metrics"]["psnr"] > 5.0
    assert {"progress", "metrics", "preview"} <= {event["event"] for event in events}
    info = json.loads((scene / "scene.json").read_text())
    assert info["step"] == 20 and info["config"]["count"] == 1500

    code, out, _ = run("train", tiny_film, "--out", scene, "--steps", "20", *QUICK, "--json")
    assert code == 1 and result_of(out)["error"]["code"] == "scene"  # it is not overwritten unasked
    code, out, _ = run("train", tiny_film, "--out", scene, "--steps", "30", *QUICK, "--resume", "--json")
    assert code == 0 and result_of(out)["step"] == 30


def test_eval_scores_the_held_out_views(run: Run, scene: Path) -> None:
    code, out, _ = run("eval", scene, "--json")
    scores = result_of(out)
    assert code == 0 and scores["split"] == "test" and len(scores["views"]) == 6
    assert scores["psnr"] == pytest.approx(np.mean([view["psnr"] for view in scores["views"]]))
    code, out, _ = run("eval", scene, "--split", "train")
    assert code == 0 and "training views" in out and "PSNR" in out


def test_render_writes_frames(run: Run, scene: Path, tiny_camera_file: Path, tmp_path: Path) -> None:
    arguments = ("render", scene, "--cameras", tiny_camera_file, "--out", tmp_path, "--json")
    code, out, err = run(*arguments)
    assert code == 0 and result_of(out)["rendered"] == 3
    assert [json.loads(line)["name"] for line in err.splitlines() if '"frame"' in line] == [
        "0001",
        "0002",
        "0003",
    ]
    whole = read_exr(tmp_path / "0002.exr")
    assert whole["combined"][..., 3].mean() > 0.5
    code, out, _ = run(*arguments, "--keep")
    assert result_of(out)["kept"] == 3
    code, out, _ = run(*arguments, "--passes", "depth", "--crop=-100,-100,-100,-99,-99,-99")
    nothing = read_exr(tmp_path / "0002.exr")
    assert code == 0 and list(nothing) == ["depth"] and (nothing["depth"] == np.float32(1e10)).all()
    code, out, _ = run(*arguments, "--format", "png")
    assert code == 0 and (tmp_path / "0002.png").read_bytes().startswith(b"\x89PNG")


def test_methods_lists_presets_and_settings(run: Run) -> None:
    code, out, _ = run("methods", "--json")
    first = result_of(out)["methods"][0]
    assert code == 0 and first["name"] == "gaussians" and first["default_preset"] in first["presets"]
    code, out, _ = run("methods")
    assert code == 0 and "gaussians" in out and "default (default)" in out and "count=" in out


def test_what_is_wrong_is_one_sentence(run: Run, tiny_film: Path, scene: Path, tmp_path: Path) -> None:
    for arguments, sentence in (
        (("capture", tmp_path / "none"), "there is no such file or folder"),
        (("capture", tiny_film, "--test-cameras", "cam99"), "cam99"),
        (("train", tiny_film, "--out", tmp_path / "s", "--method", "none"), "no method 'none'"),
        (("train", tiny_film, "--out", tmp_path / "s", "--preset", "none"), "no preset 'none'"),
        (("train", tiny_film, "--out", tmp_path / "s", "--set", "none=1"), "no option 'none'"),
        (("train", tiny_film, "--out", tmp_path / "s", "--device", "abacus"), "abacus"),
        (("train", tiny_film, "--out", tmp_path / "s", "--steps", "0"), "budget"),
        (("eval", tmp_path / "none"), "there is no such scene folder"),
        (("render", scene, "--cameras", tmp_path / "none", "--out", tmp_path), "cannot be read"),
        (("serve", "--port", "99999"), "port"),
        (("serve", "--host", "example.com"), "example.com"),
    ):
        if arguments[0] == "serve":
            arguments = (*arguments, "--state-dir", tmp_path / "state")
        code, out, err = run(*arguments)
        assert code == 1 and out == "" and sentence in err, (arguments, err)
        assert err.splitlines()[-1].startswith("neural-render: ") and "Traceback" not in err
        code, out, _ = run(*arguments, "--json")
        assert code == 1 and sentence in result_of(out)["error"]["message"]


def test_wrong_usage_exits_with_2_and_says_why(run: Run, tiny_film: Path, scene: Path) -> None:
    train = ("train", tiny_film, "--out", "s")
    render = ("render", scene, "--out", "o", "--cameras", "c")
    for arguments, sentence in (
        ((), "VERB"),
        (("dance",), "dance"),
        ((*train, "--steps", "many"), "'many' is not a whole number"),
        ((*train, "--minutes", "-1"), "not a number above 0"),
        ((*train, "--minutes", "1", "--steps", "10"), "not allowed with"),
        ((*train, "--resume", "--overwrite"), "not allowed with"),
        ((*train, "--set", "count"), "KEY=VALUE"),
        ((*train, "--timesteps", "5"), "FIRST:LAST"),
        ((*render, "--crop", "1,2,3"), "six numbers"),
        ((*render, "--format", "jpg"), "jpg"),
    ):
        code, _, err = run(*arguments)
        assert code == 2 and sentence in err and "Traceback" not in err, (arguments, err)


def test_every_verb_has_help_and_json() -> None:
    (verbs,) = (action for action in parser()._actions if action.dest == "verb")
    assert {"capture", "train", "eval", "render", "serve", "methods"} <= set(verbs.choices)
    (actions,) = (action for action in verbs.choices["capture"]._actions if action.dest == "action")
    assert set(actions.choices) == {"inspect", "solve", "sync", "align"}
    for verb in [
        *(verb for name, verb in verbs.choices.items() if name != "capture"),
        *actions.choices.values(),
    ]:
        assert verb.description and "--json" in verb.format_help()
        assert all(action.help for action in verb._actions)


def test_progress_reads_well() -> None:
    assert progress_line(0.4239, 65.2, "Training, step 300") == " 42%  Training, step 300, 1:05 left"
    assert progress_line(1.0, None, "Scoring") == "100%  Scoring"
    assert (duration(0.4), duration(59.6), duration(3725)) == ("0:00", "1:00", "1:02:05")


@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupting_a_training_keeps_its_checkpoint(number: int, tiny_film: Path, tmp_path: Path) -> None:
    scene = tmp_path / "scene"
    command = [sys.executable, "-m", "neural_render_server.cli", "train", str(tiny_film), "--out", str(scene)]
    training = subprocess.Popen(
        [*command, "--steps", "1000000", *QUICK, "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert training.stderr is not None
    for line in training.stderr:
        if line.startswith("{") and json.loads(line).get("step", 0) >= 5:
            break
    os.kill(training.pid, number)
    out, _ = training.communicate(timeout=120)
    assert training.returncode == 130
    assert json.loads(out.splitlines()[-1])["error"]["code"] == "cancelled"
    assert json.loads((scene / "scene.json").read_text())["step"] >= 5
    assert (scene / "optimizer.safetensors").is_file() and not list(scene.glob("*.lock"))


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals are POSIX")
def test_on_a_terminal_one_line_rewrites_itself(scene: Path, tiny_camera_file: Path, tmp_path: Path) -> None:
    import pty

    leader, follower = pty.openpty()
    command = [sys.executable, "-m", "neural_render_server.cli", "render", str(scene)]
    subprocess.run(
        [*command, "--cameras", str(tiny_camera_file), "--out", str(tmp_path)],
        stderr=follower,
        stdout=subprocess.DEVNULL,
        check=True,
        timeout=120,
    )
    os.close(follower)
    shown = os.read(leader, 100_000).decode()
    os.close(leader)
    lines = shown.rstrip("\r\n").split("\r")
    assert "\n" not in shown.rstrip("\r\n") and "frame 1 of 3" in shown and "frame 3 of 3" in lines[-1]
