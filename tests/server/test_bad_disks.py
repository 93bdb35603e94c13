"""Every writer on a full and on a read-only disk: one sentence with file and remedy, and nothing lost."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import cv2
import numpy as np
import point_scene
import pytest
from bad_disks import full_disk, read_only
from gaussian_scene import Ball
from gaussian_scene import write as write_ball
from textured_room import room_picture, room_rig

from neural_render_server.captures.image import read_image
from neural_render_server.captures.picture import read_crop, read_picture
from neural_render_server.cli import main
from neural_render_server.errors import CaptureError, ServiceError
from neural_render_server.service.serve import ServeOptions, serve
from neural_render_server.service.store import JobStore

TrainPanorama = Callable[..., Path]
FAULTS = ["full", "read-only"]


def broken(fault: str, folder: Path) -> AbstractContextManager[None]:
    return full_disk() if fault == "full" else read_only(folder)


def tree(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.fixture(scope="module")
def commands(
    tiny_film: Path,
    tiny_camera_file: Path,
    train_panorama: TrainPanorama,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, list[str]]:
    """A command of each writer, but for its output. Each has run once, so that nothing is compiled later."""
    folder = tmp_path_factory.mktemp("writers")
    ball = write_ball(folder / "ball.scene", [Ball((0.0, 0.0, 0.0), 0.5, (0.8, 0.2, 0.1), 0.0)])
    trained = train_panorama(tiny_film, folder / "trained", steps=2)
    point = point_scene.write(folder / "point")
    chosen = {
        "render": ["render", str(point), "--cameras", str(tiny_camera_file), "--out", "OUT/frames"],
        "mesh": ["mesh", str(ball), "--resolution", "12", "--out", "OUT/ball.ply"],
        "report": ["eval", str(trained), "--skip", "flip,jod,lpips", "--report", "OUT/report"],
        "align": ["capture", "align", "OUT/film", "--up", "0,1,0"],
    }
    return chosen


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("writer", ["render", "mesh", "report", "align"])
def test_command(
    commands: dict[str, list[str]],
    tiny_film: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    writer: str,
    fault: str,
) -> None:
    shutil.copytree(tiny_film, tmp_path / "film")
    command = [word.replace("OUT", str(tmp_path)) for word in commands[writer]]
    assert main(command) == 0, capsys.readouterr().err
    before = tree(tmp_path)
    with broken(fault, tmp_path):
        assert main(command) == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert str(tmp_path) in said and "cannot be written" in said
    assert "free some space or choose another folder" in said
    assert tree(tmp_path) == before  # nothing lost, nothing half-written


def test_a_solve_goes_on_when_the_disk_is_well_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "photos").mkdir()
    for index, pose in enumerate(room_rig(5)):
        cv2.imwrite(str(tmp_path / "photos" / f"photo{index}.png"), room_picture(pose)[..., ::-1])
    out = tmp_path / "room.capture"
    command = ["capture", "solve", str(tmp_path / "photos"), "--out", str(out), "--features", "800"]
    # Nowhere to write, no room for the first file, and none for COLMAP's database.
    for disk in (read_only(tmp_path), full_disk(), full_disk(30_000)):
        with disk:
            assert main(command) == 1
        said = capsys.readouterr().err.splitlines()[-1]
        assert str(out) in said and "free some space or choose another folder" in said
        assert not (out / "transforms.json").exists()
    assert main(command) == 0, capsys.readouterr().err


def test_a_picture_too_large_for_the_temporary_folder(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    cv2.imwrite(str(path), np.zeros((300, 400, 3), np.uint8))
    source = read_picture(path).views[0].source
    with full_disk(1000), pytest.raises(CaptureError, match=r"large\.png.*free 0"):
        read_crop(source)  # type: ignore[arg-type]
    assert read_crop(source).shape == (300, 400, 3)  # type: ignore[arg-type]
    path.unlink()
    with pytest.raises(CaptureError, match=r"large\.png: the picture is gone"):
        read_crop(source)  # type: ignore[arg-type]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_server_that_cannot_keep_its_state(tmp_path: Path, fault: str) -> None:
    JobStore(tmp_path / "jobs.sqlite").close()
    with broken(fault, tmp_path), pytest.raises(ServiceError, match=r"cannot be (written|used).*--state-dir"):
        serve(ServeOptions(state_dir=tmp_path))
    assert not (tmp_path / "server.json").exists()


def test_the_image_that_vanished_is_named(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match=r"gone\.png"):
        read_image(tmp_path / "gone.png")
