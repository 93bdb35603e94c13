"""Captures through a real server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np


def test_a_capture_is_described(server: Any, tiny_film: Path) -> None:
    film = server.post("/v1/captures/inspect", {"path": str(tiny_film)}).json()
    assert (film["path"], film["timesteps"], film["fps"], film["is_dynamic"]) == (
        str(tiny_film),
        6,
        12.0,
        True,
    )
    assert len(film["cameras"]) == 7 and len(film["times"]) == 6
    camera = film["cameras"][0]
    assert (camera["w"], camera["h"]) == (64, 48) and np.shape(camera["transform_matrix"]) == (4, 4)
    assert camera["source"]["kind"] == "video" and Path(camera["source"]["path"]).is_file()
    assert set(film["splits"]) == {"train", "test"} and set(film["bounds"]) == {"min", "max"}


def test_its_options_reach_it(server: Any, tiny_film: Path) -> None:
    body = {"path": str(tiny_film), "downscale": 2, "test_cameras": ["cam03"], "timesteps": [0, 4]}
    film = server.post("/v1/captures/inspect", body).json()
    assert film["timesteps"] == 4
    assert (film["cameras"][0]["w"], film["cameras"][0]["fl_x"]) == (32, 28.0)
    assert [camera["name"] for camera in film["cameras"] if camera["is_test"]] == ["cam03"]


def test_points_are_at_most_as_many_as_asked_for(server: Any, tiny_film: Path) -> None:
    none = server.post("/v1/captures/points", {"path": str(tiny_film), "limit": 10}).json()
    assert none == {"count": 0, "positions": "", "colors": ""}


def test_no_capture_is_told_with_its_path(server: Any, tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none"):
        answer = server.post("/v1/captures/inspect", {"path": str(path)})
        assert answer.status_code == 400 and answer.json()["error"]["code"] == "capture"
        assert str(path) in answer.json()["error"]["message"]
