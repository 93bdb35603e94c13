"""Reading video frames with PyAV: sequentially, or any frame through seeks to keyframes."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import av
import numpy as np
import numpy.typing as npt
from av.video.reformatter import Colorspace, Interpolation

from ..errors import CaptureError
from .pixels import Pixels, from_float
from .transfer import LOG_CURVES, linear_rec_709, linear_to_srgb

VIDEO_SUFFIXES = (".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v")

# Frames ahead that are decoded on rather than sought: a seek costs decoding from the last keyframe.
READ_ON = 16

# Times that are this part of a frame off an even rate are rounded ones (Matroska counts milliseconds).
EVEN = 0.1

# A stream that does not say its colour matrix is taken as BT.709 when it is HD and BT.601 below, as
# players do (mpv's rule: at least 1280 wide or more than 576 high).
HD_WIDTH, SD_HEIGHT = 1280, 576
UNSPECIFIED = 2  # AVCOL_SPC_UNSPECIFIED

# AVCOL_TRC_*, AVCOL_PRI_* that footage beyond white says of itself -> how it is decoded.
TRANSFERS = {16: "pq", 18: "hlg"}

# Formats with subsampled chroma -> the same with a sample a pixel (yuvj: full range).
FULL_CHROMA = {
    "yuv420p": "yuv444p",
    "yuv422p": "yuv444p",
    "yuvj420p": "yuvj444p",
    "yuvj422p": "yuvj444p",
    "yuv420p10le": "yuv444p10le",
    "yuv422p10le": "yuv444p10le",
    "yuv420p12le": "yuv444p12le",
    "yuv422p12le": "yuv444p12le",
}


# A file that calls itself a video may be a playlist, by which FFmpeg would open other files and addresses.
_ONLY_THIS_FILE = {
    "protocol_whitelist": "file",
    "format_whitelist": "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mxf,ogg",
}


def is_video(path: Path) -> bool:
    return path.suffix.lower() in VIDEO_SUFFIXES and not path.name.startswith(".")


@dataclass(frozen=True)
class VideoInfo:
    """``width`` and ``height`` are those of the upright frame, rotation metadata honoured.

    ``bits`` are those of a colour channel; ``transfer`` names the curve of ``transfer.LOG_CURVES`` that
    the file says it was recorded with, None for ordinary video. ``uneven_times`` are the frames' seconds
    from the first one's where they do not follow ``fps`` (telephones, dropped frames); None where they do.
    """

    width: int
    height: int
    frames: int
    fps: float
    bits: int = 8
    transfer: str | None = None
    uneven_times: tuple[float, ...] | None = None


def probe_video(path: Path) -> VideoInfo:
    """Size, frame count and rate of a video; its first frame is decoded to prove it readable.

    Raises:
        CaptureError: the file is unreadable, empty or cut off.
    """
    with VideoReader(path) as reader:
        return reader.info


def upright_rgb(frame: av.VideoFrame, transfer: str | None = None) -> Pixels:
    """(H, W, 3) RGB of a decoded frame, turned by its rotation metadata.

    More than 8 bits stay, and light beyond white too where the frame, or else ``transfer``, names its curve.
    """
    turns, colorspace = _quarter_turns(frame), None
    if int(frame.colorspace) == UNSPECIFIED:
        is_hd = max(frame.width, frame.height) >= HD_WIDTH or min(frame.width, frame.height) > SD_HEIGHT
        colorspace = Colorspace.ITU709 if is_hd else Colorspace.ITU601
    if frame.format.name in FULL_CHROMA:
        # One step to RGB would repeat chroma samples and round down, a level too dark on the whole: on
        # photographs two steps are 0.3 to 3.6 dB nearer to the original, for no measurable time.
        frame = frame.reformat(format=FULL_CHROMA[frame.format.name], interpolation=Interpolation.BICUBIC)
    curve = transfer or TRANSFERS.get(int(frame.color_trc))
    deep = _bits(frame) > 8 or curve is not None
    pixels = frame.reformat(format="rgb48le" if deep else "rgb24", src_colorspace=colorspace).to_ndarray()
    if deep:
        signal = pixels.astype(np.float32) / np.float32(65535.0)
        if curve is not None:
            signal = linear_to_srgb(linear_rec_709(signal, LOG_CURVES[curve]))
        pixels = from_float(signal, deep=True)
    return np.ascontiguousarray(np.rot90(pixels, turns))


def _bits(frame: av.VideoFrame) -> int:
    return int(max(component.bits for component in frame.format.components))


def _quarter_turns(frame: av.VideoFrame) -> int:
    """Counter-clockwise quarter turns that stand a frame upright."""
    return round(int(frame.rotation) / 90) % 4


class VideoReader:
    """Random access to a video's frames, numbered from 0 in presentation order.

    ``transfer`` is the curve the footage was recorded with, where it does not say so itself. Holds at most
    ``cache_bytes`` of decoded frames. Not safe for several threads at once.

    Raises:
        CaptureError: the file is unreadable, empty or cut off (on opening or on reading).
    """

    def __init__(self, path: Path, cache_bytes: int = 64 * 2**20, transfer: str | None = None) -> None:
        self.path = path
        self._transfer = transfer
        self._cache: OrderedDict[int, Pixels] = OrderedDict()
        self._cache_bytes = cache_bytes
        self._timestamps: list[int] | None = None
        self._decoder: Iterator[av.VideoFrame] | None = None
        self._next = 0
        self._last_pts, self._usual_step = 0, math.inf
        if not path.is_file():
            raise CaptureError(f"{path}: the video does not exist")
        try:
            self._container = av.open(str(path), options=_ONLY_THIS_FILE)
        except (av.FFmpegError, ValueError) as error:
            raise self._unreadable() from error
        try:
            if not self._container.streams.video:
                raise CaptureError(f"{path}: the file holds no video")
            self._stream = self._container.streams.video[0]
            self._stream.thread_type = "AUTO"
            self.info = self._probe()
        except (av.FFmpegError, ValueError) as error:
            self.close()
            raise self._unreadable() from error
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._decoder = None
        self._cache.clear()
        self._container.close()

    def read(self, frames: Sequence[int]) -> Iterator[Pixels]:
        """(H, W, 3) RGB of each of ``frames`` (ascending), decoded in one pass."""
        for frame in frames:
            yield self._decode(frame)

    def frame(self, index: int) -> Pixels:
        """(H, W, 3) RGB of one frame, from the cache or by seeking to the keyframe before it."""
        if index in self._cache:
            self._cache.move_to_end(index)
            return self._cache[index]
        pixels = self._decode(index)
        self._cache[index] = pixels
        while len(self._cache) > max(1, self._cache_bytes // pixels.nbytes):
            self._cache.popitem(last=False)
        return pixels

    def _probe(self) -> VideoInfo:
        count = self._count_frames()
        first = next(iter(self._container.decode(self._stream)), None)
        if first is None or count < 1:
            raise CaptureError(f"{self.path}: the video has no frames; record or export it again")
        width, height = first.width, first.height
        if _quarter_turns(first) % 2:
            width, height = height, width
        rate = self._stream.average_rate or self._stream.guessed_rate
        if rate and self._stream.time_base:
            self._usual_step = float(1 / (rate * self._stream.time_base))
        self._container.seek(0)
        return VideoInfo(
            width,
            height,
            count,
            float(rate) if rate else 0.0,
            _bits(first),
            TRANSFERS.get(int(first.color_trc)),
            self._uneven_times(float(rate) if rate else 0.0),
        )

    def _uneven_times(self, fps: float) -> tuple[float, ...] | None:
        entries = self._stream.index_entries
        if len(entries) == self._stream.frames:
            # In decoding order, but as even as the times of presentation are, and there without reading on.
            times = np.array([entry.timestamp for entry in entries if not entry.is_discard])
        else:
            times = np.array(self._presentation_times())
        base = float(self._stream.time_base or 0)
        if self._is_even(times * base, fps):
            return None
        times = np.array(self._presentation_times()) * base
        return tuple((times - times[0]).tolist())

    @staticmethod
    def _is_even(times: npt.NDArray[np.float64], fps: float) -> bool:
        off = times - times[0] - np.arange(len(times)) / fps if fps > 0 else np.zeros(1)
        return bool(np.abs(off).max() * fps <= EVEN)

    def _count_frames(self) -> int:
        """Frames from the container's index, else by demuxing (no decoding)."""
        entries = self._stream.index_entries
        if len(entries) and len(entries) == self._stream.frames:
            size = self.path.stat().st_size
            whole = sum(entry.pos + entry.size <= size for entry in entries)
            if whole < len(entries):
                raise CaptureError(
                    f"{self.path}: the video is cut off after {whole} of {len(entries)} frames; copy it again"
                )
            return sum(not entry.is_discard for entry in entries)
        return len(self._presentation_times())

    def _presentation_times(self) -> list[int]:
        if self._timestamps is None:
            # Opened again: what is being decoded goes on where it is.
            with av.open(str(self.path), options=_ONLY_THIS_FILE) as container:
                self._timestamps = sorted(
                    packet.pts
                    for packet in container.demux(container.streams.video[0])
                    if packet.pts is not None and not packet.is_discard
                )
        return self._timestamps

    def _decode(self, index: int) -> Pixels:
        if not 0 <= index < self.info.frames:
            raise CaptureError(f"{self.path}: no frame {index}; the video has {self.info.frames}")
        try:
            frame = self._decode_frame(index)
        except (av.FFmpegError, ValueError) as error:
            raise self._unreadable() from error
        if frame is None:
            raise CaptureError(
                f"{self.path}: the video ends before its frame {index + 1} of {self.info.frames}; "
                "copy it again"
            )
        return upright_rgb(frame, self._transfer)

    def _decode_frame(self, index: int) -> av.VideoFrame | None:
        if self._decoder is None and index < READ_ON:
            self._container.seek(0)
            self._decoder, self._next = self._container.decode(self._stream), 0
        if self._decoder is not None and self._next <= index <= self._next + READ_ON:
            for frame in self._decoder:
                self._check_whole(frame, self._next)
                self._next += 1
                if self._next > index:
                    return frame
            return None
        target = self._presentation_times()[index]
        self._container.seek(target, stream=self._stream, backward=True)
        self._decoder, self._next = self._container.decode(self._stream), index
        for frame in self._decoder:
            if frame.pts is not None and frame.pts >= target:
                self._check_whole(frame, index)
                self._next = index + 1
                return frame
        return None

    def _check_whole(self, frame: av.VideoFrame, index: int) -> None:
        """Decoders hide damage: they fill it from other frames, or leave the frame out, which would put all
        that follow at a wrong time.

        Raises:
            CaptureError: ``frame`` is damaged, or not the one of number ``index``.
        """
        if frame.is_corrupt or self._is_later(frame, index):
            raise CaptureError(
                f"{self.path}: frame {index + 1} of {self.info.frames} is damaged; copy the video again, or "
                "leave that time out with timesteps"
            )

    def _is_later(self, frame: av.VideoFrame, index: int) -> bool:
        """Whether ``frame`` comes after that of number ``index``, which the decoder has left out."""
        if frame.pts is None:
            return False
        step, self._last_pts = frame.pts - self._last_pts, frame.pts
        if self._timestamps is None and step < 1.5 * self._usual_step:
            return False
        # A gap, or a camera of varying rate: the packets tell. One that lacks its time tells nothing.
        times = self._presentation_times()
        return len(times) == self.info.frames > index + 1 and frame.pts >= times[index + 1]

    def _unreadable(self) -> CaptureError:
        return CaptureError(
            f"{self.path}: the video cannot be read; copy it again or convert it to H.264 MP4"
        )
