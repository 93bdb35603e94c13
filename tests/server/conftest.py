"""Fixtures shared by the server's tests."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest


def _load_tiny_capture() -> ModuleType:
    """tests/tiny_capture.py, which is a script for other environments and a module here."""
    path = Path(__file__).parents[1] / "tiny_capture.py"
    spec = importlib.util.spec_from_file_location("tiny_capture", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["tiny_capture"] = module
    spec.loader.exec_module(module)
    return module


tiny_capture = _load_tiny_capture()


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
