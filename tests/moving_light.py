"""Two cameras' films of something that moves unevenly, with sound, started apart by a known time."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

FPS, FRAMES = 24, 96
WIDTH, HEIGHT = 64, 48
SOUND_RATE = 48000


def position(time: float) -> np.ndarray:
    """Where the disc is, in [0, 1] of the picture: no two seconds of its path are alike."""
    return np.array(
        [
            0.5 + 0.25 * np.sin(2.1 * time) + 0.12 * np.sin(7.3 * time + 1.0) + 0.05 * np.sin(17.0 * time),
            0.5 + 0.2 * np.cos(3.3 * time + 0.5) + 0.1 * np.sin(9.1 * time),
        ]
    )


def picture(time: float, is_other_side: bool) -> np.ndarray:
    """(HEIGHT, WIDTH, 3) uint8 of the disc; the other side sees it mirrored, smaller, before another wall."""
    x, y = np.meshgrid((np.arange(WIDTH) + 0.5) / WIDTH, (np.arange(HEIGHT) + 0.5) / HEIGHT)
    at = position(time)
    if is_other_side:
        at = np.array([1.0 - 0.8 * at[0], 0.15 + 0.7 * at[1]])
    distance = np.hypot((x - at[0]) * WIDTH / HEIGHT, y - at[1])
    disc = np.clip((0.12 - distance) * HEIGHT + 0.5, 0.0, 1.0)[..., None]
    wall = 0.3 + 0.2 * (x if is_other_side else y)[..., None] * np.array([1.0, 0.9, 0.7])
    return np.asarray(((disc * [0.95, 0.8, 0.5] + (1.0 - disc) * wall) * 255).round().astype(np.uint8))


def sound(seconds: float) -> np.ndarray:
    """(S,) float32 noise, as a room full of people would be."""
    return np.random.default_rng(7).normal(0.0, 0.2, round(seconds * SOUND_RATE)).astype(np.float32)


def write_film(path: Path, start: float, is_other_side: bool = False, timecode: str = "") -> None:
    """A video that was started ``start`` seconds late, with the room's sound and a microphone's own hiss."""
    length = FRAMES / FPS
    heard = sound(start + length + 1.0)[round(start * SOUND_RATE) :][: round(length * SOUND_RATE)]
    hiss = np.random.default_rng(int(is_other_side)).normal(0.0, 0.05, len(heard)).astype(np.float32)
    if is_other_side:  # another microphone: the treble is damped
        heard = np.convolve(heard, np.array([0.25, 0.5, 0.25], dtype=np.float32), "same")
    samples = (heard + hiss).clip(-1, 1).astype(np.float32)
    with av.open(str(path), "w", options={} if path.suffix == ".mkv" else {"movflags": "+faststart"}) as film:
        video = film.add_stream("libx264", rate=Fraction(FPS), options={"crf": "10", "preset": "ultrafast"})
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        if timecode:
            video.metadata["timecode"] = timecode
        audio = film.add_stream("aac", rate=SOUND_RATE, layout="mono")
        for frame in range(FRAMES):
            pixels = picture(start + frame / FPS, is_other_side)
            film.mux(video.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        film.mux(video.encode())
        block = av.AudioFrame.from_ndarray(samples[None], format="fltp", layout="mono")
        block.sample_rate = SOUND_RATE
        film.mux(audio.encode(block))
        film.mux(audio.encode())
