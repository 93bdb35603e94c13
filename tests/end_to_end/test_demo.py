"""The demo from the built zip to the film, small and short: what it promises is there and shows something."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
WIDTH, HEIGHT, FRAMES = 96, 72, 3

bpy = pytest.importorskip("bpy")


def build_zip(folder: Path) -> Path:
    tool = (
        Path(bpy.utils.resource_path("LOCAL"))
        / "scripts"
        / "addons_core"
        / "bl_pkg"
        / "cli"
        / "blender_ext.py"
    )
    command = [sys.executable, tool, "build", "--source-dir", REPOSITORY, "--output-dir", folder]
    subprocess.run(command, check=True, capture_output=True)
    return next(folder.glob("*.zip"))


def pixels_of(path: Path):
    import numpy as np

    image = bpy.data.images.load(str(path))
    width, height = image.size
    return np.array(image.pixels[:], np.float32).reshape(height, width, 4)[::-1]


@pytest.mark.slow
def test_film_to_composited_shot(tmp_path):
    server = os.environ.get(
        "NEURAL_RENDER_SERVER_PYTHON", REPOSITORY / ".venvs" / "server" / "bin" / "python"
    )
    command = [sys.executable, REPOSITORY / "examples" / "demo" / "shot.py", "--zip", build_zip(tmp_path)]
    command += ["--capture", REPOSITORY / "examples" / "stage24", "--out", tmp_path / "out"]
    command += ["--server-python", server, "--minutes", "0.1"]
    command += ["--frames", FRAMES, "--width", WIDTH, "--height", HEIGHT]
    run = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=540)
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-3000:]

    out = tmp_path / "out"
    assert len(list((out / "field").glob("*.exr"))) == FRAMES
    film = bpy.data.movieclips.load(str(out / "shot.mp4"))
    assert (tuple(film.size), film.frame_duration) == ((WIDTH, HEIGHT), FRAMES)
    sheet = pixels_of(out / "contact_sheet.png")
    assert sheet.shape[0] > 3 * HEIGHT and sheet.shape[1] > FRAMES * WIDTH

    field, composite = (
        pixels_of(out / name) for name in ("stills/field_0001.png", "composite/shot_0001.png")
    )
    assert field[..., :3].std() > 0.05  # a picture, not a plane
    changed = abs(composite - field)[..., :3].max(axis=-1) > 0.1
    assert 0.005 < changed.mean() < 0.3  # the props are in it, and the set around them is as it was
