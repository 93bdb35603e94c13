"""Footage of more than 8 bits, and light brighter than white: from the readers to a render."""

from __future__ import annotations

import json
import struct
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import OpenEXR
import pytest
import tiny_capture

from neural_render_server.captures.detect import open_capture
from neural_render_server.captures.exr_image import read_exr_linear
from neural_render_server.captures.frames import Frames
from neural_render_server.captures.image import image_header, is_deep_image, read_image
from neural_render_server.captures.pixels import as_bytes, as_float, from_float
from neural_render_server.captures.transfer import (
    LOG_CURVES,
    REC_2020,
    linear_rec_709,
    linear_to_srgb,
    srgb_to_linear,
    to_rec_709,
)
from neural_render_server.captures.video import VideoReader
from neural_render_server.errors import CaptureError, OptionError
from neural_render_server.methods.base import Method
from neural_render_server.progress import Control, Event
from neural_render_server.scene import Scene, load_method
from neural_render_server.training.options import TrainOptions
from neural_render_server.training.trainer import train


def write_exr(path: Path, linear: np.ndarray, **header: object) -> None:
    channels = {
        name: np.ascontiguousarray(linear[..., k]) for k, name in enumerate("RGBA"[: linear.shape[-1]])
    }
    OpenEXR.File(
        {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage, **header}, channels
    ).write(str(path))


def test_pixels_keep_12_bits_and_nine_stops() -> None:
    values = np.array([0.0, 0.5, 0.50025, 1.0, 15.9], np.float32)
    deep = from_float(values, deep=True)
    assert deep.dtype == np.uint16 and deep[1] != deep[2]
    np.testing.assert_allclose(as_float(deep), values, atol=0.5 / 4095)
    assert as_bytes(deep).tolist() == [0, 128, 128, 255, 255]
    assert from_float(values, deep=False).tolist() == [0, 128, 128, 255, 255]


def test_exr_is_linear_and_goes_beyond_white(tmp_path: Path) -> None:
    linear = np.random.default_rng(0).uniform(0.0, 12.0, (6, 8, 3)).astype(np.float32)
    write_exr(tmp_path / "frame.exr", linear)
    assert image_header(tmp_path / "frame.exr") == (8, 6, False)
    assert is_deep_image(tmp_path / "frame.exr")
    pixels = read_image(tmp_path / "frame.exr")
    np.testing.assert_allclose(srgb_to_linear(as_float(pixels)), linear, rtol=2e-3, atol=1e-3)


def test_exr_alpha_comes_back_straight(tmp_path: Path) -> None:
    straight = np.full((4, 4, 3), 2.0, np.float32)
    alpha = np.linspace(0.0, 1.0, 16, dtype=np.float32).reshape(4, 4, 1)
    write_exr(tmp_path / "frame.exr", np.concatenate([straight * alpha, alpha], axis=-1))
    read = read_exr_linear(tmp_path / "frame.exr")
    assert image_header(tmp_path / "frame.exr")[2]
    np.testing.assert_allclose(read[..., 3:], alpha, atol=1e-6)
    np.testing.assert_allclose(read[..., :3][alpha[..., 0] > 0], 2.0, rtol=1e-5)


def test_exr_of_other_primaries_is_converted(tmp_path: Path) -> None:
    wide = np.full((2, 2, 3), 0.5, np.float32)
    wide[0, 0] = (0.2, 0.5, 0.1)
    values = (*REC_2020[0], *REC_2020[1], *REC_2020[2], 0.3127, 0.3290)
    write_exr(tmp_path / "wide.exr", wide, chromaticities=values)
    read = read_exr_linear(tmp_path / "wide.exr")
    np.testing.assert_allclose(read[1, 1], 0.5, atol=1e-4)  # grey stays grey
    expected = np.maximum(to_rec_709(REC_2020) @ wide[0, 0], 0.0)
    np.testing.assert_allclose(read[0, 0], expected, atol=1e-4)
    assert read[0, 0, 1] > 0.53  # the same green takes more of Rec.709's


