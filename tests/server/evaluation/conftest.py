"""Scenes trained with the example method."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

TrainPanorama = Callable[..., Path]


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
