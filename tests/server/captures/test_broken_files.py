"""Every capture reader, given files that somebody broke, on purpose or not: a sentence, never a crash, a
hang or unbounded memory. What fuzzing found stands below as cases of its own."""

from __future__ import annotations

import io
import json
import os
import shutil
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import cv2
import numpy as np
import pytest
from fuzzing import broken_bytes, broken_json, broken_text, fuzzed, limited, survives
from hypothesis import given
from hypothesis import strategies as st

from neural_render_server.captures.describe import describe
from neural_render_server.captures.detect import open_capture
from neural_render_server.captures.image import read_image
from neural_render_server.captures.ply import read_ply
from neural_render_server.captures.timestamps import read_timestamps
from neural_render_server.captures.video import VideoReader
from neural_render_server.errors import CaptureError
from neural_render_server.rendering.images import encode_exr

Folder = Callable[[str], Path]


def read_whole(path: Path) -> None:
    """As ``POST /v1/captures/inspect`` does."""
    json.dumps(describe(open_capture(path)), allow_nan=False)


@pytest.fixture(scope="module")
def good(make: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """One small good capture of each format, by name."""
    root = tmp_path_factory.mktemp("good")
    poses = make.arc(3)
    make.write_n3dv(root / "n3dv", frames=2)
    entries = [
        {"file_path": f"images/p{k}.png", "picture": k, "transform_matrix": poses[k].tolist(), "time": k / 12}
        for k in range(3)
    ]
    make.write_transforms(root / "transforms", entries, w=64, h=48, fl_x=60, fl_y=60, cx=32, cy=24, k1=0.01)
    make.write_transforms(
        root / "synthetic",
        [{"file_path": f"./p{k}", "picture": k, "transform_matrix": poses[k].tolist()} for k in range(3)],
        name="transforms_train.json",
        camera_angle_x=0.9,
    )
    for binary, name in ((True, "colmap_bin"), (False, "colmap_txt")):
        write_colmap(make, root / name, poses, binary)
    write_easymocap(make, root / "easymocap", poses)
    return lambda name: root / name


def write_colmap(make: SimpleNamespace, folder: Path, poses: list[np.ndarray], binary: bool) -> None:
    """Three photos that see two points, each with its track."""
    import pycolmap

    model = pycolmap.Reconstruction()
    camera = pycolmap.Camera(
        camera_id=1, model="OPENCV", width=64, height=48, params=[60, 60, 32, 24, 0, 0, 0, 0]
    )
    model.add_camera_with_trivial_rig(camera)
    for index, pose in enumerate(poses):
        make.write_image(folder / "images" / f"p{index}.png", make.numbered_picture(index))
        world_to_camera = np.linalg.inv(pose @ np.diag([1.0, -1.0, -1.0, 1.0]))
        image = pycolmap.Image(name=f"p{index}.png", camera_id=1, image_id=index + 1)
        image.points2D = [pycolmap.Point2D([10.0 + k, 20.0]) for k in range(2)]
        rigid = pycolmap.Rigid3d(world_to_camera[:3])
        model.add_image_with_trivial_frame(image, rigid)
    for k in range(2):
        track = pycolmap.Track()
        for image_id in (1, 2, 3):
            track.add_element(image_id, k)
        model.add_point3D([0.1 * k, 0.0, 0.0], track, [200, 100, 50])
    sparse = folder / "sparse/0"
    sparse.mkdir(parents=True)
    (model.write_binary if binary else model.write_text)(str(sparse))


def write_easymocap(make: SimpleNamespace, folder: Path, poses: list[np.ndarray]) -> None:
    inner = {"K_{}": [60, 0, 32, 0, 60, 24, 0, 0, 1], "dist_{}": [0.1, 0, 0, 0, 0]}
    folder.mkdir()
    intri, extri = ["%YAML:1.0", "names:"], ["%YAML:1.0", "names:"]
    for file in (intri, extri):
        file += [f'  - "{k:02d}"' for k in range(3)]
    for k, pose in enumerate(poses):
        world_to_camera = np.linalg.inv(pose @ np.diag([1.0, -1.0, -1.0, 1.0]))
        outer = {"Rot_{}": world_to_camera[:3, :3].ravel(), "T_{}": world_to_camera[:3, 3]}
        for file, values in ((intri, inner), (extri, outer)):
            for name, numbers in values.items():
                rows = 3 if len(numbers) != 5 else 1
                data = ", ".join(f"{number:.9f}" for number in numbers)
                file += [f"{name.format(f'{k:02d}')}: !!opencv-matrix", f"  rows: {rows}"]
                file += [f"  cols: {len(numbers) // rows}", "  dt: d", f"  data: [{data}]"]
        for index in range(2):
            make.write_image(
                folder / "images" / f"{k:02d}" / f"{index:06d}.png", make.numbered_picture(index)
            )
    (folder / "intri.yml").write_text("\n".join(intri) + "\n")
    (folder / "extri.yml").write_text("\n".join(extri) + "\n")


@pytest.mark.parametrize("name", ["n3dv", "transforms", "synthetic", "colmap_bin", "colmap_txt", "easymocap"])
def test_the_good_ones_are_read(good: Folder, name: str) -> None:
    read_whole(good(name))


def restored(file: Path, read: Callable[[], Any], content: bytes) -> None:
    """Read while ``file`` holds ``content``; then it is as before."""
    before = file.read_bytes()
    file.write_bytes(content)
    try:
        survives(read)
    finally:
        file.write_bytes(before)


@pytest.mark.parametrize(
    ("name", "file"), [("transforms", "transforms.json"), ("synthetic", "transforms_train.json")]
)
def test_broken_transforms(good: Folder, name: str, file: str) -> None:
    path = good(name) / file
    tree = json.loads(path.read_text())

    @fuzzed
    @given(st.one_of(broken_json(tree), broken_bytes(path.read_bytes())))
    def fuzz(content: bytes) -> None:
        restored(path, lambda: read_whole(good(name)), content)

    fuzz()


@pytest.mark.parametrize("file", ["cameras", "images", "points3D", "rigs", "frames"])
@pytest.mark.parametrize("kind", ["bin", "txt"])
def test_broken_colmap(good: Folder, kind: str, file: str) -> None:
    path = good(f"colmap_{kind}") / "sparse/0" / f"{file}.{kind}"
    content = path.read_bytes()

    @fuzzed
    @given(broken_bytes(content) if kind == "bin" else broken_text(content))
    def fuzz(content: bytes) -> None:
        restored(path, lambda: read_whole(good(f"colmap_{kind}")), content)

    fuzz()


def test_broken_poses_bounds(good: Folder) -> None:
    path = good("n3dv") / "poses_bounds.npy"

    @fuzzed
    @given(broken_bytes(path.read_bytes()))
    def fuzz(content: bytes) -> None:
        restored(path, lambda: read_whole(good("n3dv")), content)

    fuzz()


@pytest.mark.parametrize("file", ["intri.yml", "extri.yml"])
def test_broken_yaml(good: Folder, file: str) -> None:
    path = good("easymocap") / file

    @fuzzed
    @given(broken_text(path.read_bytes()))
    def fuzz(content: bytes) -> None:
        restored(path, lambda: read_whole(good("easymocap")), content)

    fuzz()


def test_broken_videos_and_pictures(good: Folder) -> None:
    """Every frame of a video and the pixels of a picture, not only their headers."""
    video, picture = good("n3dv") / "cam00.mp4", good("transforms") / "images/p0.png"

    def read_video() -> None:
        with VideoReader(video) as reader:
            for _ in reader.read(range(reader.info.frames)):
                pass

    @fuzzed
    @given(broken_bytes(video.read_bytes()), broken_bytes(picture.read_bytes()))
    def fuzz(film: bytes, photo: bytes) -> None:
        restored(video, read_video, film)
        restored(picture, lambda: read_image(picture), photo)

    fuzz()


@pytest.mark.parametrize("suffix", [".exr", ".jpg", ".tif", ".webp"])
def test_broken_pictures_of_other_kinds(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"picture{suffix}"
    ramp = np.linspace(0, 1, 24 * 32 * 3, dtype=np.float32).reshape(24, 32, 3)
    if suffix == ".exr":
        path.write_bytes(encode_exr({"combined": np.dstack([ramp, ramp[..., :1]])}))
    else:
        cv2.imwrite(str(path), (ramp * 255).astype(np.uint16 if suffix == ".tif" else np.uint8))
    assert read_image(path).shape[:2] == (24, 32)

    @fuzzed
    @given(broken_bytes(path.read_bytes()))
    def fuzz(content: bytes) -> None:
        restored(path, lambda: read_image(path), content)

    fuzz()


def test_broken_amendments(good: Folder) -> None:
    """``capture.json``, which every capture may have."""
    path = good("n3dv") / "capture.json"
    tree = {
        "version": 1,
        "alignment": np.eye(4).tolist(),
        "time_offsets": {"cam00": 0.01, "cam01": 0.0},
        "fps": 24.0,
        "readouts": {"cam00": {"seconds": 0.01, "direction": "up"}},
    }
    path.write_text(json.dumps(tree))
    try:
        read_whole(good("n3dv"))

        @fuzzed
        @given(st.one_of(broken_json(tree), broken_bytes(path.read_bytes())))
        def fuzz(content: bytes) -> None:
            restored(path, lambda: read_whole(good("n3dv")), content)

        fuzz()
    finally:
        path.unlink()


def test_broken_timestamps(tmp_path: Path) -> None:
    path = tmp_path / "timestamps.csv"
    rows = [f"{k},{c},{k},{k / 12 + c * 0.001}" for k in range(3) for c in range(2)]
    path.write_text("\n".join(["sync_index,cam_id,frame_index,frame_time", *rows, ""]))

    @fuzzed
    @given(broken_text(path.read_bytes()))
    def fuzz(content: bytes) -> None:
        restored(path, lambda: read_timestamps(path, ["cam_0", "cam_1"], [3, 3]), content)

    fuzz()


def test_broken_points(tmp_path: Path) -> None:
    path = tmp_path / "points.ply"
    header = "ply\nformat binary_little_endian 1.0\nelement vertex 2\n"
    header += "".join(f"property float {axis}\n" for axis in "xyz") + "end_header\n"
    path.write_bytes(header.encode() + struct.pack("<6f", *range(6)))

    @fuzzed
    @given(st.one_of(broken_bytes(path.read_bytes()), broken_text(header.encode())))
    def fuzz(content: bytes) -> None:
        restored(path, lambda: read_ply(path), content)

    fuzz()


# -- what was found -------------------------------------------------------------------------------------


def test_an_array_that_claims_more_than_its_file_holds(good: Folder) -> None:
    """NumPy would allocate 272 TB before reading."""
    path = good("n3dv") / "poses_bounds.npy"
    stream = io.BytesIO()
    header = {"descr": "<f8", "fortran_order": False, "shape": (2**41, 17)}
    np.lib.format.write_array_header_1_0(stream, header)
    restored(path, lambda: read_whole(good("n3dv")), stream.getvalue() + bytes(136))


@pytest.mark.parametrize("name", ["cameras", "images", "points3D", "rigs", "frames"])
def test_a_model_that_counts_more_than_its_file_holds(good: Folder, name: str) -> None:
    """pycolmap read on past the end, for hours and into gigabytes."""
    path = good("colmap_bin") / "sparse/0" / f"{name}.bin"
    before = path.read_bytes()
    try:
        path.write_bytes(struct.pack("<Q", 2**40) + before[8:])
        with pytest.raises(CaptureError, match=rf"{name}\.bin: the COLMAP model is cut off or damaged"):
            read_whole(good("colmap_bin"))
    finally:
        path.write_bytes(before)


@pytest.mark.parametrize(("name", "at"), [("frames", 8 + 64), ("rigs", 8 + 4), ("points3D", 8 + 43)])
def test_a_record_that_counts_more_than_its_file_holds(good: Folder, name: str, at: int) -> None:
    path = good("colmap_bin") / "sparse/0" / f"{name}.bin"
    before = path.read_bytes()
    try:
        path.write_bytes(before[:at] + struct.pack("<I", 2**32 - 1) + before[at + 4 :])
        with pytest.raises(CaptureError, match=rf"{name}\.bin: the COLMAP model is cut off or damaged"):
            read_whole(good("colmap_bin"))
    finally:
        path.write_bytes(before)


def test_a_pose_with_an_integer_beyond_any_float(good: Folder) -> None:
    tree = json.loads((good("transforms") / "transforms.json").read_text())
    tree["frames"][0]["transform_matrix"] = 10**400
    content = json.dumps(tree).encode()
    restored(good("transforms") / "transforms.json", lambda: read_whole(good("transforms")), content)


def test_a_playlist_that_calls_itself_a_video(good: Folder, tmp_path: Path) -> None:
    """FFmpeg would open the files and addresses that it names."""
    path = tmp_path / "cam00.mp4"
    (tmp_path / "real.mp4").write_bytes((good("n3dv") / "cam00.mp4").read_bytes())
    path.write_text("ffconcat version 1.0\nfile real.mp4\n")
    with av.open(str(path)) as container:
        assert container.format.name == "concat"
    with pytest.raises(CaptureError, match=r"cam00\.mp4: the video cannot be read"):
        VideoReader(path)


def test_a_small_file_that_unpacks_to_a_picture_larger_than_memory(tmp_path: Path) -> None:
    path = tmp_path / "bomb.png"
    header = struct.pack(">II5B", 65000, 65000, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b"")]
    packed = (
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(packed))
    # Beyond OpenCV's own limit on a machine with more than 34 GB free.
    with pytest.raises(
        CaptureError, match=r"bomb\.png: (65000x65000 pixels take 34 GB|the image cannot be read)"
    ):
        read_image(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes are POSIX")
@pytest.mark.parametrize("name", ["n3dv", "transforms", "synthetic", "colmap_bin", "colmap_txt", "easymocap"])
def test_a_pipe_in_place_of_a_file(good: Folder, name: str, tmp_path: Path) -> None:
    """An archive can hold one, and opening it would wait for ever."""
    shutil.copytree(good(name), tmp_path / name)
    for file in sorted(path for path in (tmp_path / name).rglob("*") if path.is_file()):
        kept = file.rename(tmp_path / "kept")
        os.mkfifo(file)
        survives(lambda: read_whole(tmp_path / name))
        file.unlink()
        kept.rename(file)
    read_whole(tmp_path / name)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes are POSIX")
@pytest.mark.parametrize("read", [read_ply, read_image, VideoReader])
def test_a_pipe_is_no_file(read: Callable[[Path], Any], tmp_path: Path) -> None:
    path = tmp_path / "pipe.png"
    os.mkfifo(path)
    with limited(), pytest.raises(CaptureError, match=r"pipe\.png"):
        read(path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"file_path": "\ud800.png"}, "is not a file path"),
        ({"transform_matrix": [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]]}, "last row"),
    ],
)
def test_a_frame_of_odd_values(good: Folder, changes: dict[str, Any], message: str) -> None:
    path = good("transforms") / "transforms.json"
    before = path.read_bytes()
    tree = json.loads(before)
    tree["frames"][0].update(changes)
    try:
        path.write_text(json.dumps(tree))
        with pytest.raises(CaptureError, match=message):
            read_whole(good("transforms"))
    finally:
        path.write_bytes(before)


