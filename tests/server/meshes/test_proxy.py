"""A scene of Gaussians becomes a mesh, by the command line and its options; bad input is told."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from gaussian_scene import Ball, write

from neural_render_server.captures.ply import read_ply
from neural_render_server.cli import main

CENTER, RADIUS = (0.2, -0.1, 0.1), 0.6


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ball that is there at second 0, and another, elsewhere, at second 2."""
    balls = [Ball(CENTER, RADIUS, (0.8, 0.2, 0.1), 0.0), Ball((-0.9, 0.6, 0.0), 0.3, (0.1, 0.9, 0.1), 2.0)]
    return write(tmp_path_factory.mktemp("mesh") / "balls.scene", balls)


def test_a_ball_of_gaussians_becomes_a_ball(scene: Path, tmp_path: Path, capsys) -> None:  # type: ignore[no-untyped-def]
    out = tmp_path / "ball.ply"
    assert main(["mesh", str(scene), "--out", str(out), "--resolution", "40", "--json"]) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    positions = read_ply(out).positions
    assert result["mesh"] == str(out) and result["vertices"] == len(positions)
    distance = np.linalg.norm(positions - np.array(CENTER), axis=1)
    # Gaussians reach a little beyond their centres, and those seen askance are nearer than the surface
    assert np.median(distance) == pytest.approx(RADIUS, abs=2.0 * result["voxel"])
    assert np.quantile(distance, 0.9) < RADIUS + 3.0 * result["voxel"]


def test_time_and_crop_choose_the_other_ball(scene: Path, tmp_path: Path) -> None:
    out = tmp_path / "other.ply"
    crop = "--crop=-1.3,0.2,-0.4,-0.5,1.0,0.4"
    assert main(["mesh", str(scene), "--out", str(out), "--times", "2", "--resolution", "24", crop]) == 0
    positions = read_ply(out).positions
    assert np.allclose(positions.mean(axis=0), (-0.9, 0.6, 0.0), atol=0.1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--times", "1"), "no solid surface"),
        (("--resolution", "4"), "between 8 and 512"),
        (("--crop=1,0,0,0,1,1",), "crop is no box"),
    ],
)
def test_bad_input(scene: Path, tmp_path: Path, capsys, arguments, message) -> None:  # type: ignore[no-untyped-def]
    assert main(["mesh", str(scene), "--out", str(tmp_path / "none.ply"), *arguments]) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "none.ply").exists()
