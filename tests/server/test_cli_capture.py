"""``neural-render capture align`` and ``sync``: what they keep, and what they refuse."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from tiny_capture import FPS, write_transforms

from neural_render_server.captures.detect import open_capture
from neural_render_server.cli import main


@pytest.fixture
def film(tmp_path: Path) -> Path:
    write_transforms(tmp_path, dynamic=True)
    return tmp_path


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict]:
    code = main([*arguments, "--json"])
    return code, json.loads(capsys.readouterr().out.splitlines()[-1])


def test_a_known_distance_and_an_origin_are_kept(film: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = open_capture(film).cameras[0].position
    code, result = told(
        capsys,
        "capture",
        "align",
        str(film),
        "--origin=1,0,0",
        "--between",
        "0,0,0",
        "0,0,2",
        "--distance",
        "6",
    )
    assert code == 0 and np.array(result["alignment"])[:3, :3] == pytest.approx(3.0 * np.eye(3))
    assert open_capture(film).cameras[0].position == pytest.approx(3.0 * (before - [1.0, 0.0, 0.0]))
    code, result = told(capsys, "capture", "align", str(film), "--distance", "6")
    assert code == 1 and "two points" in result["error"]["message"]


def test_offsets_by_hand_are_seconds_or_frames(film: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = [camera.name for camera in open_capture(film).cameras]
    code, result = told(
        capsys, "capture", "sync", str(film), "--offset", f"{names[0]}=1f", "--offset", f"{names[1]}=0.02"
    )
    assert code == 0 and result["offsets"] == pytest.approx({names[0]: 1.0 / FPS, names[1]: 0.02})
    shifts = [view.time_shift for view in open_capture(film).views if view.camera == 1]
    assert shifts == pytest.approx([0.02] * len(shifts))
    code, result = told(capsys, "capture", "sync", str(film), "--offset", "nobody=1")
    assert code == 1 and "no such camera" in result["error"]["message"]
    code, result = told(capsys, "capture", "sync", str(film), "--by", "audio")
    assert code == 1 and "has no video" in result["error"]["message"]
    code, result = told(capsys, "capture", "sync", str(film), "--fps", "6")
    assert code == 0 and result == {
        "fps": 6.0,
        "timesteps": len(open_capture(film).times),
        "readouts": {},
    }
    code, result = told(capsys, "capture", "sync", str(film))
    assert code == 1 and "--offset" in result["error"]["message"]
    with pytest.raises(SystemExit):
        main(["capture", "sync", str(film), "--offset", "late"])


def test_inspect_may_be_left_out(film: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert told(capsys, "capture", str(film)) == told(capsys, "capture", "inspect", str(film))
