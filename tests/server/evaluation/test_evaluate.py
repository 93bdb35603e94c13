"""Scoring scenes: the same numbers as training's, chosen cameras, and what cannot be compared."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from neural_render_server.captures.detect import open_capture
from neural_render_server.cli import main
from neural_render_server.errors import OptionError
from neural_render_server.evaluation.compare import comparison
from neural_render_server.evaluation.evaluate import (
    EvaluationOptions,
    check_comparable,
    chosen_views,
    evaluate,
    evaluated,
)
from neural_render_server.evaluation.measures import BY_KEY
from neural_render_server.scene import Scene
from neural_render_server.training.options import TrainOptions

QUICK = EvaluationOptions(skip=("flip", "jod"))


def test_every_measure_is_there_or_says_why_not(scene: Path) -> None:
    scores = evaluate(scene)
    trained = Scene(scene).read_info().metrics
    assert trained is not None and scores["split"] == "test" and len(scores["views"]) == 6
    for key in ("psnr", "ssim", "psnr_moving"):
        assert scores[key] == pytest.approx(trained[key], abs=1e-6)
    assert set(scores["unavailable"]) == {"lpips"} and "--lpips-weights" in scores["unavailable"]["lpips"]
    assert (BY_KEY.keys() - scores.keys()) == {"lpips"}
    for view in scores["views"]:
        assert view["mse"] == pytest.approx(10 ** (-view["psnr"] / 10), rel=1e-6)
        assert view["dssim1"] == pytest.approx((1 - view["ssim"]) / 2)
        assert 0.0 < view["dssim2"] < view["dssim1"] < 0.5
    assert ["flicker" in view for view in scores["views"]] == [False, True, True, True, True, True]
    (camera,) = scores["cameras"]
    assert camera["camera"] == "cam00" and camera["count"] == 6 and 0.0 < camera["jod"] < 10.0
    assert scores["jod"] == camera["jod"] and "standard_4k" in scores["conventions"]["jod"]
    json.dumps(scores, allow_nan=False)


def test_cameras_are_chosen_by_name_or_pattern(scene: Path, tiny_film: Path) -> None:
    capture = open_capture(tiny_film)

    def chosen(*cameras: str, split: Any = "train") -> list[tuple[str, int]]:
        indices, _ = chosen_views(capture, EvaluationOptions(split=split, cameras=cameras))
        return [(capture.cameras[capture.views[i].camera].name, capture.views[i].timestep) for i in indices]

    assert chosen("cam03") == [("cam03", step) for step in range(6)]
    assert chosen("cam0[12]", "cam05") == [
        (name, step) for name in ("cam01", "cam02", "cam05") for step in range(6)
    ]
    assert len(chosen()) == 8  # a sample
    with pytest.raises(OptionError, match=r"no camera 'cam01' among the views of the test split.*cam00"):
        chosen("cam01", split="test")


def test_what_is_skipped_is_not_computed_and_says_so(scene: Path) -> None:
    scores = evaluate(scene, QUICK)
    assert "flip" not in scores and "jod" not in scores
    assert scores["unavailable"]["flip"] == "left out with --skip"
    with pytest.raises(OptionError, match="'psnr' cannot be left out"):
        EvaluationOptions(skip=("psnr",))


def test_a_static_capture_has_no_film(tiny_photos: Path, train_panorama: Any, tmp_path: Path) -> None:
    still = train_panorama(tiny_photos, tmp_path / "still", every_nth_test=3)
    scores = evaluate(still)
    assert len(scores["views"]) == 3 and scores["psnr"] > 10.0
    assert {"jod", "flicker", "psnr_moving", "lpips"} == set(scores["unavailable"])


def test_the_better_scene_is_best(scene: Path, rougher_scene: Path) -> None:
    with evaluated([rougher_scene, scene], QUICK) as evaluation:
        data = comparison(evaluation)
    assert [entry["scene"] for entry in data["scenes"]] == [str(rougher_scene), str(scene)]
    assert data["scenes"][0]["psnr"] < data["scenes"][1]["psnr"]
    assert data["best"]["psnr"] == data["best"]["mse"] == str(scene)
    assert data["scenes"][1]["psnr"] == pytest.approx(evaluate(scene, QUICK)["psnr"], abs=1e-9)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"capture": "elsewhere"}, "one was trained on"),
        ({"test_cameras": ["cam01"]}, "hold out different views"),
        ({"timesteps": [0, 3]}, "different timesteps"),
        ({"downscale": 2.0}, "downscales are 2 and 1"),
    ],
)
def test_scenes_that_cannot_be_compared_are_refused(
    change: dict[str, Any], message: str, scene: Path, tmp_path: Path
) -> None:
    training = Scene(scene).read_info().training
    if change.get("capture"):
        change = {"capture": str(tmp_path / "elsewhere")}
    trainings = [TrainOptions.from_json(training), TrainOptions.from_json({**training, **change})]
    check_comparable([scene, scene], [trainings[0], trainings[0]])
    with pytest.raises(OptionError, match=message) as caught:
        check_comparable([scene, tmp_path / "other"], trainings)
    assert "compare scenes of one capture and split" in str(caught.value) and "\n" not in str(caught.value)


def test_compare_on_the_command_line(
    scene: Path, rougher_scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other"
    shutil.copytree(scene, other)
    description = json.loads((other / "scene.json").read_text())
    description["training"]["test_cameras"] = ["cam03"]
    (other / "scene.json").write_text(json.dumps(description))
    assert main(["compare", str(scene), str(other), "--json"]) == 1
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["code"] == "option" and "different views" in error["message"]
    assert main(["compare", str(scene)]) == 1
    assert "at least two" in capsys.readouterr().err

    assert main(["compare", str(scene), str(rougher_scene), "--skip", "flip,jod"]) == 0
    head, first, second = capsys.readouterr().out.splitlines()
    assert "moving PSNR" in head and "FLIP" not in head
    assert first.startswith(str(scene)) and "dB*" in first and second.startswith(str(rougher_scene))
