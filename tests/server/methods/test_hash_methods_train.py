"""instant-ngp, hash4d and ngp-image through the trainer: a scene folder that renders, from every capture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from neural_render_server.camera_path import CameraPath
from neural_render_server.progress import Control
from neural_render_server.scene import Scene, load_method
from neural_render_server.training.options import TrainOptions
from neural_render_server.training.trainer import train

TINY: dict[str, Any] = {"levels": 4, "log2_table_size": 10, "width": 16}
MARCHED: dict[str, Any] = {
    **TINY,
    "finest": 64,
    "occupancy_resolution": 16,
    "steps_across": 64,
    "samples": 2048,
}


@pytest.mark.parametrize("method", ["instant-ngp", "hash4d", "ngp-image"])
def test_training_writes_a_scene_that_renders(
    method: str, tiny_photos: Path, tiny_film: Path, tmp_path: Path
) -> None:
    if method == "ngp-image":
        capture = tmp_path / "picture.png"
        ramp = np.broadcast_to(np.linspace(60, 160, 60)[None, :, None], (40, 60, 3))
        cv2.imwrite(str(capture), ramp.astype(np.uint8))
    else:
        capture = tiny_film if method == "hash4d" else tiny_photos
    options = {**TINY, "pixels": 1024} if method == "ngp-image" else MARCHED
    scene = tmp_path / "scene"
    result = train(
        TrainOptions(str(capture), str(scene), method=method, preset="small", steps=25, options=options),
        lambda event: None,
        Control(),
    )
    assert result["step"] == 25 and result["metrics"]["psnr"] > 8.0
    info = Scene(scene).read_info()
    assert info.method == method and info.finished
    path = CameraPath.load(Scene(scene).cameras_file)
    frame = load_method(Scene(scene), "cpu").render(path.frames[0].camera, path.frames[0].time)
    assert np.isfinite(frame.color).all() and frame.opacity.max() > 0.0
