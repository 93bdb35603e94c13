"""Training end to end on the tiny film: it learns, resumes exactly, and loses nothing."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from neural_render_server.errors import Cancelled, CaptureError, NeuralRenderError, OptionError, SceneError
from neural_render_server.evaluation.evaluate import evaluate
from neural_render_server.progress import Control, Event
from neural_render_server.scene import Scene
from neural_render_server.training.options import TrainOptions
from neural_render_server.training.trainer import train

STEPS = 60


def options(capture: Path, scene: Path, **changes: Any) -> TrainOptions:
    values: dict[str, Any] = {"preset": "small", "steps": STEPS, "options": {"count": 1500}}
    return TrainOptions(str(capture), str(scene), **{**values, **changes})


def weights(scene: Path) -> dict[str, np.ndarray]:
    return {name: tensor.numpy() for name, tensor in Scene(scene).read_model().items()}


def same_weights(first: Path, second: Path) -> bool:
    a, b = weights(first), weights(second)
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


class CancelAt:
    """Cancels a training at the first preview after a step, as a user would."""

    def __init__(self, control: Control, step: int) -> None:
        self.control, self.step = control, step

    def __call__(self, event: Event) -> None:
        if event.kind == "metrics" and event.data.get("step", 0) >= self.step:
            self.control.cancel()


@pytest.fixture(scope="module")
def trained(tiny_film: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    scene = tmp_path_factory.mktemp("trained") / "scene"
    train(options(tiny_film, scene, steps=300), lambda event: None, Control())
    return scene


def test_training_learns_the_held_out_view(trained: Path) -> None:
    info = Scene(trained).read_info()
    assert info.finished and info.step == 300
    assert info.metrics is not None
    assert info.metrics["split"] == "test" and info.metrics["count"] == 6
    assert info.metrics["psnr"] > 22.0
    assert info.metrics["psnr_moving"] > 15.0


def test_the_scene_folder_is_complete(trained: Path) -> None:
    names = {str(path.relative_to(trained)) for path in trained.rglob("*") if path.is_file()}
    expected = {
        "scene.json",
        "model.safetensors",
        "optimizer.safetensors",
        "cameras.json",
        "previews/preview.png",
    }
    assert names == expected


def test_evaluate_agrees_with_the_training_and_survives_a_move(trained: Path, tmp_path: Path) -> None:
    moved = tmp_path / "moved"
    shutil.copytree(trained, moved)
    scores = evaluate(moved)
    metrics = Scene(trained).read_info().metrics
    assert metrics is not None
    assert scores["psnr"] == pytest.approx(metrics["psnr"], abs=1e-4)
    assert len(scores["views"]) == 6


def test_same_seed_same_weights_and_resume_continues_exactly(tiny_film: Path, tmp_path: Path) -> None:
    whole, again, parted = tmp_path / "whole", tmp_path / "again", tmp_path / "parted"
    train(options(tiny_film, whole), lambda event: None, Control())
    train(options(tiny_film, again), lambda event: None, Control())
    assert same_weights(whole, again)
    control = Control()
    with pytest.raises(Cancelled):
        train(options(tiny_film, parted), CancelAt(control, 20), control)
    stopped = Scene(parted).read_info()
    assert 20 <= stopped.step < STEPS and not stopped.finished
    result = train(options(tiny_film, parted, resume=True), lambda event: None, Control())
    assert result["step"] == STEPS
    assert same_weights(whole, parted)


def test_another_seed_gives_other_weights(tiny_film: Path, tmp_path: Path) -> None:
    for seed in (0, 1):
        train(options(tiny_film, tmp_path / str(seed), steps=5, seed=seed), lambda event: None, Control())
    assert not same_weights(tmp_path / "0", tmp_path / "1")


def test_held_out_views_never_reach_training(tiny_film: Path, tmp_path: Path) -> None:
    """Poison the held-out camera's film: the weights must not change."""
    poisoned = tmp_path / "poisoned"
    shutil.copytree(tiny_film, poisoned)
    with av.open(str(tiny_film / "cam00.mp4")) as video:
        frames = [255 - frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]
    import tiny_capture

    tiny_capture.write_video(poisoned / "cam00.mp4", frames)
    train(options(tiny_film, tmp_path / "a", steps=20), lambda event: None, Control())
    train(options(poisoned, tmp_path / "b", steps=20), lambda event: None, Control())
    assert same_weights(tmp_path / "a", tmp_path / "b")


