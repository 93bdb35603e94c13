"""The cache of finished frames: what is taken from it, what is rendered anew, and how large it gets."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neural_render_server.camera_path import CameraPath, PathFrame
from neural_render_server.cameras import Camera
from neural_render_server.crop import Crop
from neural_render_server.grade import Grade
from neural_render_server.optics import BlurSampling, Lens, Moment
from neural_render_server.progress import Control, Event
from neural_render_server.rendering.frame_cache import FrameCache
from neural_render_server.rendering.frame_key import frame_key
from neural_render_server.rendering.frames import RenderOptions, render_path
from neural_render_server.rendering.passes import PassOptions
from neural_render_server.split_depth import SplitDepth
from neural_render_server.training.options import TrainOptions
from neural_render_server.training.trainer import train


def camera(**changes: Any) -> Camera:
    pose = np.eye(4)
    pose[:3, 3] = (0.0, 1.2, 0.0)
    return replace(Camera(16, 12, 14.0, 14.0, 8.0, 6.0, pose, "cam"), **changes)


def frame(**changes: Any) -> PathFrame:
    return replace(PathFrame(camera(), 0.25, "shot_0001"), **changes)


def test_every_part_of_a_frame_counts_and_names_do_not() -> None:
    def key(own: PathFrame, scene: str = "scene", settings: Any = None) -> str:
        return frame_key(scene, own, settings or PassOptions())

    turned = camera().camera_to_world.copy()
    turned[0, 3] = 1e-6
    depth = np.ones((12, 16), np.float32)
    others = [
        frame(time=0.26),
        frame(camera=camera(camera_to_world=turned)),
        frame(camera=camera(fl_x=14.1)),
        frame(camera=camera(window=(0, 0, 32, 24))),
        frame(crop=Crop.box((0, 0, 0), (1, 1, 1))),
        frame(crop=Crop.box((0, 0, 0), (1, 1, 1.1))),
        frame(grade=Grade(0.5)),
        frame(lens=Lens(0.1, 2.0)),
        frame(shutter=(Moment(camera(), 0.2), Moment(camera(), 0.3))),
        frame(split_depth=SplitDepth(data=depth.tobytes())),
        frame(split_depth=SplitDepth(data=(2 * depth).tobytes())),
    ]
    keys = [key(own) for own in (frame(), *others)]
    keys += [key(frame(), "other"), key(frame(), settings=PassOptions(("combined",)))]
    assert len(set(keys)) == len(keys)
    assert key(frame(name="other", camera=camera(name="B"))) == keys[0]
    doubled = SplitDepth(data=depth.tobytes(), scale=2.0)
    assert key(frame(split_depth=doubled)) == keys[11], "a depth counts by its content"


def test_the_frames_used_least_lately_go(tmp_path: Path) -> None:
    cache = FrameCache(tmp_path, 100)
    for age, name in enumerate(("aa", "bb", "cc")):
        cache.keep(name, bytes(30))
        os.utime(tmp_path / name / f"{name}.frame", (1000 + age, 1000 + age))
    assert cache.used() == (90, 3)
    assert cache.find("aa") == bytes(30)  # now bb is the oldest
    FrameCache(tmp_path, 100).keep("dd", bytes(40))  # another run: it counts what is there
    assert [name for name in ("aa", "bb", "cc", "dd") if cache.find(name) is not None] == ["aa", "cc", "dd"]
    cache.keep("ee", bytes(101))
    assert cache.find("ee") is None and cache.used() == (100, 3)
    assert cache.clear() == (100, 3)
    assert cache.used() == (0, 0) and cache.find("aa") is None


@pytest.fixture(scope="module")
def trained(tiny_film: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scene trained on the tiny film for a moment. Do not change it: copy it."""
    scene = tmp_path_factory.mktemp("trained") / "scene"
    options = TrainOptions(str(tiny_film), str(scene), preset="small", steps=2, options={"count": 300})
    train(options, lambda event: None, Control())
    return scene


@pytest.fixture
def scene_folder(trained: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "scene"))


@pytest.fixture
def shot(scene_folder: Path, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Render three cameras of a trained scene with a cache; further arguments change frames and options."""
    cache = FrameCache(tmp_path / "cache", 1e9)

    def render(
        change: Callable[[int, PathFrame], PathFrame] = lambda index, own: own,
        own_cache: FrameCache = cache,
        events: list[Event] | None = None,
        **options: Any,
    ) -> dict[str, Any]:
        frames = []
        for index in range(3):
            pose = camera().camera_to_world.copy()
            pose[0, 3] = 0.1 * index
            own = frame(camera=camera(camera_to_world=pose), name=f"{index:04d}")
            frames.append(change(index, own))
        told = events if events is not None else []
        out = tmp_path / "out"
        wanted = RenderOptions(**{"sampling": BlurSampling(2), **options})
        return render_path(scene_folder, CameraPath(frames), out, wanted, told.append, Control(), own_cache)

    return render


def counts(result: dict[str, Any]) -> tuple[int, int, int]:
    return result["rendered"], result["cached"], result["kept"]


def test_only_what_changed_is_rendered_again(shot: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    first = shot()
    assert counts(first) == (3, 0, 0)
    files = [Path(name) for name in first["frames"]]
    before = [file.read_bytes() for file in files]
    for file in files:
        file.unlink()
    assert counts(shot()) == (0, 3, 0)
    assert [file.read_bytes() for file in files] == before

    def later(index: int, own: PathFrame) -> PathFrame:
        return replace(own, time=own.time + 0.1) if index == 1 else own

    events: list[Event] = []
    assert counts(shot(later, events=events)) == (1, 2, 0)
    assert [event.data["cached"] for event in events if event.kind == "frame"] == [True, False, True]
    assert counts(shot(passes=PassOptions(("combined",)))) == (3, 0, 0)
    assert counts(shot(sampling=BlurSampling(5))) == (0, 3, 0), "nothing is blurred, so samples do not count"

    def blurred(_index: int, own: PathFrame) -> PathFrame:
        return replace(own, lens=Lens(0.01, 2.0))

    assert counts(shot(blurred)) == (3, 0, 0)
    assert counts(shot(blurred, sampling=BlurSampling(3))) == (3, 0, 0)


def test_the_model_counts_and_what_is_told_of_its_training_does_not(
    shot: Callable[..., dict[str, Any]], scene_folder: Path
) -> None:
    assert counts(shot()) == (3, 0, 0)
    info = scene_folder / "scene.json"
    told = json.loads(info.read_text())
    info.write_text(json.dumps({**told, "seconds": 1e6, "metrics": {"psnr": 9.0}}))  # of its training
    assert counts(shot()) == (0, 3, 0)
    model = scene_folder / "model.safetensors"
    data = bytearray(model.read_bytes())
    data[-1] ^= 1
    model.write_bytes(data)
    assert counts(shot()) == (3, 0, 0)


def test_a_cache_that_cannot_be_written_is_a_warning(
    shot: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    events: list[Event] = []
    result = shot(own_cache=FrameCache(tmp_path / "file" / "cache", 1e9), events=events)
    assert counts(result) == (3, 0, 0)
    warnings = [event.data for event in events if event.kind == "message"]
    assert len(warnings) == 1 and warnings[0]["level"] == "warning"
    assert "not kept in the cache" in warnings[0]["message"]
