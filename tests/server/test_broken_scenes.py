"""Scene folders, camera files and depth pictures that somebody broke: a sentence, never a crash."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import point_scene
import pytest
from fuzzing import broken_bytes, broken_json, fuzzed, limited, survives
from hypothesis import given
from hypothesis import strategies as st

from neural_render_server.camera_path import CameraPath
from neural_render_server.errors import CameraFileError, OptionError, SceneError
from neural_render_server.rendering.images import encode_exr, read_exr
from neural_render_server.scene import Scene, load_method
from neural_render_server.split_depth import SplitDepth

CAMERA = {"w": 8, "h": 6, "fl_x": 8.0, "fl_y": 8.0, "cx": 4.0, "cy": 3.0, "camera_model": "OPENCV", "k1": 0.1}
POSE = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 5], [0, 0, 0, 1]]
FRAME = {
    "transform_matrix": POSE,
    "time": 0.5,
    "name": "0001",
    "window": [0, 0, 16, 12],
    "lens": {"aperture_radius": 0.1, "focus_distance": 2.0, "blades": 5},
    "shutter": {
        "cameras": [{"transform_matrix": POSE, "time": 0.4}, {"transform_matrix": POSE, "time": 0.6}]
    },
    "split_depth": {"data": "AAAAAA==", "scale": 0.5},
}


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    folder = tmp_path_factory.mktemp("scene")
    point_scene.write(folder)
    return Scene(folder)


def restored(file: Path, read: Callable[[], Any], content: bytes) -> None:
    before = file.read_bytes()
    file.write_bytes(content)
    try:
        survives(read)
    finally:
        file.write_bytes(before)


def test_broken_descriptions(scene: Scene) -> None:
    tree = json.loads(scene.info_file.read_text())
    tree["config"] = {"count": 100, "start": "plane-sweep", "time_step": 0}

    @fuzzed
    @given(st.one_of(broken_json(tree), broken_bytes(scene.info_file.read_bytes())))
    def fuzz(content: bytes) -> None:
        restored(scene.info_file, lambda: load_method(scene, "cpu"), content)

    fuzz()


def test_broken_tensors(scene: Scene) -> None:
    """The header (JSON behind its length) and the bytes of the tensors."""
    content = scene.model_file.read_bytes()
    (length,) = struct.unpack_from("<Q", content)
    header = json.loads(content[8 : 8 + length])

    def with_header(broken: bytes) -> bytes:
        return struct.pack("<Q", len(broken)) + broken + content[8 + length :]

    @fuzzed
    @given(st.one_of(broken_bytes(content), broken_json(header).map(with_header)))
    def fuzz(content: bytes) -> None:
        restored(scene.model_file, lambda: load_method(scene, "cpu"), content)

    fuzz()


def test_broken_checkpoints(tmp_path: Path) -> None:
    import torch

    scene = Scene(tmp_path)
    scene.write_checkpoint({"means": torch.zeros(5, 3)}, {"moment": torch.zeros(4)}, {"step": 7})

    @fuzzed
    @given(broken_bytes(scene.checkpoint_file.read_bytes()))
    def fuzz(content: bytes) -> None:
        restored(scene.checkpoint_file, scene.read_checkpoint, content)

    fuzz()


def test_broken_camera_files(tmp_path: Path) -> None:
    path = tmp_path / "cameras.json"
    tree = {**CAMERA, "fps": 24, "frames": [FRAME, {"transform_matrix": POSE, "time": 1}]}
    path.write_text(json.dumps(tree))
    assert len(CameraPath.load(path).frames) == 2

    @fuzzed
    @given(st.one_of(broken_json(tree), broken_bytes(path.read_bytes())))
    def fuzz(content: bytes) -> None:
        restored(path, lambda: CameraPath.load(path), content)

    fuzz()


def test_broken_frames_and_depths(tmp_path: Path) -> None:
    """As the service reads them: frames that a rendering kept, and the CG's depth."""
    path = tmp_path / "frame.exr"
    combined, depth = np.ones((6, 8, 4), np.float32), np.ones((6, 8, 1), np.float32)
    path.write_bytes(encode_exr({"combined": combined, "depth": depth}))
    assert SplitDepth(str(path)).read(8, 6).shape == (6, 8)

    def read_frame() -> None:
        try:
            read_exr(path)
        except OSError as error:  # what it promises; rendering then makes the frame anew
            assert "frame.exr" in str(error)

    @fuzzed
    @given(broken_bytes(path.read_bytes()))
    def fuzz(content: bytes) -> None:
        restored(path, lambda: SplitDepth(str(path)).read(8, 6), content)
        restored(path, read_frame, content)

    fuzz()


# -- what was found -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({"width": 10**9}, "width is 1000000000"),
        ({"times": "soon"}, "times is 'soon'"),
        ({"times": [0.0, None]}, "times is"),
        ({"fps": True}, "fps is True"),
        ({"bounds": {"min": [0.0, 0.0], "max": [1.0, 1.0]}}, "bounds are"),
        ({"step": 1.5}, "step is 1.5"),
    ],
)
def test_a_description_of_other_types(changes: dict[str, Any], wrong: str, tmp_path: Path) -> None:
    scene = Scene(point_scene.write(tmp_path))
    scene.info_file.write_text(json.dumps({**json.loads(scene.info_file.read_text()), **changes}))
    with pytest.raises(SceneError, match=f"scene.json: not a scene description .{wrong}"):
        scene.read_info()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes are POSIX")
def test_a_pipe_in_place_of_a_file(tmp_path: Path) -> None:
    scene = Scene(point_scene.write(tmp_path / "scene"))
    for file in (scene.info_file, scene.model_file):
        kept = file.rename(tmp_path / "kept")
        os.mkfifo(file)
        with limited(), pytest.raises(SceneError, match=file.name):
            load_method(scene, "cpu")
        file.unlink()
        kept.rename(file)
    os.mkfifo(scene.cameras_file)
    with limited(), pytest.raises(CameraFileError, match=r"cameras\.json"):
        CameraPath.load(scene.cameras_file)
    with limited(), pytest.raises(OptionError, match=r"cameras\.json"):
        SplitDepth(str(scene.cameras_file)).read(8, 6)


def test_a_config_that_would_fill_the_memory(tmp_path: Path) -> None:
    scene = Scene(point_scene.write(tmp_path))
    description = json.loads(scene.info_file.read_text())
    description.update(method="instant-ngp", config={"log2_table_size": 40})
    scene.info_file.write_text(json.dumps(description))
    with pytest.raises(OptionError, match="log2_table_size' is 40, but must not be beyond 24"):
        load_method(scene, "cpu")
