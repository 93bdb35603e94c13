"""A film that even the slowest methods learn within seconds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tiny_capture

LARGE_RADIUS = 0.8


@pytest.fixture(scope="session")
def large_ball(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny film with a larger ball, and depths stated as tightly as they are. Do not change it."""
    folder = tmp_path_factory.mktemp("large_ball") / "film"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiny_capture, "BALL_RADIUS", LARGE_RADIUS)
        tiny_capture.write_n3dv(folder)
        rows = np.load(folder / "poses_bounds.npy")
        rows[:, 15:] = 2.2, 5.5
        np.save(folder / "poses_bounds.npy", rows)
    return folder
