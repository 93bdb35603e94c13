"""The lock of a scene folder, and what a killed training leaves."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from neural_render_server.errors import SceneError
from neural_render_server.files import remove_leftovers, write_bytes
from neural_render_server.scene import Scene
from neural_render_server.training.lock import LOCK_NAME, locked

HOLD = """
import sys
from pathlib import Path
from neural_render_server.scene import Scene
from neural_render_server.training.lock import locked
with locked(Scene(Path(sys.argv[1]))):
    print("locked", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def held(tmp_path: Path) -> subprocess.Popen[str]:
    """Another process that trains the folder."""
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None and holder.stdout.readline() == "locked\n"
    return holder


def test_two_trainings_do_not_share_a_folder(held: subprocess.Popen[str], tmp_path: Path) -> None:
    with pytest.raises(SceneError, match=f"process {held.pid} is training it"), locked(Scene(tmp_path)):
        pass
    held.communicate("")
    with locked(Scene(tmp_path)) as was_killed:
        assert not was_killed


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is POSIX")
def test_a_killed_trainings_lock_is_taken_over(held: subprocess.Popen[str], tmp_path: Path) -> None:
    leftover = tmp_path / f".model-partial-{held.pid}-x.safetensors"
    leftover.write_bytes(b"half")
    os.kill(held.pid, signal.SIGKILL)
    held.wait()
    with locked(Scene(tmp_path)) as was_killed:
        assert was_killed and not leftover.exists()
    assert list(tmp_path.iterdir()) == []


def test_a_process_number_that_was_used_again_holds_nothing(tmp_path: Path) -> None:
    (tmp_path / LOCK_NAME).write_text(f"{os.getppid()} 1.0")
    with locked(Scene(tmp_path)):
        pass


def test_a_training_killed_before_its_first_checkpoint_starts_anew(
    tiny_film: Path, train_panorama: Callable[..., Path], tmp_path: Path
) -> None:
    """It had written the rig and the model, and begun the checkpoint."""
    scene = tmp_path / "scene"
    (scene / "previews").mkdir(parents=True)
    for name in ("cameras.json", "model.safetensors", ".optimizer-partial-4194305-x.safetensors"):
        (scene / name).write_bytes(b"half")
    with pytest.raises(SceneError, match="holds other files"):
        train_panorama(tiny_film, scene, steps=2)
    (scene / LOCK_NAME).write_text("4194305 1.0")
    train_panorama(tiny_film, scene, steps=2)
    assert Scene(scene).read_info().finished
    assert not list(scene.glob(".*"))


def test_what_living_writers_have_begun_is_left_alone(tmp_path: Path) -> None:
    ours = tmp_path / f".frame-partial-{os.getpid()}-x.exr"
    ours.write_bytes(b"half")
    remove_leftovers(tmp_path)
    assert ours.exists()
    write_bytes(tmp_path / "frame.exr", b"whole")
    assert sorted(path.name for path in tmp_path.iterdir()) == [ours.name, "frame.exr"]
