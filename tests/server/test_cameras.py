"""Cameras, their projections and the camera file."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neural_render_server.camera_path import CameraPath, PathFrame
from neural_render_server.cameras import Camera, camera_from_json, pose_matrix
from neural_render_server.errors import CameraFileError


def looking_camera() -> Camera:
    pose = np.array([[0.0, 0.0, 1.0, 3.0], [1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 1.0], [0.0, 0.0, 0.0, 1.0]])
    return Camera(40, 30, 50.0, 52.0, 19.0, 16.0, pose, "cam")


def test_a_point_ahead_projects_to_the_principal_point() -> None:
    camera = looking_camera()
    pixels, depth = camera.project([camera.position + 2.5 * camera.forward])
    assert np.allclose(pixels, [[19.0, 16.0]]) and np.allclose(depth, 2.5)


def test_rays_reach_the_points_they_project_to() -> None:
    camera = looking_camera()
    rays_o, rays_d = camera.rays()
    pixels, depth = camera.project((rays_o + 3.0 * rays_d).reshape(-1, 3))
    centres = np.stack(np.meshgrid(np.arange(40) + 0.5, np.arange(30) + 0.5), axis=-1).reshape(-1, 2)
    assert np.allclose(pixels, centres, atol=1e-3)
    assert np.allclose(depth, 3.0, atol=1e-5)  # planar depth, not distance along the ray


def test_up_in_the_world_is_up_in_the_picture() -> None:
    camera = looking_camera()
    ahead = camera.position + 2.0 * camera.forward
    pixels, _ = camera.project(np.stack([ahead, [*ahead[:2], ahead[2] + 0.1]]))
    assert pixels[1, 1] < pixels[0, 1]


def test_downscaling_keeps_what_is_seen() -> None:
    camera, half = looking_camera(), looking_camera().downscaled(2.0)
    point = np.array([[0.5, 0.2, 1.3]])
    assert np.allclose(half.project(point)[0] * 2.0, camera.project(point)[0])


def test_camera_path_round_trip(tmp_path: Path) -> None:
    lens = Camera(40, 30, 50.0, 52.0, 19.0, 16.0, np.eye(4), "b", "OPENCV", (0.1, 0.2, 0.0, 0.01, 0.0))
    path = CameraPath([PathFrame(looking_camera(), 0.25, "a"), PathFrame(lens, 0.5, "b")], 25.0)
    (tmp_path / "cameras.json").write_text(json.dumps(path.to_json()))
    loaded = CameraPath.load(tmp_path / "cameras.json")
    assert loaded.fps == 25.0
    for before, after in zip(path.frames, loaded.frames, strict=True):
        assert (before.name, before.time) == (after.name, after.time)
        assert np.array_equal(before.camera.camera_to_world, after.camera.camera_to_world)
        assert np.array_equal(before.camera.intrinsics, after.camera.intrinsics)
        assert before.camera.camera_model == after.camera.camera_model
        assert np.allclose(before.camera.distortion, after.camera.distortion[: len(before.camera.distortion)])


def test_field_of_view_gives_the_focal_length() -> None:
    entry = {"transform_matrix": np.eye(4).tolist(), "w": 800, "h": 600, "camera_angle_x": math.pi / 2}
    camera = camera_from_json(entry, {}, "here")
    assert camera.fl_x == pytest.approx(400.0) and camera.fl_y == pytest.approx(400.0)


def good_file() -> dict[str, Any]:
    return CameraPath([PathFrame(looking_camera(), 0.0, "0001")]).to_json()


BAD_FILES: dict[str, tuple[dict[str, Any], str]] = {
    "no frames": ({"frames": []}, "no frames"),
    "nan pose": ({"transform_matrix": [[math.nan] * 4] * 4}, "NaN"),
    "flat pose": ({"transform_matrix": np.zeros((4, 4)).tolist()}, "singular"),
    "short pose": ({"transform_matrix": [[1.0, 2.0]]}, "4x4"),
    "no size": ({"w": None}, "'w' and 'h'"),
    "no focal": ({"fl_x": None, "fl_y": None}, "focal"),
    "text time": ({"time": "soon"}, "'time'"),
    "endless time": ({"time": math.inf}, "'time'"),
    "escaping name": ({"name": "../evil"}, "file name"),
    "unknown model": ({"camera_model": "SPHERE"}, "SPHERE"),
    "window beyond the image": ({"window": [1, 0, 2, 2]}, "'window'"),
    "window of words": ({"window": "left"}, "'window'"),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_bad_camera_files_are_named_with_what_is_wrong(case: str, tmp_path: Path) -> None:
    change, expected = BAD_FILES[case]
    data = good_file()
    if "frames" in change:
        data.update(change)
    else:
        data["frames"][0].update(change)
    file = tmp_path / "bad.json"
    file.write_text(json.dumps(data))
    with pytest.raises(CameraFileError, match=expected) as caught:
        CameraPath.load(file)
    assert "bad.json" in str(caught.value)


def test_two_frames_of_one_name_are_refused() -> None:
    data = good_file()
    data["frames"] *= 2
    with pytest.raises(CameraFileError, match="twice"):
        CameraPath.from_json(data, "file")


def test_what_is_no_json_is_named(tmp_path: Path) -> None:
    (tmp_path / "text.json").write_text("hello")
    with pytest.raises(CameraFileError, match=r"text\.json"):
        CameraPath.load(tmp_path / "text.json")
    with pytest.raises(CameraFileError, match=r"missing\.json"):
        CameraPath.load(tmp_path / "missing.json")


def test_three_rows_make_a_pose() -> None:
    assert pose_matrix(np.eye(4)[:3].tolist(), "here").shape == (4, 4)


def test_a_window_sees_what_the_whole_sees_there() -> None:
    whole = looking_camera()
    window = replace(
        whole, width=5, height=3, cx=whole.cx - 7, cy=whole.cy - 4, window=(7, 4, whole.width, whole.height)
    )
    again = camera_from_json(window.to_json(), {}, "here")
    assert again.window == window.window
    assert np.allclose(again.rays()[1], whole.rays()[1][4:7, 7:12])
    assert replace(window.uncut(), camera_to_world=whole.camera_to_world).to_json() == whole.to_json()


def test_orthographic_rays_are_parallel_and_a_unit_apart() -> None:
    camera = replace(looking_camera(), camera_model="ORTHOGRAPHIC", fl_x=10.0, fl_y=5.0)
    rays_o, rays_d = camera.rays()
    assert np.allclose(rays_d, camera.forward)
    assert np.allclose(rays_o[3, 11] - rays_o[3, 1], camera.camera_to_world[:3, 0])
    assert np.allclose(rays_o[1, 4] - rays_o[6, 4], camera.camera_to_world[:3, 1])
    assert np.allclose(rays_o @ camera.forward, camera.position @ camera.forward, atol=1e-5)


def test_equirectangular_rays_go_around() -> None:
    camera = replace(
        looking_camera(), width=8, height=4, fl_x=4 / math.pi, fl_y=4 / math.pi, cx=4.5, cy=1.5,
        camera_model="EQUIRECTANGULAR",
    )  # fmt: skip
    right, up = camera.camera_to_world[:3, 0], camera.camera_to_world[:3, 1]
    rays_d = camera.rays()[1]
    assert np.allclose(np.linalg.norm(rays_d, axis=-1), 1.0)
    assert np.allclose(rays_d[1, 4], camera.forward, atol=1e-6)
    assert np.allclose(rays_d[1, 6], right, atol=1e-6)
    assert np.allclose(rays_d[1, 0], -camera.forward, atol=1e-6)
    assert np.allclose(rays_d[3, 4], -up, atol=1e-6)
    assert camera_from_json(camera.to_json(), {}, "here").to_json() == camera.to_json()
