"""One frame at once, through a real server: its bytes are the renderer's."""

from __future__ import annotations

import base64
import json
import os
import shutil
import threading
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from neural_render_server.camera_path import CameraPath, PathFrame
from neural_render_server.cameras import camera_from_json
from neural_render_server.rendering.frames import FrameRenderer
from neural_render_server.rendering.images import read_exr
from neural_render_server.rendering.passes import Passes, PassOptions
from neural_render_server.service.paths import AllowedPaths
from neural_render_server.service.schemas import RenderFrame
from neural_render_server.service.single_frames import SingleFrames, raw_planes
from neural_render_server.split_depth import SplitDepth


@pytest.fixture(scope="module")
def request_body(trained_scene: Path, tiny_camera_file: Path) -> dict[str, Any]:
    data = json.loads(tiny_camera_file.read_text())
    shared = {key: value for key, value in data.items() if key not in ("frames", "fps")}
    entry = {**shared, **data["frames"][1]}
    return {"scene": str(trained_scene), "camera": entry, "time": entry["time"]}


@pytest.fixture(scope="module")
def expected(trained_scene: Path, tiny_camera_file: Path) -> Passes:
    frame = CameraPath.load(tiny_camera_file).frames[1]
    return FrameRenderer(trained_scene).render(frame.camera, frame.time, PassOptions())


def decode(answer: Any) -> dict[str, np.ndarray]:
    """As a client does, from the headers alone."""
    height = int(answer.headers["X-Neural-Render-Height"])
    width = int(answer.headers["X-Neural-Render-Width"])
    dtype = np.dtype(answer.headers["X-Neural-Render-Dtype"]).newbyteorder("<")
    values, start, planes = np.frombuffer(answer.content, dtype), 0, {}
    for plane in answer.headers["X-Neural-Render-Planes"].split(","):
        name, _, channels = plane.partition(":")
        size = height * width * int(channels)
        planes[name] = values[start : start + size].reshape(height, width, int(channels))
        start += size
    assert start == len(values)
    return planes


def test_frames_come_in_the_order_they_are_asked_for(request_body: dict[str, Any]) -> None:
    """However many ask: nobody waits while those who came later are served."""
    frames, request = SingleFrames(), RenderFrame(**request_body)
    done: list[int] = []
    hold = threading.Event()
    frames._worker.submit(hold.wait)

    def ask(number: int) -> None:
        frames.render(request, AllowedPaths())
        done.append(number)

    threads = []
    for number in range(6):
        threads.append(threading.Thread(target=ask, args=(number,)))
        threads[-1].start()
        while frames._worker._work_queue.qsize() <= number:
            time.sleep(0.001)
    hold.set()
    for thread in threads:
        thread.join(60)
    assert done == list(range(6))


def test_raw_float32_planes_are_exact(server: Any, request_body: dict[str, Any], expected: Passes) -> None:
    answer = server.post("/v1/render", {**request_body, "dtype": "float32"})
    planes = decode(answer)
    assert list(planes) == ["combined", "depth"]
    assert np.array_equal(planes["combined"], expected["combined"])
    assert np.array_equal(planes["depth"], expected["depth"])
    assert float(answer.headers["X-Neural-Render-Seconds"]) > 0.0
    assert int(answer.headers["Content-Length"]) == 64 * 48 * 5 * 4


def test_raw_float16_planes_in_the_order_asked_for(
    server: Any, request_body: dict[str, Any], expected: Passes
) -> None:
    planes = decode(server.post("/v1/render", {**request_body, "passes": ["depth", "combined"]}))
    assert list(planes) == ["depth", "combined"]
    assert np.allclose(planes["combined"], expected["combined"], atol=1e-3)
    near = expected["depth"] < 1e4
    assert near.any() and np.allclose(planes["depth"][near], expected["depth"][near], rtol=1e-3)


def test_nothing_is_infinitely_far_in_float16() -> None:
    plane = np.array([[[1.5], [1e10]]], dtype=np.float32)
    assert np.frombuffer(raw_planes([plane], "float16"), "<f2").tolist() == [1.5, np.inf]
    assert np.frombuffer(raw_planes([plane], "float32"), "<f4").tolist() == [1.5, 1e10]


