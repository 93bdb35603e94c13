"""How each camera's colours differ from the other cameras': exposure, white balance, vignetting.

Cameras that film the same moment rarely agree in colour, but a place has only one. What a camera makes of
it is found from places that several cameras see, and taken out of the frames that a field trains on.

The correction is affine in each channel, times an even polynomial of the distance r from the image centre,
``color = offset + gain * (1 + v1 r^2 + v2 r^4) * filmed``. That is exact for exposure in the sRGB encoding,
``1.055 x^(1/2.4) - 0.055``, above its short linear toe, and linear in what is sought.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.float32]
FloatArray = npt.NDArray[np.float64]

# Corrections that change no colour by more than this are left out: they are within what geometry and
# reflections make uncertain.
NEGLIGIBLE = 0.03
# Weight of no correction against that of all of a camera's pairs: holds what they do not show.
PRIOR_GAIN, PRIOR_VIGNETTING = 1e-4, 1e-3
# Weight of the demand that cameras have no correction on average.
AVERAGE = 1.0
# Colours at which corrections are compared.
LEVELS = (0.25, 0.75)
# Cameras from which on a trend over the viewing direction (four numbers) is told from the cameras' own.
FEWEST_FOR_TREND, TREND_ROUNDS = 9, 20
# Pairs that count: whose colours differ by less than so many times the median, or by so little that it may be
# noise; found in so many rounds.
OUTLIER, NOISE, ROUNDS = 2.5, 0.03, 4
# A camera with fewer pairs is not corrected.
FEWEST_PAIRS = 64
UNKNOWNS = 4  # gain, offset, gain v1, gain v2
IDENTITY = np.array([1.0, 0.0, 0.0, 0.0])


@dataclass(frozen=True)
class CameraColor:
    """A camera's correction; ``gain`` and ``offset`` are for red, green and blue."""

    gain: tuple[float, float, float] = (1.0, 1.0, 1.0)
    offset: tuple[float, float, float] = (0.0, 0.0, 0.0)
    vignetting: tuple[float, float] = (0.0, 0.0)

    @property
    def is_negligible(self) -> bool:
        """Whether it changes no colour visibly."""
        ends = [np.asarray(self.offset), np.asarray(self.offset) + self.gain - 1.0]
        return bool(np.abs(ends).max() < NEGLIGIBLE and abs(sum(self.vignetting)) < 2 * NEGLIGIBLE)

    def corrected(self, filmed: Image) -> Image:
        """(H, W, 3) what the camera filmed, in the colours of the others."""
        scale = np.asarray(self.gain, np.float32) * self._falloff(filmed)
        return np.asarray(np.asarray(self.offset, np.float32) + scale * filmed, dtype=np.float32)

    def filmed(self, color: Image) -> Image:
        """The inverse of ``corrected``."""
        scale = np.asarray(self.gain, np.float32) * self._falloff(color)
        return np.asarray((color - np.asarray(self.offset, np.float32)) / scale, dtype=np.float32)

    def _falloff(self, image: Image) -> Image:
        powers = even_powers(image.shape[1], image.shape[0]).astype(np.float32)
        return np.asarray(1.0 + powers @ np.asarray(self.vignetting, np.float32))[..., None]


@dataclass(frozen=True, eq=False)
class ColorPairs:
    """N places that two cameras see.

    ``cameras`` (N, 2), ``filmed`` (N, 2, 3), ``powers`` (N, 2, 2): r^2 and r^4 where they do.
    """

    cameras: npt.NDArray[np.int64]
    filmed: FloatArray
    powers: FloatArray


def solve(pairs: ColorPairs, directions: FloatArray, reference: int | None = None) -> list[CameraColor]:
    """The corrections of all cameras that make the pairs agree, by robust least squares.

    ``directions`` (C, 3) are the cameras' unit viewing directions. What changes steadily with them is no
    camera's but the scene's, such as the gleam of a floor, and is left to the field. Cameras that are as
    most are stay as they are; with ``reference``, that camera does.
    """
    cameras = len(directions)
    counts = np.bincount(pairs.cameras.ravel(), minlength=cameras)
    known = counts >= FEWEST_PAIRS
    if known.sum() < 2:
        return [CameraColor() for _ in range(cameras)]
    unknowns = _robust_fit(pairs, counts, known)
    # Each camera's line by its values at two colours, so that lines can be compared.
    ends = np.stack([unknowns[..., 1] + level * unknowns[..., 0] for level in LEVELS])
    common = _common(ends, directions, known, reference)
    gain = (common[1] - common[0]) / (LEVELS[1] - LEVELS[0])
    unknowns[..., 1] -= common[0] - LEVELS[0] * gain
    unknowns /= gain[..., None]
    # What all lenses have in common hardly shows in pairs, and is left to the field.
    falloff = np.moveaxis((unknowns[..., 2:] / unknowns[..., :1]).mean(axis=0), -1, 0)
    falloff = (falloff - _common(falloff, directions, known, reference)).T
    colors = []
    for own, (first, second), is_known in zip(np.moveaxis(unknowns, 1, 0), falloff, known, strict=True):
        color = CameraColor(_three(own[:, 0]), _three(own[:, 1]), (float(first), float(second)))
        colors.append(color if is_known and not color.is_negligible else CameraColor())
    return colors


