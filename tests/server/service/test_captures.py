"""Captures through a real server."""

from __future__ import annotations

import shutil
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


def test_a_readout_is_kept_and_taken_back(server: Any, tiny_film: Path, tmp_path: Path) -> None:
    film = tmp_path / "film"
    shutil.copytree(tiny_film, film)
    body = {"path": str(film), "seconds": 0.0165}
    everyone = server.post("/v1/captures/readout", body).json()["readouts"]
    assert len(everyone) == 7 and everyone["cam00"] == {"seconds": 0.0165, "direction": "down"}
    one = {**body, "seconds": 0.01, "direction": "left", "cameras": ["cam01"]}
    told = server.post("/v1/captures/readout", one).json()["readouts"]
    assert told["cam01"] == {"seconds": 0.01, "direction": "left"} and told["cam00"] == everyone["cam00"]
    assert server.post("/v1/captures/inspect", {"path": str(film)}).json()["readouts"] == told
    assert server.post("/v1/captures/readout", {**body, "seconds": 0}).json()["readouts"] == {}
    for wrong, said in (({"seconds": 16.5}, "0 to 0.5 seconds"), ({"cameras": ["cam9"]}, "cam9")):
        answer = server.post("/v1/captures/readout", {**body, **wrong})
        assert answer.status_code == 400 and said in answer.json()["error"]["message"]


def test_no_capture_is_told_with_its_path(server: Any, tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none"):
        answer = server.post("/v1/captures/inspect", {"path": str(path)})
        assert answer.status_code == 400 and answer.json()["error"]["code"] == "capture"
        assert str(path) in answer.json()["error"]["message"]
