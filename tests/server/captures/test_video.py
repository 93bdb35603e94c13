from __future__ import annotations

import random
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest

from neural_render_server.captures.video import VideoReader, probe_video
from neural_render_server.errors import CaptureError

FRAMES = 36


@pytest.fixture(scope="module")
def film(make: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Keyframes every 12 frames and B-frames between, so that order and seeks matter."""
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    options = {"g": "12", "bf": "3", "preset": "medium"}
    make.write_video(path, [make.numbered_picture(k) for k in range(FRAMES)], options=options)
    return path


def test_probe_tells_size_count_and_rate(film: Path) -> None:
    info = probe_video(film)
    assert (info.width, info.height, info.frames, info.fps) == (64, 48, FRAMES, 12.0)


def test_frames_come_in_presentation_order(make: SimpleNamespace, film: Path) -> None:
    with VideoReader(film) as reader:
        assert [make.number_of(picture) for picture in reader.read(range(FRAMES))] == list(range(FRAMES))


def test_any_frame_can_be_read_in_any_order(make: SimpleNamespace, film: Path) -> None:
    order = random.Random(0).sample(range(FRAMES), FRAMES)
    with VideoReader(film, cache_bytes=1) as reader:
        assert [make.number_of(reader.frame(k)) for k in order] == order


def test_some_frames_can_be_read_in_one_pass(make: SimpleNamespace, film: Path) -> None:
    with VideoReader(film) as reader:
        assert [make.number_of(picture) for picture in reader.read([3, 4, 29, 35])] == [3, 4, 29, 35]


def test_the_cache_holds_what_it_may_and_no_more(film: Path) -> None:
    one_frame = 64 * 48 * 3
    with VideoReader(film, cache_bytes=2 * one_frame) as reader:
        first = reader.frame(0)
        assert reader.frame(0) is first
        reader.frame(1)
        reader.frame(2)
        assert reader.frame(0) is not first


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_rotation_metadata_turns_the_picture_upright(
    make: SimpleNamespace, tmp_path: Path, rotation: int
) -> None:
    picture = np.full((48, 64, 3), 40, dtype=np.uint8)
    picture[:16, :16] = 220  # the top left corner is bright
    path = tmp_path / "turned.mp4"
    make.write_video(path, [picture] * 2, rotation=rotation)
    info = probe_video(path)
    expected = np.rot90(picture, rotation // 90)  # a display rotation turns counter-clockwise
    assert (info.height, info.width) == expected.shape[:2]
    with VideoReader(path) as reader:
        assert np.abs(reader.frame(0).astype(int) - expected).mean() < 4


@pytest.mark.parametrize(("size", "kr", "kb"), [((96, 64), 0.299, 0.114), ((1280, 720), 0.2126, 0.0722)])
def test_untagged_video_has_the_colour_matrix_of_its_size(
    tmp_path: Path, size: tuple[int, int], kr: float, kb: float
) -> None:
    red, green, blue = 0.8, 0.3, 0.2
    luma = kr * red + (1 - kr - kb) * green + kb * blue
    planes = [16 + 219 * luma, 128 + 112 * (blue - luma) / (1 - kb), 128 + 112 * (red - luma) / (1 - kr)]
    width, height = size
    yuv = np.stack([np.full((height, width), round(plane), dtype=np.uint8) for plane in planes])
    path = tmp_path / "colour.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=12, options={"crf": "1", "preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv444p"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(yuv, format="yuv444p")))
        container.mux(stream.encode())
    with VideoReader(path) as reader:
        pixel = np.median(reader.frame(0).reshape(-1, 3), axis=0)
    assert np.abs(pixel - 255 * np.array([red, green, blue])).max() <= 3


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuvj420p"])
def test_subsampled_chroma_is_interpolated(tmp_path: Path, pix_fmt: str) -> None:
    """A hue that changes along the row comes back, neither stretched in range nor rounded down."""
    x = np.linspace(0, 1, 64)
    swing = 0.25 * np.sin(2 * np.pi * x)
    red, blue = 0.5 + swing, 0.5 - swing
    green = (0.5 - 0.299 * red - 0.114 * blue) / 0.587
    row = np.rint(255 * np.stack([red, green, blue], axis=1)).astype(np.uint8)
    picture = np.ascontiguousarray(np.repeat(row[None], 48, axis=0))
    path = tmp_path / "hue.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=12, options={"crf": "1", "preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, pix_fmt
        container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    with VideoReader(path) as reader:
        difference = reader.frame(0).astype(float) - picture
    assert np.sqrt((difference[:, 4:-4] ** 2).mean()) < 2.3
    assert abs(difference.mean()) < 0.8


def test_a_container_without_an_index_is_counted(make: SimpleNamespace, tmp_path: Path) -> None:
    path = tmp_path / "film.mkv"
    make.write_video(path, [make.numbered_picture(k) for k in range(20)])
    with VideoReader(path) as reader:
        assert reader.info.frames == 20
        assert make.number_of(reader.frame(17)) == 17


def test_a_cut_off_video_is_named(film: Path, tmp_path: Path) -> None:
    for part in (0.5, 0.9):
        cut = tmp_path / "cut.mp4"
        content = film.read_bytes()
        cut.write_bytes(content[: int(len(content) * part)])
        with pytest.raises(CaptureError, match=r"cut\.mp4"):
            probe_video(cut)


def test_a_cut_off_video_with_its_index_in_front_is_named(make: SimpleNamespace, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    noise = [rng.integers(0, 255, (48, 64, 3), dtype=np.uint8) for _ in range(12)]
    path = tmp_path / "front.mp4"
    make.write_video(path, noise, options={"movflags": "faststart"})
    with (
        av.open(str(path)) as whole,
        av.open(str(tmp_path / "f.mp4"), "w", options={"movflags": "faststart"}) as out,
    ):
        stream = out.add_stream_from_template(whole.streams.video[0])
        for packet in whole.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                out.mux(packet)
    content = (tmp_path / "f.mp4").read_bytes()
    path.write_bytes(content[: len(content) * 2 // 3])
    with pytest.raises(CaptureError, match=r"front\.mp4: the video is cut off after \d+ of 12 frames"):
        probe_video(path)


@pytest.mark.parametrize("content", [b"", b"no video at all" * 100])
def test_what_is_no_video_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.mp4"
    path.write_bytes(content)
    with pytest.raises(CaptureError, match=r"broken\.mp4: the video cannot be read"):
        probe_video(path)


def test_missing_video_and_frame_are_named(film: Path, tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match="does not exist"):
        probe_video(tmp_path / "none.mp4")
    with VideoReader(film) as reader, pytest.raises(CaptureError, match=f"no frame {FRAMES}"):
        reader.frame(FRAMES)


def test_a_video_without_frames_is_named(tmp_path: Path) -> None:
    path = tmp_path / "empty.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=12)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        container.start_encoding()
    assert path.stat().st_size > 0
    with pytest.raises(CaptureError, match=r"empty\.mkv: the video (has no frames|cannot be read)"):
        probe_video(path)


def test_sound_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=8000, layout="mono")
        silence = av.AudioFrame.from_ndarray(
            np.zeros((1, 1024), dtype=np.float32), format="fltp", layout="mono"
        )
        silence.rate = 8000
        container.mux(stream.encode(silence))
        container.mux(stream.encode())
    with pytest.raises(CaptureError, match=r"sound\.mp4: the file holds no video"):
        probe_video(path)


@pytest.mark.parametrize(
    ("codec", "kind"), [("libx264", "noise"), ("libx264", "zeros"), ("mpeg4", "noise"), ("mpeg4", "header")]
)
def test_a_damaged_frame_in_the_middle_is_named(
    make: SimpleNamespace, tmp_path: Path, codec: str, kind: str
) -> None:
    """FFmpeg fills damage from other frames, refuses the packet, or leaves the frame out without a word."""
    path = tmp_path / "film.mp4"
    texture = np.random.default_rng(0).integers(0, 256, (12, 16, 3), np.uint8).repeat(16, 0).repeat(16, 1)
    pictures = [np.roll(texture, 3 * k, 1) for k in range(FRAMES)]
    make.write_video(path, pictures, codec=codec, options={"g": "12", "bf": "0"})
    with VideoReader(path) as reader:
        whole = list(reader.read(range(FRAMES)))
    with av.open(str(path)) as container:
        packet = [(one.pos, one.size) for one in container.demux(video=0) if one.size][20]
    data = bytearray(path.read_bytes())
    start, size = packet
    if kind == "noise":
        data[start + size // 3 : start + size] = random.Random(1).randbytes(size - size // 3)
    elif kind == "zeros":
        data[start : start + size] = bytes(size)
    else:
        data[start + 4 : start + 8] = b"\x00\x11\x22\x33"
    path.write_bytes(data)
    with VideoReader(path) as reader:
        for index in range(18):  # threads decode some frames ahead
            assert np.array_equal(reader.frame(index), whole[index])
        with pytest.raises(CaptureError, match=r"film\.mp4: (frame 21 of 36 is damaged|.*cannot be read)"):
            list(reader.read(range(18, FRAMES)))
    with VideoReader(path) as reader:  # what follows the next keyframe is whole
        assert np.array_equal(reader.frame(30), whole[30])


def test_a_camera_of_varying_rate_has_no_damage(make: SimpleNamespace, tmp_path: Path) -> None:
    path = tmp_path / "phone.mp4"
    make.write_video(
        path, [make.numbered_picture(k) for k in range(9)], times=[0, 1, 2, 9, 10, 11, 30, 31, 40]
    )
    with VideoReader(path) as reader:
        assert [make.number_of(picture) for picture in reader.read(range(9))] == list(range(9))
