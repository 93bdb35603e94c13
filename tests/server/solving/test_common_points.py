"""Posed cameras started apart, before a ball whose motion repeats in every direction."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from textured_room import FOCAL, HEIGHT, WIDTH, room_picture, room_rig
from tiny_capture import write_video

from neural_render_server.cameras import Camera
from neural_render_server.progress import Control
from neural_render_server.solving.common_points import neighbouring
from neural_render_server.solving.synchronise import synchronise_capture

FPS, FRAMES = 12, 20
LATE = (0.0, 2.5, 1.25)  # frames


def ball(frame: float) -> np.ndarray:
    """To and fro in 9 frames, up and down in 7: pictures as busy come again and again."""
    return np.array([np.sin(2 * np.pi * frame / 9), 0.6, 1.0 + 0.4 * np.sin(2 * np.pi * frame / 7)])


def test_cameras_agree_on_when_a_point_in_space_was_passed(tmp_path: Path) -> None:
    frames = []
    for index, (pose, late) in enumerate(zip(room_rig(3), LATE, strict=True)):
        pictures = [room_picture(pose, ball(late + frame)) for frame in range(FRAMES)]
        write_video(tmp_path / f"cam{index}.mp4", pictures, fps=FPS)
        frames.append({"file_path": f"cam{index}.mp4", "transform_matrix": pose.tolist()})
    shared = {"w": WIDTH, "h": HEIGHT, "fl_x": FOCAL, "fl_y": FOCAL, "cx": WIDTH / 2, "cy": HEIGHT / 2}
    (tmp_path / "transforms.json").write_text(json.dumps({**shared, "frames": frames}))
    parts: list[float] = []
    found = synchronise_capture(
        tmp_path, "picture", lambda event: parts.append(event.data["fraction"]), Control()
    )
    offsets = [found["offsets"][f"cam{index}"] * FPS for index in range(3)]
    assert offsets == pytest.approx(LATE, abs=0.45)  # half a frame, and what settles among three
    assert max(found["residuals"].values()) * FPS < 0.25 and found["warnings"] == []
    assert parts == sorted(parts) and parts[-1] <= 1.0


def test_each_camera_is_compared_with_those_that_look_alike() -> None:
    def looking(angle: float) -> Camera:
        pose = np.eye(4)
        pose[:3, :3] = [[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]]
        return Camera(64, 48, 60.0, 60.0, 32.0, 24.0, pose)

    ring = [looking(angle) for angle in np.linspace(0.0, 2.0 * np.pi, 24, endpoint=False)]
    pairs = neighbouring(ring)
    assert all(min(b - a, 24 - (b - a)) <= 3 for a, b in pairs) and len(pairs) == 24 * 3
    assert neighbouring(ring[:3]) == [(0, 1), (0, 2), (1, 2)]
