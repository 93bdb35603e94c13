from __future__ import annotations

import struct
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from neural_render_server.captures.detect import open_capture
from neural_render_server.errors import CaptureError
from neural_render_server.lens_models import COEFFICIENTS, distort

# Name -> (number in COLMAP's models.h, parameters for a 64x48 picture).
LENSES: dict[str, tuple[int, list[float]]] = {
    "SIMPLE_PINHOLE": (0, [60, 31, 25]),
    "PINHOLE": (1, [60, 62, 31, 25]),
    "SIMPLE_RADIAL": (2, [60, 31, 25, -0.1]),
    "RADIAL": (3, [60, 31, 25, -0.1, 0.02]),
    "OPENCV": (4, [60, 62, 31, 25, -0.1, 0.02, 0.003, -0.002]),
    "OPENCV_FISHEYE": (5, [60, 62, 31, 25, 0.02, -0.01, 0.003, -0.001]),
    "FULL_OPENCV": (6, [60, 62, 31, 25, -0.1, 0.02, 0.003, -0.002, 0.01, 0.02, -0.01, 0.005]),
    "FOV": (7, [60, 62, 31, 25, 0.9]),
    "SIMPLE_RADIAL_FISHEYE": (8, [60, 31, 25, 0.02]),
    "RADIAL_FISHEYE": (9, [60, 31, 25, 0.02, -0.01]),
    "THIN_PRISM_FISHEYE": (
        10,
        [60, 62, 31, 25, 0.02, -0.01, 0.003, -0.002, 0.004, -0.001, 0.002, -0.003],
    ),
}
POINTS = np.array([[0.0, 0.0, 0.0], [0.3, -0.2, 0.4], [-0.5, 0.1, -0.2]])
COLORS = [[255, 0, 0], [0, 255, 0], [10, 20, 30]]


def quaternion(rotation: np.ndarray) -> np.ndarray:
    """(w, x, y, z) of a rotation of less than half a turn."""
    vector = cv2.Rodrigues(rotation)[0].ravel()
    angle = np.linalg.norm(vector)
    return np.r_[np.cos(angle / 2), np.sin(angle / 2) * vector / angle]


def world_to_camera(pose: np.ndarray) -> np.ndarray:
    """(4, 4) with OpenCV axes, written out here so as not to rely on the code under test."""
    flipped = pose.copy()
    flipped[:3, 1:3] *= -1
    return np.linalg.inv(flipped)


def write_model(
    make: SimpleNamespace, folder: Path, binary: bool, lens: str = "OPENCV", name: str = "p{}.png"
) -> list[np.ndarray]:
    """A model of three photos and three points without tracks, in ``folder/sparse/0``."""
    poses = make.arc(3)
    sparse = folder / "sparse/0"
    sparse.mkdir(parents=True, exist_ok=True)
    number, parameters = LENSES[lens]
    images = []
    for index, pose in enumerate(poses):
        make.write_image(folder / "images" / name.format(index), make.numbered_picture(index))
        matrix = world_to_camera(pose)
        images.append((index + 1, *quaternion(matrix[:3, :3]), *matrix[:3, 3], 1, name.format(index)))
    if binary:
        camera = struct.pack(f"<QiiQQ{len(parameters)}d", 1, 1, number, 64, 48, *parameters)
        (sparse / "cameras.bin").write_bytes(camera)
        packed = (struct.pack("<i7di", *i[:9]) + i[9].encode() + b"\0" + struct.pack("<Q", 0) for i in images)
        (sparse / "images.bin").write_bytes(struct.pack("<Q", 3) + b"".join(packed))
        points = (struct.pack("<Q3d3BdQ", k + 1, *POINTS[k], *COLORS[k], 0.5, 0) for k in range(3))
        (sparse / "points3D.bin").write_bytes(struct.pack("<Q", 3) + b"".join(points))
    else:
        (sparse / "cameras.txt").write_text(f"# cameras\n1 {lens} 64 48 {' '.join(map(str, parameters))}\n")
        lines = [" ".join(map(str, image)) + "\n\n" for image in images]
        (sparse / "images.txt").write_text("# images\n" + "".join(lines))
        rows = [f"{k + 1} {' '.join(map(str, [*POINTS[k], *COLORS[k]]))} 0.5\n" for k in range(3)]
        (sparse / "points3D.txt").write_text("".join(rows))
    return poses


