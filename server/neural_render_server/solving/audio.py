"""The sound of a recording, on the clock of its pictures, and how far two recordings are apart by it."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

from ..errors import SolveError

# Samples a second: speech and claps lie below 8 kHz, and a sample is 1/700 of a frame at 24 a second.
RATE = 16000

# What is compared (Hz): below lies handling noise and hum, above little that reaches every microphone.
BAND = (150.0, 6000.0)

# A peak this many times the correlation's standard deviation is no accident: noise of a minute reaches 6.
LEAST_PEAK = 10.0

_NO_SOUND = "; synchronise by picture or by hand"


def read_sound(path: Path) -> npt.NDArray[np.float32]:
    """(S,) mono samples at ``RATE`` a second, from the moment of the video's first picture on.

    Raises:
        SolveError: there is no sound, or it cannot be read.
    """
    blocks: list[tuple[float, npt.NDArray[np.float32]]] = []
    try:
        with av.open(str(path)) as container:
            if not container.streams.audio:
                raise SolveError(f"{path}: has no sound{_NO_SOUND}")
            sound, video = container.streams.audio[0], container.streams.video[0]
            begin = float((video.start_time or 0) * (video.time_base or 0))
            resampler = av.AudioResampler(format="flt", layout="mono", rate=RATE)
            for frame in container.decode(sound):
                blocks += [(block.time, block.to_ndarray()[0]) for block in resampler.resample(frame)]
            blocks += [(block.time, block.to_ndarray()[0]) for block in resampler.resample(None)]
    except (av.FFmpegError, ValueError, IndexError) as error:
        raise SolveError(f"{path}: its sound cannot be read{_NO_SOUND}") from error
    if not blocks or not any(block.any() for _, block in blocks):
        raise SolveError(f"{path}: its sound is silence{_NO_SOUND}")
    first = round(((blocks[0][0] or 0.0) - begin) * RATE)
    samples = np.concatenate([block for _, block in blocks])
    if first < 0:  # the sound began before the first picture
        return samples[-first:]
    return np.concatenate([np.zeros(first, dtype=np.float32), samples])


def sound_delay(first: npt.NDArray[np.float32], second: npt.NDArray[np.float32]) -> tuple[float, float]:
    """Seconds by which ``second`` was started after ``first``, and how surely: peak over deviation.

    Generalised cross-correlation with phase transform (Knapp and Carter 1976): every frequency of ``BAND``
    counts alike, so that microphones and rooms may differ. The peak is refined by a parabola.
    """
    size = 1 << int(np.ceil(np.log2(len(first) + len(second))))
    cross = np.fft.rfft(first, size) * np.conj(np.fft.rfft(second, size))
    frequencies = np.fft.rfftfreq(size, 1.0 / RATE)
    in_band = (frequencies >= BAND[0]) & (frequencies <= BAND[1])
    cross = np.where(in_band, cross / np.maximum(np.abs(cross), 1e-12), 0.0)
    correlation = np.fft.irfft(cross, size)
    peak = int(np.argmax(correlation))
    before, at, after = correlation[[peak - 1, peak, (peak + 1) % size]]
    bend = before - 2.0 * at + after
    shift = 0.5 * (before - after) / bend if bend < 0 else 0.0
    lag = peak + shift
    if lag > size / 2:
        lag -= size
    return float(lag / RATE), float(at / correlation.std())
