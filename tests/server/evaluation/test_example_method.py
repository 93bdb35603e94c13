"""The example of docs/methods.md, installed and used as a third party's method is."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from neural_render_server.captures.detect import open_capture
from neural_render_server.cli import main
from neural_render_server.crop import Crop
from neural_render_server.methods.registry import config_schema, get_method
from neural_render_server.progress import Control
from neural_render_server.rendering.images import read_exr
from neural_render_server.scene import Scene, load_method
from neural_render_server.training.options import TrainOptions
from neural_render_server.training.trainer import train

ROOT = Path(__file__).parents[3]


def command_line(*arguments: object) -> dict[str, Any]:
    """``neural-render`` in a process of its own, which finds the example through PYTHONPATH alone."""
    command = [sys.executable, "-m", "neural_render_server.cli", *map(str, arguments), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr + done.stdout
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def test_it_trains_and_renders_from_the_command_line(
    panorama: Path, tiny_film: Path, tiny_camera_file: Path, tmp_path: Path
) -> None:
    quick = ("--method", "panorama", "--preset", "small", "--set", "rows=40")
    first, last = tmp_path / "one step", tmp_path / "trained"
    trained = command_line("train", tiny_film, "--out", last, "--steps", 150, *quick)["metrics"]
    assert trained["split"] == "test"
    assert Scene(last).read_info().config["rows"] == 40
    assert main(["train", str(tiny_film), "--out", str(first), "--steps", "1", *quick]) == 0
    begun = Scene(first).read_info().metrics
    assert begun is not None and trained["psnr"] > begun["psnr"] + 2.0  # it learnt what it never saw

    frames = tmp_path / "frames"
    assert main(["render", str(last), "--cameras", str(tiny_camera_file), "--out", str(frames)]) == 0
    assert len(list(frames.iterdir())) == 3
    passes = read_exr(frames / "0001.exr")
    assert passes["combined"][..., 3].min() == 1.0 and passes["depth"].min() == 1000.0


def test_it_resumes_exactly(panorama: Path, tiny_film: Path, tmp_path: Path) -> None:
    def run(scene: Path, **changes: Any) -> dict[str, np.ndarray]:
        values = {"method": "panorama", "preset": "small", **changes}
        train(TrainOptions(str(tiny_film), str(scene), **values), lambda event: None, Control())
        return {name: tensor.numpy() for name, tensor in Scene(scene).read_model().items()}

    whole = run(tmp_path / "whole", steps=12)
    run(tmp_path / "parted", steps=5)
    parted = run(tmp_path / "parted", steps=12, resume=True)
    assert all(np.array_equal(whole[name], parted[name]) for name in whole)


def test_the_page_shows_the_example_as_it_is() -> None:
    page = (ROOT / "docs" / "methods.md").read_text(encoding="utf-8")
    shown = re.findall(r"```(?:python|toml)\n(.*?)```", page, re.DOTALL)
    example = ROOT / "examples" / "panorama_method"
    source = (example / "panorama_method.py").read_text(encoding="utf-8")
    assert source in shown and (example / "pyproject.toml").read_text(encoding="utf-8") in shown
    assert len(source.splitlines()) <= 60


def test_its_options_are_described_like_ours(panorama: Path) -> None:
    schema = config_schema(get_method("panorama"))
    assert schema["rows"] == {"type": "int", "default": 128}


def test_a_crop_box_holds_nothing_of_it(train_panorama: Any, tiny_film: Path, tmp_path: Path) -> None:
    method = load_method(Scene(train_panorama(tiny_film, tmp_path / "scene", steps=3)))
    camera = open_capture(tiny_film).cameras[0]
    assert method.render(camera, 0.1).opacity.min() == 1.0
    assert method.render(camera, 0.1, Crop.box((-1, -1, -1), (1, 1, 1))).opacity.max() == 0.0