@pytest.mark.parametrize("binary", [False, True])
def test_poses_points_and_names(make: SimpleNamespace, tmp_path: Path, binary: bool) -> None:
    poses = write_model(make, tmp_path, binary)
    for path in (tmp_path, tmp_path / "sparse/0", tmp_path / "sparse"):
        capture = open_capture(path)
        assert capture.format == "colmap" and not capture.is_dynamic
        assert [camera.name for camera in capture.cameras] == ["p0", "p1", "p2"]
        for camera, pose in zip(capture.cameras, poses, strict=True):
            assert np.allclose(camera.camera_to_world, pose, atol=1e-9)
        assert capture.points is not None
        order = np.argsort(capture.points.positions[:, 0])
        assert np.allclose(capture.points.positions[order], POINTS[[2, 0, 1]])
        assert capture.points.colors[order].tolist() == [COLORS[2], COLORS[0], COLORS[1]]


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("lens", LENSES)
def test_camera_models_project_as_colmap_does(
    make: SimpleNamespace, tmp_path: Path, lens: str, binary: bool
) -> None:
    """Our camera, through OpenCV where that has its model, against pycolmap's own projection."""
    import pycolmap

    write_model(make, tmp_path, binary, lens)
    camera = open_capture(tmp_path).cameras[1]
    matrix = world_to_camera(make.arc(3)[1])
    in_camera = POINTS @ matrix[:3, :3].T + matrix[:3, 3]
    theirs = pycolmap.Camera(model=lens, width=64, height=48, params=LENSES[lens][1]).img_from_cam(in_camera)
    if camera.camera_model in COEFFICIENTS:
        x, y = (in_camera[:, :2] / in_camera[:, 2:]).T
        x, y = distort(camera.camera_model, camera.distortion, x, y)
        ours = np.stack([camera.fl_x * x + camera.cx, camera.fl_y * y + camera.cy], axis=-1)
        assert np.allclose(ours, theirs, atol=1e-6)
        return
    rotation, coefficients = cv2.Rodrigues(matrix[:3, :3])[0], np.array(camera.distortion)
    if camera.camera_model == "OPENCV_FISHEYE":
        ours = cv2.fisheye.projectPoints(
            POINTS[:, None], rotation, matrix[:3, 3], camera.intrinsics, coefficients
        )[0]
    else:
        ours = cv2.projectPoints(POINTS, rotation, matrix[:3, 3], camera.intrinsics, coefficients)[0]
    assert np.allclose(ours.reshape(-1, 2), theirs, atol=1e-6)


def test_smaller_photos_scale_the_lens_and_missing_ones_are_counted(
    make: SimpleNamespace, tmp_path: Path
) -> None:
    write_model(make, tmp_path, binary=False, lens="PINHOLE")
    make.write_image(tmp_path / "images/p0.png", make.numbered_picture(0, 32, 24))
    (tmp_path / "images/p2.png").unlink()
    capture = open_capture(tmp_path)
    assert [camera.name for camera in capture.cameras] == ["p0", "p1"]
    assert "1 of the model's 3 photos are missing" in capture.warnings[0]
    small = capture.cameras[0]
    assert (small.width, small.fl_x, small.fl_y, small.cx, small.cy) == (32, 30.0, 31.0, 15.5, 12.5)


def test_photos_in_folders_of_one_name_stay_apart(make: SimpleNamespace, tmp_path: Path) -> None:
    write_model(make, tmp_path, binary=True, name="cam{}/0001.png")
    assert [camera.name for camera in open_capture(tmp_path).cameras] == [
        "cam0_0001", "cam1_0001", "cam2_0001",
    ]  # fmt: skip


def test_photos_outside_the_capture_are_not_read(make: SimpleNamespace, tmp_path: Path) -> None:
    folder = tmp_path / "capture"
    write_model(make, folder, binary=False)
    make.write_image(tmp_path / "p9.png", make.numbered_picture(0))
    file = folder / "sparse/0/images.txt"
    file.write_text(file.read_text().replace("p1.png", "../../p9.png"))
    with pytest.raises(CaptureError, match="leads out of the capture's folder"):
        open_capture(folder)


def test_no_photos_at_all(make: SimpleNamespace, tmp_path: Path) -> None:
    write_model(make, tmp_path, binary=False)
    for photo in (tmp_path / "images").iterdir():
        photo.unlink()
    with pytest.raises(CaptureError, match=r"photos \(such as p0\.png\) are not there"):
        open_capture(tmp_path)


def test_a_lens_that_cannot_be_used_says_what_to_do(make: SimpleNamespace, tmp_path: Path) -> None:
    write_model(make, tmp_path, binary=False)
    (tmp_path / "sparse/0/cameras.txt").write_text("1 DIVISION 64 48 60 60 32 24 0.1\n")
    with pytest.raises(CaptureError, match=r"DIVISION cannot be used; run colmap image_undistorter"):
        open_capture(tmp_path)


def test_a_pose_with_nan_is_refused(make: SimpleNamespace, tmp_path: Path) -> None:
    write_model(make, tmp_path, binary=True)
    file = tmp_path / "sparse/0/images.bin"
    content = bytearray(file.read_bytes())
    content[8 + 4 + 32 : 8 + 4 + 40] = struct.pack("<d", float("nan"))  # the first image's TX
    file.write_bytes(bytes(content))
    with pytest.raises(CaptureError, match=r"image p0\.png: the pose has NaN"):
        open_capture(tmp_path)


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("name", ["cameras", "images", "points3D"])
def test_broken_models_are_named(make: SimpleNamespace, tmp_path: Path, name: str, binary: bool) -> None:
    write_model(make, tmp_path, binary)
    file = tmp_path / "sparse/0" / (name + (".bin" if binary else ".txt"))
    file.write_bytes(b"broken " + file.read_bytes()[:30])
    with pytest.raises(
        CaptureError, match=r"sparse/0\S*: the COLMAP model (cannot be read|is cut off or damaged)"
    ):
        open_capture(tmp_path)
