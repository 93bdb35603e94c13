"""What a training cannot use or survive: one clear sentence, a non-zero exit, and nothing lost."""

from __future__ import annotations

import json
import resource
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neural_render_server.captures.detect import open_capture
from neural_render_server.cli import main
from neural_render_server.errors import CaptureError, OptionError, SceneError, TrainingError
from neural_render_server.methods.registry import get_method
from neural_render_server.scene import Scene, load_method
from neural_render_server.training.trainer import check_usable

TrainPanorama = Callable[..., Path]


def files(scene: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in scene.iterdir() if path.is_file()}


def edited(source: Path, target: Path, **values: Any) -> Path:
    """A copy of a scene with other values in its scene.json."""
    shutil.copytree(source, target)
    description = json.loads((target / "scene.json").read_text())
    (target / "scene.json").write_text(json.dumps({**description, **values}))
    return target


@pytest.fixture(scope="module")
def trained(tiny_film: Path, train_panorama: TrainPanorama, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Do not change it: copy it."""
    return train_panorama(tiny_film, tmp_path_factory.mktemp("trained") / "scene", steps=4)


def test_a_single_view(tiny_photos: Path, train_panorama: TrainPanorama, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    shutil.copytree(tiny_photos, photos)
    capture = json.loads((photos / "transforms.json").read_text())
    capture["frames"] = capture["frames"][:1]
    (photos / "transforms.json").write_text(json.dumps(capture))
    with pytest.raises(CaptureError, match="panorama needs at least 2 views to train on, but there is 1"):
        train_panorama(photos, tmp_path / "scene")


def test_a_still_capture_for_a_method_that_needs_times(
    panorama: Path, tiny_photos: Path, tiny_film: Path
) -> None:
    class Moving(get_method("panorama")):  # type: ignore[misc]
        name = "moving"
        needs_times = True

    check_usable(Moving, open_capture(tiny_film))
    with pytest.raises(CaptureError, match=r"photos.*moving needs a moving capture.*give its frames times"):
        check_usable(Moving, open_capture(tiny_photos))


def test_cameras_that_see_nothing_together(
    tiny_photos: Path, panorama: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import tiny_capture

    apart = tmp_path / "apart"
    shutil.copytree(tiny_photos, apart)
    capture = json.loads((apart / "transforms.json").read_text())
    for index, frame in enumerate(capture["frames"]):  # on a circle, looking out
        angle = 2 * np.pi * index / len(capture["frames"])
        out = np.array([np.cos(angle), np.sin(angle), 0.0])
        frame["transform_matrix"] = tiny_capture.camera_to_world(5 * out, 9 * out).tolist()
    capture["fl_x"] = capture["fl_y"] = 400.0
    (apart / "transforms.json").write_text(json.dumps(capture))
    command = ["train", str(apart), "--out", str(tmp_path / "scene"), "--method", "panorama", "--json"]
    assert main([*command, "--steps", "1"]) == 1
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["code"] == "capture" and "no two of the cameras" in error["message"]
    assert not (tmp_path / "scene" / "scene.json").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"preset": "huge"}, "panorama: no preset 'huge'; choose one of default, small"),
        ({"options": {"speed": 1}}, "panorama: no option 'speed'; there are learning_rate, rows"),
        ({"options": {"rows": "many"}}, "option 'rows' is 'many', but must be like 128"),
        ({"method": "magic"}, "no method 'magic'; choose one of gaussians, .*panorama"),
    ],
)
def test_choices_that_do_not_exist(
    changes: dict[str, Any], message: str, tiny_film: Path, train_panorama: TrainPanorama, tmp_path: Path
) -> None:
    with pytest.raises(OptionError, match=message):
        train_panorama(tiny_film, tmp_path / "scene", **changes)
    assert not (tmp_path / "scene").exists()


def test_a_loss_that_is_no_number_keeps_the_last_good_checkpoint(
    tiny_film: Path, train_panorama: TrainPanorama, tmp_path: Path
) -> None:
    scene = tmp_path / "scene"
    with pytest.raises(
        TrainingError, match=r"loss was not a number at step \d+; the checkpoint of step 0 is kept"
    ):
        train_panorama(tiny_film, scene, options={"learning_rate": 1e30})
    method = load_method(Scene(scene))
    picture = method.render(open_capture(tiny_film).cameras[0], 0.0).color
    assert np.allclose(picture, 0.5, atol=1e-6)  # as it was initialised
    info = Scene(scene).read_info()
    assert info.step == 0 and not info.finished


def test_a_field_that_is_no_number_is_never_written(
    tiny_film: Path, train_panorama: TrainPanorama, tmp_path: Path
) -> None:
    scene = tmp_path / "scene"
    with pytest.raises(TrainingError, match=r"is not a number at step 1; the checkpoint of step 0"):
        train_panorama(tiny_film, scene, steps=1, options={"learning_rate": 1e39})
    assert Scene(scene).read_model()["colors"].isfinite().all()


def test_a_full_disk_keeps_the_older_scene(
    trained: Path, tiny_film: Path, train_panorama: TrainPanorama, tmp_path: Path
) -> None:
    """The operating system refuses to write beyond a limit, as it does on a full disk."""
    scene = tmp_path / "scene"
    shutil.copytree(trained, scene)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        with pytest.raises(SceneError, match=r"model\.safetensors: cannot be written.*free some space"):
            train_panorama(tiny_film, scene, overwrite=True, steps=9)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert files(scene) == files(trained)
    load_method(Scene(scene))


def test_a_checkpoint_of_another_method(
    trained: Path, tiny_film: Path, train_panorama: TrainPanorama, tmp_path: Path
) -> None:
    with pytest.raises(
        SceneError, match=r"optimizer\.safetensors: trained with another method \('panorama'\)"
    ):
        train_panorama(tiny_film, trained, resume=True, method="gaussians")
    other = edited(trained, tmp_path / "other", method="gaussians", config={})
    with pytest.raises(SceneError, match=r"other.*model\.safetensors"):
        load_method(Scene(other))
    (tmp_path / "gaussians").mkdir()
    train_panorama(tiny_film, tmp_path / "gaussians", method="gaussians", steps=1, options={"count": 500})
    swapped = edited(tmp_path / "gaussians", tmp_path / "swapped", method="panorama", config={})
    with pytest.raises(SceneError, match=r"swapped.*does not hold a field of the method panorama"):
        load_method(Scene(swapped))


def test_a_scene_whose_method_is_not_installed(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scene = edited(trained, tmp_path / "scene", method="uninstalled")
    assert main(["eval", str(scene)]) == 1
    assert "no method 'uninstalled'; choose one of" in capsys.readouterr().err


@pytest.mark.parametrize("verb", ["eval", "compare", "resume"])
def test_a_newer_scene_is_refused_and_left_alone(
    verb: str, trained: Path, tiny_film: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    newer = edited(trained, tmp_path / "newer", schema_version=99)
    before = files(newer)
    resume = ["train", str(tiny_film), "--out", str(newer), "--method", "panorama", "--preset", "small"]
    commands = {
        "eval": ["eval", str(newer)],
        "compare": ["compare", str(trained), str(newer)],
        "resume": [*resume, "--steps", "9", "--resume"],
    }
    assert main(commands[verb]) == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert "newer version" in said and "update the server" in said
    assert files(newer) == before