@pytest.mark.parametrize("content", [b"", b"\x76\x2f\x31\x01 not an exr", b"PNG"])
def test_a_damaged_exr_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bad.exr").write_bytes(content)
    for read in (image_header, read_image):
        with pytest.raises(CaptureError, match=r"bad\.exr: the image cannot be read"):
            read(tmp_path / "bad.exr")


def test_a_small_exr_that_unpacks_to_more_than_the_memory_is_refused(tmp_path: Path) -> None:
    write_exr(tmp_path / "bomb.exr", np.zeros((4, 4, 3), np.float32))
    content = (tmp_path / "bomb.exr").read_bytes()
    window = struct.pack("<4i", 0, 0, 3, 3)
    assert content.count(window) == 2  # the data's and the display's
    (tmp_path / "bomb.exr").write_bytes(content.replace(window, struct.pack("<4i", 0, 0, 32767, 32766)))
    with pytest.raises(CaptureError, match=r"bomb\.exr: 32768x32767 pixels take 69 GB to decode"):
        read_image(tmp_path / "bomb.exr")


def test_16_bit_png_keeps_its_bits(tmp_path: Path) -> None:
    ramp = np.tile(np.linspace(0, 65535, 64).astype(np.uint16)[None, :, None], (4, 1, 3))
    cv2.imwrite(str(tmp_path / "deep.png"), ramp)
    cv2.imwrite(str(tmp_path / "flat.png"), (ramp // 257).astype(np.uint8))
    assert is_deep_image(tmp_path / "deep.png") and not is_deep_image(tmp_path / "flat.png")
    np.testing.assert_allclose(as_float(read_image(tmp_path / "deep.png")), ramp / 65535.0, atol=0.6 / 4095)


@pytest.mark.parametrize(
    ("name", "gray"),  # the makers' code value for 18 % grey, of their own documents
    [("slog3", 420 / 1023), ("vlog", 433 / 1023), ("logc3", 400 / 1023)],
)
def test_log_curves_put_grey_at_18_percent(name: str, gray: float) -> None:
    signal = np.full((1, 1, 3), gray, np.float32)
    np.testing.assert_allclose(linear_rec_709(signal, LOG_CURVES[name]), 0.18, atol=0.002)


def test_white_is_white_in_hlg_and_pq() -> None:
    """ITU-R BT.2408: 75 % of HLG; 203 cd/m^2, 58 % of PQ."""
    for name, level in (("hlg", 0.75), ("pq", 0.5807)):
        white = linear_rec_709(np.full((1, 1, 3), level, np.float32), LOG_CURVES[name])
        np.testing.assert_allclose(white, 1.0, atol=0.01)
        assert linear_rec_709(np.ones((1, 1, 3), np.float32), LOG_CURVES[name]).max() > 3.0


@pytest.mark.parametrize("curve", sorted(LOG_CURVES))
def test_curves_rise_everywhere(curve: str) -> None:
    values = LOG_CURVES[curve].decode(np.linspace(0.0, 1.0, 500, dtype=np.float32))
    assert (np.diff(values) >= 0).all() and np.isfinite(values).all()


def write_deep_video(path: Path, signal: np.ndarray, **color: int) -> None:
    """10-bit 4:4:4 H.264 of (N, H, W, 3) RGB in [0, 1]."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(
            "libx264", rate=Fraction(12), options={"qp": "0", "preset": "ultrafast"}
        )
        stream.height, stream.width, stream.pix_fmt = *signal.shape[1:3], "yuv444p10le"
        for name, value in color.items():
            setattr(stream.codec_context, name, value)
        for image in signal:
            deep = np.rint(image * 65535.0).astype(np.uint16)
            frame = av.VideoFrame.from_ndarray(deep, format="rgb48le")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def test_10_bit_video_keeps_its_bits(tmp_path: Path) -> None:
    ramp = np.tile(np.linspace(0.2, 0.45, 256)[None, None, :, None], (2, 16, 1, 3))
    write_deep_video(tmp_path / "deep.mp4", ramp)
    with VideoReader(tmp_path / "deep.mp4") as reader:
        assert reader.info.bits == 10 and reader.info.transfer is None
        pixels = reader.frame(1)
    assert len(np.unique(pixels[8, :, 1])) > 200  # 8 bits would leave 64
    np.testing.assert_allclose(as_float(pixels), ramp[1], atol=3 / 1023)


def test_hlg_video_says_so_and_goes_beyond_white(tmp_path: Path) -> None:
    signal = np.full((1, 16, 32, 3), 0.75)
    signal[:, :, 16:] = 1.0
    write_deep_video(tmp_path / "phone.mp4", signal, color_trc=18, color_primaries=9)
    with VideoReader(tmp_path / "phone.mp4") as reader:
        assert reader.info.transfer == "hlg"
        linear = srgb_to_linear(as_float(reader.frame(0)))
    np.testing.assert_allclose(linear[8, 4], 1.0, atol=0.02)
    np.testing.assert_allclose(linear[8, 28], 1.0 / 0.265, rtol=0.02)


def test_named_log_footage_is_decoded(tmp_path: Path) -> None:
    write_deep_video(tmp_path / "cine.mp4", np.full((1, 16, 16, 3), 420 / 1023))
    with VideoReader(tmp_path / "cine.mp4", transfer="slog3") as reader:
        np.testing.assert_allclose(srgb_to_linear(as_float(reader.frame(0))), 0.18, atol=0.006)
    with pytest.raises(OptionError, match=r"no recording curve 'log9'; there are slog3"):
        TrainOptions("capture", "scene", transfer="log9")


@pytest.fixture(scope="module")
def bright_capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny room as EXR frames, four times as bright: its ball and wall are brighter than white."""
    folder = tmp_path_factory.mktemp("bright") / "capture"
    tiny_capture.write_transforms(folder)
    file = folder / "transforms.json"
    data = json.loads(file.read_text())
    for frame in data["frames"]:
        path = folder / frame["file_path"]
        rgb = cv2.imread(str(path))[..., ::-1].astype(np.float32) / 255.0
        frame["file_path"] = frame["file_path"].replace(".png", ".exr")
        write_exr(folder / frame["file_path"], 4.0 * srgb_to_linear(rgb))
        path.unlink()
    file.write_text(json.dumps(data))
    return folder


def trained(capture: Path, scene: Path, method: str, **changes: object) -> tuple[Method, list[str]]:
    told: list[str] = []

    def listen(event: Event) -> None:
        if event.kind == "message":
            told.append(event.data["message"])

    options = TrainOptions(str(capture), str(scene), method, "small", test_cameras=("cam00_000",), **changes)  # type: ignore[arg-type]
    train(options, listen, Control())
    return load_method(Scene(scene), "cpu"), told


def test_light_beyond_white_is_trained_and_rendered(bright_capture: Path, tmp_path: Path) -> None:
    method, told = trained(
        bright_capture, tmp_path / "scene", "gaussians", steps=250, options={"count": 1500}
    )
    assert not any("clipped" in message for message in told)
    with Frames(open_capture(bright_capture), [0]) as frames:
        truth = as_float(frames.rgb(0))
        image = method.render(frames.cameras[0], 0.0).over(method.background)
    assert truth.max() > 1.5
    bright = truth > 1.3  # linear 1.8 and more
    assert bright.mean() > 0.02
    np.testing.assert_allclose(np.median(image[bright]), np.median(truth[bright]), rtol=0.1)
    error = np.sqrt(np.square(image - truth).mean())
    assert error < 0.12, error


def test_methods_that_clip_say_so(bright_capture: Path, tmp_path: Path) -> None:
    _, told = trained(bright_capture, tmp_path / "scene", "instant-ngp", steps=3)
    assert "instant-ngp learns nothing brighter than white: brighter light is clipped." in told


def test_linear_and_encoded_are_inverses() -> None:
    values = np.linspace(0.0, 20.0, 200, dtype=np.float32)
    np.testing.assert_allclose(srgb_to_linear(linear_to_srgb(values)), values, rtol=1e-4, atol=1e-6)
