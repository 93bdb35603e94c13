"""The scene folder: whole or not at all."""

from __future__ import annotations

import json
import resource
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from neural_render_server.errors import SceneError
from neural_render_server.scene import Scene, SceneInfo


def info() -> SceneInfo:
    return SceneInfo(
        method="gaussians",
        preset="default",
        config={},
        training={},
        capture_format="n3dv",
        is_dynamic=True,
        times=[0.0, 0.5],
        fps=2.0,
        width=4,
        height=3,
        has_alpha=False,
        bounds={"min": [0.0, 0.0, 0.0], "max": [1.0, 1.0, 1.0]},
        background=None,
    )


def test_description_round_trip(tmp_path: Path) -> None:
    scene = Scene(tmp_path / "scene")
    scene.write_info(info())
    assert scene.read_info() == info()


def test_checkpoint_round_trip(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    model, optimizer = {"means": torch.rand(5, 3)}, {"moment": torch.arange(4, dtype=torch.int64)}
    scene.write_checkpoint(model, optimizer, {"step": 7})
    read_model, read_optimizer, state = scene.read_checkpoint()
    assert torch.equal(read_model["means"], model["means"])
    assert torch.equal(read_optimizer["moment"], optimizer["moment"])
    assert state == {"step": 7}


def test_a_truncated_checkpoint_is_named_with_the_remedy(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.write_checkpoint({"means": torch.rand(50, 3)}, {}, {"step": 7})
    data = scene.checkpoint_file.read_bytes()
    scene.checkpoint_file.write_bytes(data[: len(data) // 2])
    with pytest.raises(SceneError, match=r"optimizer\.safetensors.*start the training anew"):
        scene.read_checkpoint()


def test_what_was_read_does_not_depend_on_the_file_any_more(tmp_path: Path) -> None:
    """A file that is copied over in place, as some synchronising programs do, while a scene is open."""
    scene = Scene(tmp_path)
    means = torch.arange(3 * 4096, dtype=torch.float32).reshape(-1, 3)
    scene.write_checkpoint({"means": means}, {}, {"step": 7})
    read, _, _ = scene.read_checkpoint()
    size = scene.checkpoint_file.stat().st_size
    with scene.checkpoint_file.open("r+b") as file:
        file.write(bytes(size))
    assert torch.equal(read["means"], means)


def test_a_scene_that_is_gone(tmp_path: Path) -> None:
    with pytest.raises(SceneError, match="moved or deleted"):
        Scene(tmp_path / "gone").read_info()
    with pytest.raises(SceneError, match=r"no scene\.json"):
        Scene(tmp_path).read_info()


@pytest.mark.parametrize("text", ["{", "[]", '{"schema_version": 1}', '{"schema_version": "x"}'])
def test_a_damaged_description_is_named(text: str, tmp_path: Path) -> None:
    (tmp_path / "scene.json").write_text(text)
    with pytest.raises(SceneError, match=r"scene\.json"):
        Scene(tmp_path).read_info()


def test_a_newer_schema_asks_for_an_update(tmp_path: Path) -> None:
    (tmp_path / "scene.json").write_text(json.dumps({"schema_version": 99}))
    with pytest.raises(SceneError, match="update the server"):
        Scene(tmp_path).read_info()


def test_a_failed_write_keeps_the_old_file(tmp_path: Path) -> None:
    """The operating system refuses to write beyond a limit, as it does on a full disk."""
    scene = Scene(tmp_path)
    scene.write_model({"means": torch.zeros(3)}, 1)
    scene.write_info(info())
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (512, before[1]))
    try:
        with pytest.raises(SceneError, match=r"model\.safetensors: cannot be written.*free some space"):
            scene.write_model({"means": torch.rand(5000)}, 2)
        with pytest.raises(SceneError, match=r"scene\.json: cannot be written"):
            scene.write_info(replace(info(), history=[{"step": 1.0}] * 100))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert scene.read_info() == info()
    assert scene.read_model()["means"].tolist() == [0.0, 0.0, 0.0]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.safetensors", "scene.json"]
