"""Rolling shutters in ``capture.json``, and how cameras that move go on during a readout."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from neural_render_server.captures.amendments import read_amendments
from neural_render_server.captures.detect import open_capture
from neural_render_server.captures.frames import Frames
from neural_render_server.cli import main
from neural_render_server.errors import CaptureError


def test_readouts_are_kept_by_camera_and_reach_the_training_views(
    make: SimpleNamespace, tmp_path: Path
) -> None:
    make.write_n3dv(tmp_path)
    assert open_capture(tmp_path).shutters is None
    assert main(["capture", "sync", str(tmp_path), "--readout", "20", "--readout", "cam01=12:left"]) == 0
    with Frames(capture := open_capture(tmp_path), capture.train_indices) as frames:
        shutters = frames.shutters
    assert shutters is not None and [camera.name for camera in capture.cameras] == ["cam00", "cam01", "cam03"]
    assert [(s.across, s.down) for s in shutters] == [(0.0, 0.02), (-0.012, 0.0), (0.0, 0.02)]
    assert shutters[1].turn == (0.0, 0.0, 0.0)
    assert main(["capture", "sync", str(tmp_path), "--readout", "0"]) == 0
    assert open_capture(tmp_path).shutters is None and read_amendments(tmp_path).readouts == {}


@pytest.mark.parametrize("readout", ["cam07=12", "900", "12:round"])
def test_readouts_that_cannot_be_are_told(
    make: SimpleNamespace, tmp_path: Path, capsys: pytest.CaptureFixture[str], readout: str
) -> None:
    make.write_n3dv(tmp_path)
    assert main(["capture", "sync", str(tmp_path), "--readout", readout, "--json"]) == 1
    message = json.loads(capsys.readouterr().out.splitlines()[-1])["error"]["message"]
    assert any(word in message for word in ("no such camera", "0 to 0.5 seconds", "is not down"))
    (tmp_path / "capture.json").write_text('{"version": 1, "readouts": [3]}')
    with pytest.raises(CaptureError, match="readouts"):
        open_capture(tmp_path)


def test_a_moving_cameras_motion_is_that_between_its_frames(make: SimpleNamespace, tmp_path: Path) -> None:
    """It is told by the frames before and after; one that pans turns the world back."""
    entries, other = [], make.look_at((3.0, 0.0, 0.0))
    for number in range(4):
        pose = make.look_at((0.0, -3.0, 0.0))
        pan = cv2.Rodrigues(np.array([0.0, -number / 30, 0.0]))[0]  # about its own up axis, to the right
        pose[:3, :3] = pose[:3, :3] @ pan
        pose[:3, 3] += np.array([0.0, 0.3 * number / 30, 0.0])  # and walks ahead
        for name, matrix in (("walk", pose), ("still", other)):
            entry = {"file_path": f"images/{name}_{number:04d}.png", "transform_matrix": matrix.tolist()}
            entries.append({**entry, "time": number / 30, "picture": number, "name": f"{name}_{number:04d}"})
    make.write_transforms(tmp_path, entries, fl_x=60.0, fl_y=60.0, cx=32.0, cy=24.0)
    assert main(["capture", "sync", str(tmp_path), "--readout", "walk=30"]) == 0
    capture = open_capture(tmp_path)
    assert capture.shutters is not None
    for camera, shutter in zip(capture.cameras, capture.shutters, strict=True):
        if camera.name.startswith("walk"):
            assert shutter.down == 0.03
            assert shutter.turn == pytest.approx((0.0, -1.0, 0.0), abs=1e-6)
            assert shutter.drift[2] == pytest.approx(-0.3, abs=0.02)
        else:
            assert shutter.down == 0.0
