"""The readers on captures that others made; NEURAL_RENDER_CAPTURES names their folder."""

from __future__ import annotations

import json
import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from neural_render_server.captures.describe import describe, format_description
from neural_render_server.captures.detect import open_capture
from neural_render_server.captures.frames import Frames

pytestmark = [
    pytest.mark.captures,
    pytest.mark.skipif("NEURAL_RENDER_CAPTURES" not in os.environ, reason="NEURAL_RENDER_CAPTURES is unset"),
]
ROOT = Path(os.environ.get("NEURAL_RENDER_CAPTURES", "."))

# Name -> format, cameras, timesteps, held-out views, points, part of a warning.
EXPECTED = {
    "stage": ("n3dv", 19, 48, 48, 0, ""),
    "walk4cam": ("easymocap", 4, 100, 0, 0, "recorded at 1080x1920 with black bars"),
    "board4cam": ("easymocap", 4, 111, 0, 0, "timestamps.csv"),
    "fox": ("transforms", 50, 1, 0, 0, "17 of the 67 images"),
    "chair": ("blender-synthetic", 125, 1, 25, 0, "175 of the 200 images"),
    "lund_door": ("colmap", 12, 1, 0, 11384, ""),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_what_is_in_it(name: str) -> None:
    kind, cameras, timesteps, held_out, points, warning = EXPECTED[name]
    capture = open_capture(ROOT / name)
    assert (capture.format, len(capture.cameras), len(capture.times)) == (kind, cameras, timesteps)
    assert len(capture.test_indices) == held_out
    description = json.loads(json.dumps(describe(capture)))
    assert description["points"] == points and warning in format_description(description)


def test_stage_agrees_with_its_truth() -> None:
    """Poses to a float's precision, pixels within the codec's loss."""
    capture = open_capture(ROOT / "stage")
    entry = json.loads((ROOT / "stage/truth.json").read_text())["frames"][0]
    assert np.allclose(entry["transform_matrix"], capture.cameras[0].camera_to_world, atol=1e-6)
    assert entry["fl_x"] == pytest.approx(capture.cameras[0].fl_x)
    with Frames(capture, [12]) as frames:
        truth = cv2.imread(str(ROOT / "stage/truth/cam00_0013.png"))[..., ::-1]
        assert 10 * np.log10(255**2 / ((frames.rgb(0).astype(float) - truth) ** 2).mean()) > 43


@pytest.mark.parametrize("name", ["fox", "lund_door"])
def test_neighbours_agree_with_their_poses(name: str) -> None:
    """The median distance of matched features from their epipolar lines, in undistorted pixels."""
    with Frames(open_capture(ROOT / name), [0, 1]) as frames:
        sift = cv2.SIFT_create(4000)
        found = [sift.detectAndCompute(cv2.cvtColor(frames.rgb(k), cv2.COLOR_RGB2GRAY), None) for k in (0, 1)]
        pairs = cv2.BFMatcher().knnMatch(found[0][1], found[1][1], k=2)
        good = [best for best, second in pairs if best.distance < 0.7 * second.distance]
        first = np.array([(*found[0][0][m.queryIdx].pt, 0.5) for m in good]) + 0.5
        second = np.array([(*found[1][0][m.trainIdx].pt, 0.5) for m in good]) + 0.5
        one, two = frames.cameras[0], frames.cameras[1]
    relative = two.world_to_camera_opencv() @ np.linalg.inv(one.world_to_camera_opencv())
    x, y, z = relative[:3, 3]
    essential = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]]) @ relative[:3, :3]
    lines = first @ (np.linalg.inv(two.intrinsics).T @ essential @ np.linalg.inv(one.intrinsics)).T
    distance = np.abs((lines * second).sum(axis=1)) / np.hypot(lines[:, 0], lines[:, 1])
    assert len(good) > 500 and np.median(distance) < 1.0