def _common(
    values: FloatArray, directions: FloatArray, known: npt.NDArray[np.bool_], reference: int | None
) -> FloatArray:
    """What of ``values`` (..., C) is not a camera's own, as (..., C).

    The robust linear function of the viewing direction where there are the cameras to tell, else the median;
    moved so that nothing is ``reference``'s own.
    """
    if known.sum() < FEWEST_FOR_TREND:
        common = np.broadcast_to(np.median(values[..., known], axis=-1, keepdims=True), values.shape).copy()
    else:
        columns = np.concatenate([np.ones((len(directions), 1)), directions], axis=1)
        flat = values.reshape(-1, values.shape[-1])
        weights, trend = np.ones((len(flat), len(columns))) * known, np.zeros_like(flat)
        for _ in range(TREND_ROUNDS):  # least absolute differences by reweighting
            for row, weight in enumerate(weights):
                weighted = columns * weight[:, None]
                ridge = 1e-6 * np.eye(4)
                trend[row] = columns @ np.linalg.solve(weighted.T @ columns + ridge, weighted.T @ flat[row])
            weights = known / np.maximum(np.abs(flat - trend), 1e-3)
        common = trend.reshape(values.shape)
    if reference is not None:
        common += (values - common)[..., reference : reference + 1]
    return common


def _robust_fit(pairs: ColorPairs, counts: npt.NDArray[np.int64], known: npt.NDArray[np.bool_]) -> FloatArray:
    """(3, C, 4) unknowns of each channel and camera, of the pairs that agree with the most."""
    possible: npt.NDArray[np.bool_] = np.all(known[pairs.cameras], axis=1)
    kept = possible.copy()
    for _ in range(ROUNDS):
        unknowns = np.stack([_solve_channel(pairs, channel, kept, counts) for channel in range(3)])
        residual = np.abs(_differences(pairs, unknowns)).max(axis=-1)
        kept = possible & (residual <= max(NOISE, OUTLIER * np.median(residual[kept])))
    return unknowns


def _columns(pairs: ColorPairs, channel: int) -> FloatArray:
    """(N, 2, 4): each side's corrected colour is the product with its camera's unknowns."""
    filmed = pairs.filmed[..., channel]
    return np.stack(
        [filmed, np.ones_like(filmed), *(filmed * p for p in np.moveaxis(pairs.powers, -1, 0))], -1
    )


def _solve_channel(
    pairs: ColorPairs, channel: int, kept: npt.NDArray[np.bool_], counts: npt.NDArray[np.int64]
) -> FloatArray:
    """(C, 4) unknowns of one channel from the pairs that are ``kept``."""
    cameras = len(counts)
    products = np.zeros((cameras, UNKNOWNS, cameras, UNKNOWNS))
    columns, indices = _columns(pairs, channel)[kept], pairs.cameras[kept]
    for first in range(2):
        for second in range(2):
            sign = 1.0 if first == second else -1.0
            outer = sign * columns[:, first, :, None] * columns[:, second, None, :]
            np.add.at(products.transpose(0, 2, 1, 3), (indices[:, first], indices[:, second]), outer)
    matrix = products.reshape(cameras * UNKNOWNS, cameras * UNKNOWNS)
    right = np.zeros(cameras * UNKNOWNS)
    prior = np.array([PRIOR_GAIN, PRIOR_GAIN, PRIOR_VIGNETTING, PRIOR_VIGNETTING])
    weights = (np.maximum(counts, 1)[:, None] * prior).ravel()
    identity = np.tile(IDENTITY, cameras)
    matrix += np.diag(weights)
    right += weights * identity
    # The means of gain and of offset are those of no correction.
    known = counts >= FEWEST_PAIRS
    for unknown in range(2):
        mean = np.zeros(cameras * UNKNOWNS)
        mean[unknown::UNKNOWNS] = known / known.sum()
        weight = AVERAGE * counts.sum()
        matrix += weight * mean[:, None] * mean[None, :]
        right += weight * mean * IDENTITY[unknown]
    return np.asarray(np.linalg.solve(matrix, right)).reshape(cameras, UNKNOWNS)


def _differences(pairs: ColorPairs, unknowns: FloatArray) -> FloatArray:
    """(N, 3) by how much the two sides of each pair differ once corrected."""
    sides = [
        np.einsum("nsk,nsk->ns", _columns(pairs, channel), unknowns[channel][pairs.cameras])
        for channel in range(3)
    ]
    return np.stack([side[:, 0] - side[:, 1] for side in sides], axis=-1)


def describe(names: Sequence[str], colors: Sequence[CameraColor]) -> list[str]:
    """One line for each camera that differs, in the words of a camera operator."""
    lines = []
    for name, color in zip(names, colors, strict=True):
        if color.is_negligible:
            continue
        middle = color.filmed(np.full((3, 3, 3), 0.5, np.float32))[1, 1]
        stops = 2.4 * np.log2((middle + 0.055) / (0.5 + 0.055))  # the sRGB encoding's power, inverted
        corner = 1.0 / (1.0 + sum(color.vignetting))
        words = [f"{stops[1]:+.2f} EV", f"red {stops[0] - stops[1]:+.2f}", f"blue {stops[2] - stops[1]:+.2f}"]
        if abs(corner - 1.0) > NEGLIGIBLE:
            words.append(f"corners {100 * (corner - 1.0):+.0f}%")
        lines.append(f"{name} {', '.join(words)}")
    return lines


def even_powers(width: int, height: int) -> FloatArray:
    """(H, W, 2) r^2 and r^4, with r = 0 in the middle of the picture and 1 in its corners."""
    x = (np.arange(width) + 0.5) / width * 2.0 - 1.0
    y = (np.arange(height) + 0.5) / height * 2.0 - 1.0
    squared = (width**2 * x[None] ** 2 + height**2 * y[:, None] ** 2) / (width**2 + height**2)
    return np.stack([squared, squared**2], axis=-1)


def _three(values: FloatArray) -> tuple[float, float, float]:
    red, green, blue = (float(value) for value in values)
    return red, green, blue
