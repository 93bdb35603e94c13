"""The example method, installed as a third party's would be, and a scene trained with it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from neural_render_server.progress import Control
from neural_render_server.training.options import TrainOptions
from neural_render_server.training.trainer import train

EXAMPLE = Path(__file__).parents[3] / "examples" / "panorama_method"


@pytest.fixture(scope="session")
def panorama(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder the example is installed in, on the path of this process and of those it starts."""
    source = tmp_path_factory.mktemp("source") / "panorama_method"
    shutil.copytree(EXAMPLE, source)  # building leaves files in the source folder
    target = tmp_path_factory.mktemp("installed")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    options = ["--no-deps", "--no-index", "--no-build-isolation", "--target", str(target)]
    subprocess.run([*command, *options, str(source)], check=True)
    patch = pytest.MonkeyPatch()
    patch.syspath_prepend(str(target))
    patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(target), os.environ.get("PYTHONPATH")])))
    yield target
    patch.undo()


TrainPanorama = Callable[..., Path]


@pytest.fixture(scope="session")
def train_panorama(panorama: Path) -> TrainPanorama:
    """Trains the example on a capture into a folder; keyword arguments change the training options."""

    def train_into(capture: Path, scene: Path, **changes: object) -> Path:
        values = {"method": "panorama", "preset": "small", "steps": 60, **changes}
        train(TrainOptions(str(capture), str(scene), **values), lambda event: None, Control())
        return scene

    return train_into


@pytest.fixture(scope="session")
def scene(tiny_film: Path, train_panorama: TrainPanorama, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scene of the tiny film, cam00 held out. Do not change it."""
    return train_panorama(tiny_film, tmp_path_factory.mktemp("scenes") / "sixty steps")


@pytest.fixture(scope="session")
def rougher_scene(
    tiny_film: Path, train_panorama: TrainPanorama, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The same capture and split, trained for a few steps only. Do not change it."""
    return train_panorama(tiny_film, tmp_path_factory.mktemp("scenes") / "eight steps", steps=8)
