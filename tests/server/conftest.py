"""Fixtures shared by the server's tests."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import tiny_capture

from neural_render_server.progress import Control
from neural_render_server.training.options import TrainOptions
from neural_render_server.training.trainer import train


@pytest.fixture(scope="session")
def tiny_film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dynamic N3DV capture: 7 cameras, 6 timesteps, 64x48. Do not change it: copy it."""
    folder = tmp_path_factory.mktemp("tiny") / "film"
    tiny_capture.write_n3dv(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A static transforms.json capture: 7 images, 64x48. Do not change it: copy it."""
    folder = tmp_path_factory.mktemp("tiny") / "photos"
    tiny_capture.write_transforms(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_camera_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three cameras between those of the tiny film's rig."""
    file = tmp_path_factory.mktemp("tiny") / "cameras.json"
    tiny_capture.write_camera_file(file)
    return Path(file)


EXAMPLE = Path(__file__).parents[2] / "examples" / "panorama_method"


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
