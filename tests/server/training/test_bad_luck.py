"""What may happen to files while a training runs, and to its checkpoint: a sentence, and nothing lost."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import av
import pytest
from bad_disks import full_disk, read_only

from neural_render_server.errors import Cancelled, CaptureError, NeuralRenderError, SceneError
from neural_render_server.progress import Control, Event
from neural_render_server.scene import Scene, load_method
from neural_render_server.training.options import TrainOptions
from neural_render_server.training.trainer import train

pytestmark = pytest.mark.usefixtures("panorama")

ON_FIRST_STEP = Callable[[], object]


def run(
    capture: Path, scene: Path, steps: int = 60, on_first_step: ON_FIRST_STEP | None = None, **more: object
) -> list[Event]:
    """Train the example, doing something to its files after the first step; returns what was told."""
    told: list[Event] = []

    def hear(event: Event) -> None:
        if event.kind == "metrics" and not any(old.kind == "metrics" for old in told) and on_first_step:
            on_first_step()
        told.append(event)

    options = TrainOptions(str(capture), str(scene), method="panorama", preset="small", steps=steps, **more)
    train(options, hear, Control())
    return told


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_a_folder_that_cannot_be_written(tiny_film: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SceneError, match=r"file/scene: cannot be used.*choose another folder"):
        run(tiny_film, tmp_path / "file" / "scene")
    (tmp_path / "scene").mkdir()
    with read_only(tmp_path), pytest.raises(SceneError, match=r"scene.*cannot be.*choose another folder"):
        run(tiny_film, tmp_path / "scene")
    assert list((tmp_path / "scene").iterdir()) == []


@pytest.mark.parametrize("fault", ["read-only", "full"])
def test_a_disk_that_fails_during_the_training(tiny_film: Path, tmp_path: Path, fault: str) -> None:
    """The checkpoint of the start is kept, and the training goes on from it when the disk is well again."""
    scene = Scene(tmp_path / "scene")
    before: dict[str, bytes] = {}
    with ExitStack() as stack:

        def break_it() -> None:
            before.update(contents(scene.path))
            stack.enter_context(read_only(scene.path) if fault == "read-only" else full_disk())

        with pytest.raises(SceneError, match=r"scene/.*: cannot be written.*free some space or choose"):
            run(tiny_film, scene.path, on_first_step=break_it)
    after = contents(scene.path)
    assert after.pop("training.lock", None) in (None, before.pop("training.lock"))
    assert after == before and scene.read_info().step == 0
    run(tiny_film, scene.path, resume=True)
    assert scene.read_info().finished and scene.read_info().step == 60


def test_a_film_that_vanishes_during_the_training(tiny_film: Path, tmp_path: Path) -> None:
    """What is trained on was decoded before; only the score needs the held-out film, at the end."""
    film, scene = tmp_path / "film", Scene(tmp_path / "scene")
    shutil.copytree(tiny_film, film)
    with pytest.raises(CaptureError, match=r"film.*cam00\.mp4: the video does not exist"):
        run(film, scene.path, on_first_step=lambda: shutil.rmtree(film))
    info = scene.read_info()
    assert info.step == 60 and not info.finished
    load_method(scene)
    shutil.copytree(tiny_film, film)
    run(film, scene.path, resume=True)
    assert scene.read_info().finished and scene.read_info().step == 60


def test_a_damaged_frame_in_the_middle_of_a_film(tiny_film: Path, tmp_path: Path) -> None:
    film, scene = tmp_path / "film", tmp_path / "scene"
    shutil.copytree(tiny_film, film)
    run(film, scene, steps=2)
    before = contents(scene)
    video = film / "cam03.mp4"
    with av.open(str(video)) as container:
        packets = [(one.pos, one.size) for one in container.demux(video=0) if one.size]
    data = bytearray(video.read_bytes())
    start, size = packets[len(packets) // 2]
    data[start : start + size] = bytes(size)
    video.write_bytes(data)
    with pytest.raises(
        CaptureError, match=r"cam03\.mp4: .*(damaged|cannot be read).*copy (the video|it) again"
    ):
        run(film, scene, overwrite=True)
    assert contents(scene) == before


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


@pytest.fixture
def cancelled(tiny_film: Path, tmp_path: Path) -> Scene:
    """A training that was cancelled: its last checkpoint, and the one of the start before it."""
    scene, control = Scene(tmp_path / "scene"), Control()
    options = TrainOptions(str(tiny_film), str(scene.path), method="panorama", preset="small", steps=10**6)
    with pytest.raises(Cancelled):
        train(options, lambda event: control.cancel() if event.kind == "metrics" else None, control)
    assert scene.read_checkpoint(previous=True)[2]["step"] == 0 < scene.read_checkpoint()[2]["step"]
    return scene


def test_a_checkpoint_cut_short_gives_way_to_the_one_before(cancelled: Scene, tiny_film: Path) -> None:
    cut(cancelled.checkpoint_file)
    told = run(tiny_film, cancelled.path, steps=20, resume=True)
    warnings = [event.data["message"] for event in told if event.kind == "message"]
    assert any(
        "optimizer.safetensors: damaged or cut short" in warning
        and "goes on from the checkpoint before it, of step 0" in warning
        for warning in warnings
    )
    assert cancelled.read_info().finished and cancelled.read_checkpoint()[2]["step"] == 20
    assert not cancelled.previous_checkpoint_file.exists()  # a finished scene holds no more than it needs


def test_a_lost_checkpoint_gives_way_to_the_one_before(cancelled: Scene, tiny_film: Path) -> None:
    """As after a kill between two renames on a disk without links."""
    cancelled.checkpoint_file.unlink()
    run(tiny_film, cancelled.path, steps=20, resume=True)
    assert cancelled.read_checkpoint()[2]["step"] == 20


def test_two_checkpoints_cut_short_are_told(cancelled: Scene, tiny_film: Path) -> None:
    cut(cancelled.checkpoint_file)
    cut(cancelled.previous_checkpoint_file)
    before = contents(cancelled.path)
    with pytest.raises(SceneError, match=r"previous\.safetensors: damaged or cut short.*start .* anew"):
        run(tiny_film, cancelled.path, steps=20, resume=True)
    assert contents(cancelled.path) == before


def test_a_model_cut_short_is_written_again_by_resuming(cancelled: Scene, tiny_film: Path) -> None:
    cut(cancelled.model_file)
    with pytest.raises(NeuralRenderError, match=r"model\.safetensors: damaged.*resume its training"):
        load_method(cancelled)
    run(tiny_film, cancelled.path, steps=cancelled.read_checkpoint()[2]["step"], resume=True)
    load_method(cancelled)


def test_a_training_that_starts_anew_forgets_the_one_before(cancelled: Scene, tiny_film: Path) -> None:
    """Its checkpoint must not be gone on from by the new one."""
    with pytest.raises(CaptureError, match="no camera"):
        run(tiny_film, cancelled.path, overwrite=True, test_cameras=("none",))
    control = Control()
    options = TrainOptions(
        str(tiny_film),
        str(cancelled.path),
        method="panorama",
        preset="small",
        steps=9,
        seed=5,
        overwrite=True,
    )

    def stop_before_the_first_step(event: Event) -> None:
        if event.kind == "metrics":
            assert not cancelled.previous_checkpoint_file.exists()
            control.cancel()

    with pytest.raises(Cancelled):
        train(options, stop_before_the_first_step, control)