@pytest.mark.parametrize("row", [[0, 0, 0, 1e308], [1e308, 0, 0, 1], [0, 0, 0, -1]])
def test_an_alignment_that_is_no_similarity(row: list[float], good: Folder) -> None:
    path = good("n3dv") / "capture.json"
    path.write_text(json.dumps({"version": 1, "alignment": [*np.eye(4)[:3].tolist(), row]}))
    try:
        with pytest.raises(CaptureError, match="last row of a pose is 0 0 0 1"):
            read_whole(good("n3dv"))
    finally:
        path.unlink()


def test_an_exr_of_nothing(tmp_path: Path) -> None:
    """OpenEXR opens an empty file, and has no part of it."""
    path = tmp_path / "empty.exr"
    path.write_bytes(b"")
    with pytest.raises(CaptureError, match=r"empty\.exr: the image cannot be read"):
        read_image(path)


def test_a_photos_name_that_is_no_text(good: Folder) -> None:
    path = good("colmap_bin") / "sparse/0/images.bin"
    before = path.read_bytes()
    first_name = 8 + 64
    try:
        path.write_bytes(before[:first_name] + b"\x80" + before[first_name + 1 :])
        with pytest.raises(CaptureError, match="photo's name in the COLMAP model is not UTF-8"):
            read_whole(good("colmap_bin"))
    finally:
        path.write_bytes(before)


def test_a_name_that_no_disk_takes(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match="cannot be read"):
        read_image(tmp_path / ("x" * 300 + ".png"))


def test_a_calibration_that_opencv_read_for_ever(good: Folder) -> None:
    """Its reader looped in native code, where nothing could end it, on a list that lost its first line."""
    path = good("easymocap") / "intri.yml"
    lines = path.read_text().splitlines()
    lines[2:5] = ['  - "00"', '-1  - "01"', '  - "02"']
    for content in ("\n".join(lines[2:]), "\n".join(lines)):
        restored(path, lambda: read_whole(good("easymocap")), content.encode())


def test_json_that_is_nested_too_deeply(good: Folder) -> None:
    path = good("transforms") / "transforms.json"
    with pytest.raises(CaptureError, match="nested too deeply"):
        before = path.read_bytes()
        try:
            path.write_text('{"frames": ' + "[" * 100_000 + "]" * 100_000 + "}")
            open_capture(good("transforms"))
        finally:
            path.write_bytes(before)