def test_files_hold_the_same_picture(
    server: Any, request_body: dict[str, Any], expected: Passes, tmp_path: Path
) -> None:
    exr = server.post("/v1/render", {**request_body, "format": "exr"})
    (tmp_path / "frame.exr").write_bytes(exr.content)
    read = read_exr(tmp_path / "frame.exr")
    assert all(np.array_equal(read[name], expected[name]) for name in expected)
    png = server.post("/v1/render", {**request_body, "format": "png"})
    picture = cv2.imdecode(np.frombuffer(png.content, np.uint8), cv2.IMREAD_UNCHANGED)
    assert picture.shape == (48, 64, 4)
    assert np.abs(picture[..., 3] / 255.0 - expected["combined"][..., 3]).max() <= 0.5 / 255.0 + 1e-6


def test_a_crop_leaves_out_what_is_outside(server: Any, request_body: dict[str, Any]) -> None:
    nowhere = {"min": [100.0, 100.0, 100.0], "max": [101.0, 101.0, 101.0]}
    planes = decode(server.post("/v1/render", {**request_body, "crop": nowhere, "dtype": "float32"}))
    assert not planes["combined"].any() and (planes["depth"] == 1e10).all()


def test_layers_before_and_behind_a_depth(
    server: Any, request_body: dict[str, Any], expected: Passes, trained_scene: Path
) -> None:
    depth = np.full((48, 64), 1e10, np.float32)
    depth[:, 32:] = 4.0  # twice the CG's in capture units
    split = {"data": base64.b64encode(depth.tobytes()).decode(), "scale": 0.5}
    camera = {**request_body["camera"], "split_depth": split}
    body = {**request_body, "camera": camera, "passes": ["front", "behind"], "dtype": "float32"}
    planes = decode(server.post("/v1/render", body))
    front, behind = planes["front"], planes["behind"]
    assert np.abs(front + (1.0 - front[..., 3:]) * behind - expected["combined"]).max() < 1e-5
    assert np.abs(front[:, :31] - expected["combined"][:, :31]).max() < 1e-5
    cut = SplitDepth(data=depth.tobytes(), scale=0.5).read(64, 48)
    path_frame = PathFrame(
        camera_from_json(camera, {}, ""), request_body["time"], "", SplitDepth.from_json(split, "")
    )
    own = FrameRenderer(trained_scene).render_frame(path_frame, PassOptions(("front",)))
    assert np.isinf(cut[:, :31]).all() and (cut[:, 32:] == 2.0).all()
    assert np.array_equal(front, own["front"]) and behind[:, 32:, 3].max() > 0.5


def test_a_scene_that_changed_is_read_anew(
    server: Any, request_body: dict[str, Any], trained_scene: Path, tmp_path: Path
) -> None:
    scene = tmp_path / "scene"
    shutil.copytree(trained_scene, scene)
    body = {**request_body, "scene": str(scene)}
    assert server.post("/v1/render", body).ok
    (scene / "model.safetensors").write_bytes(b"damaged")
    assert server.post("/v1/render", body).ok  # the open scene, since scene.json is as it was
    os.utime(scene / "scene.json", (2e9, 2e9))
    answer = server.post("/v1/render", body)
    assert answer.status_code == 400 and "model.safetensors" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"scene": "/no/such/scene"}, "there is no such scene folder"),
        ({"scene": "relative"}, "absolute"),
        ({"passes": ["normal"]}, "normal"),
        ({"passes": []}, "passes"),
        ({"format": "png", "passes": ["depth"]}, "combined"),
        ({"camera": {"w": 64, "h": 48}}, "focal length"),
        ({"crop": {"min": [1, 1, 1], "max": [0, 0, 0]}}, "crop"),
        ({"background": "black"}, "background"),
        ({"passes": ["front"]}, "split_depth"),
    ],
)
def test_what_is_wrong_is_told(
    server: Any, request_body: dict[str, Any], changes: dict[str, Any], sentence: str
) -> None:
    answer = server.post("/v1/render", {**request_body, **changes})
    assert answer.status_code in (400, 422) and sentence in answer.json()["error"]["message"]