def test_a_static_capture_trains_without_held_out_views(tiny_photos: Path, tmp_path: Path) -> None:
    result = train(options(tiny_photos, tmp_path / "scene", steps=200), lambda event: None, Control())
    assert result["metrics"]["split"] == "train"
    assert result["metrics"]["psnr"] > 20.0


def test_events_tell_progress_time_left_and_previews(tiny_film: Path, tmp_path: Path) -> None:
    events: list[Event] = []
    train(options(tiny_film, tmp_path / "scene"), events.append, Control())
    fractions = [event.data["fraction"] for event in events if event.kind == "progress"]
    assert fractions == sorted(fractions) and fractions[-1] == 1.0
    previews = [event.data["path"] for event in events if event.kind == "preview"]
    assert previews and all(Path(path).is_file() for path in previews)
    assert any("psnr" in event.data for event in events if event.kind == "metrics")


def test_a_trained_scene_is_not_overwritten_by_accident(tiny_film: Path, trained: Path) -> None:
    before = weights(trained)
    with pytest.raises(SceneError, match="overwrite"):
        train(options(tiny_film, trained), lambda event: None, Control())
    assert all(np.array_equal(before[name], value) for name, value in weights(trained).items())


def test_a_folder_with_other_files_is_not_used(tiny_film: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("ten years of work")
    with pytest.raises(SceneError, match="holds other files"):
        train(options(tiny_film, tmp_path), lambda event: None, Control())
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_resume_with_other_options_is_refused(tiny_film: Path, trained: Path) -> None:
    with pytest.raises(SceneError, match="another config"):
        changed = options(tiny_film, trained, resume=True, options={"count": 999})
        train(changed, lambda event: None, Control())


def test_resume_without_a_checkpoint(tiny_film: Path, tmp_path: Path) -> None:
    with pytest.raises(SceneError, match="no checkpoint"):
        train(options(tiny_film, tmp_path / "new", resume=True), lambda event: None, Control())


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"method": "magic"}, OptionError, "no method 'magic'"),
        ({"preset": "huge"}, OptionError, "no preset 'huge'"),
        ({"options": {"speed": 1}}, OptionError, "no option 'speed'"),
        ({"options": {"count": "many"}}, OptionError, "count"),
        ({"device": "cuda:99"}, OptionError, "cuda"),
        ({"test_cameras": ("cam99",)}, CaptureError, "cam99"),
        ({"timesteps": (10, 20)}, CaptureError, "timesteps"),
    ],
)
def test_bad_options_are_one_clear_sentence(
    changes: dict[str, Any], error: type[NeuralRenderError], message: str, tiny_film: Path, tmp_path: Path
) -> None:
    with pytest.raises(error, match=message):
        train(options(tiny_film, tmp_path / "scene", **changes), lambda event: None, Control())


def test_options_round_trip_and_refuse_nonsense() -> None:
    chosen = TrainOptions("film", "scene", steps=5, timesteps=(0, 4), test_cameras=("cam00",))
    assert TrainOptions.from_json(json.loads(json.dumps(chosen.to_json()))) == chosen
    for bad in (
        {"steps": 0},
        {"minutes": 1, "steps": 1},
        {"downscale": 0.5},
        {"steps": "many"},
        {"speed": 1},
    ):
        with pytest.raises(OptionError):
            TrainOptions.from_json({"capture": "film", "scene": "scene", **bad})
