"""From what cameras record to scene-linear Rec.709: gamma, HLG, PQ and the makers' log curves.

Linear 1 is diffuse white: a white sheet in the scene's light.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

Float32Array = npt.NDArray[np.float32]
FloatArray = npt.NDArray[np.float64]
Chromaticities = tuple[tuple[float, float], tuple[float, float], tuple[float, float]]

# CIE 1931 x, y of red, green and blue.
REC_709: Chromaticities = ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060))  # ITU-R BT.709
REC_2020: Chromaticities = ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046))  # ITU-R BT.2020
P3_D65: Chromaticities = ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060))  # SMPTE EG 432-1
S_GAMUT3_CINE: Chromaticities = ((0.766, 0.275), (0.225, 0.800), (0.089, -0.087))  # Sony's S-Log3 summary
V_GAMUT: Chromaticities = ((0.730, 0.280), (0.165, 0.840), (0.100, -0.030))  # Panasonic's V-Log manual
ARRI_WIDE_GAMUT_3: Chromaticities = (
    (0.6840, 0.3130),
    (0.2210, 0.8480),
    (0.0861, -0.1020),
)  # ARRI, ALEXA Log C
D65 = (0.3127, 0.3290)


def srgb_to_linear(encoded: Float32Array) -> Float32Array:
    """IEC 61966-2-1 decoding; values above 1 follow the same curve, negative ones become 0."""
    value = np.maximum(encoded, 0.0)
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    return np.asarray(linear, dtype=np.float32)


def linear_to_srgb(linear: Float32Array) -> Float32Array:
    """IEC 61966-2-1 encoding, the inverse of ``srgb_to_linear``."""
    value = np.maximum(linear, 0.0)
    encoded = np.where(value <= 0.0031308, value * 12.92, 1.055 * value ** (1.0 / 2.4) - 0.055)
    return np.asarray(encoded, dtype=np.float32)


def hlg(signal: Float32Array) -> Float32Array:
    """ITU-R BT.2100 HLG inverse OETF; diffuse white is 75 % of the signal (ITU-R BT.2408)."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    linear = np.where(signal <= 0.5, signal**2 / 3.0, (np.exp((signal - c) / a) + b) / 12.0)
    white = (np.exp((0.75 - c) / a) + b) / 12.0
    return np.asarray(linear / white, dtype=np.float32)


def pq(signal: Float32Array) -> Float32Array:
    """SMPTE ST 2084 EOTF; diffuse white is 203 cd/m^2 (ITU-R BT.2408)."""
    m1, m2 = 2610 / 16384, 2523 / 4096 * 128
    c1, c2, c3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
    power = np.maximum(signal, 0.0) ** (1 / m2)
    nits = 10000.0 * (np.maximum(power - c1, 0.0) / (c2 - c3 * power)) ** (1 / m1)
    return np.asarray(nits / 203.0, dtype=np.float32)


def s_log3(signal: Float32Array) -> Float32Array:
    """Sony's technical summary for S-Gamut3.Cine/S-Log3: reflection from the full-range signal."""
    code = signal * 1023.0
    toe, middle = 171.2102946929, 0.01125
    bright = 10.0 ** ((code - 420.0) / 261.5) * (0.18 + 0.01) - 0.01
    return np.asarray(np.where(code >= toe, bright, (code - 95.0) * middle / (toe - 95.0)), dtype=np.float32)


def v_log(signal: Float32Array) -> Float32Array:
    """Panasonic's V-Log/V-Gamut reference manual: reflection."""
    b, c, d = 0.00873, 0.241514, 0.598206
    bright = 10.0 ** ((signal - d) / c) - b
    return np.asarray(np.where(signal < 0.181, (signal - 0.125) / 5.6, bright), dtype=np.float32)


def log_c3(signal: Float32Array) -> Float32Array:
    """ARRI's ALEXA Log C curve, exposure index 800: relative scene exposure."""
    cut, a, b, c, d, e, f = 0.010591, 5.555556, 0.052272, 0.247190, 0.385537, 5.367655, 0.092809
    bright = (10.0 ** ((signal - d) / c) - b) / a
    return np.asarray(np.where(signal > e * cut + f, bright, (signal - f) / e), dtype=np.float32)


@dataclass(frozen=True)
class Transfer:
    """How a recording becomes scene-linear: ``decode`` its signal, then convert from its ``primaries``."""

    label: str
    decode: Callable[[Float32Array], Float32Array]
    primaries: Chromaticities


# What a user may name for footage whose file does not say.
LOG_CURVES = {
    "slog3": Transfer("S-Log3, S-Gamut3.Cine", s_log3, S_GAMUT3_CINE),
    "vlog": Transfer("V-Log, V-Gamut", v_log, V_GAMUT),
    "logc3": Transfer("ARRI LogC3, Wide Gamut 3, EI 800", log_c3, ARRI_WIDE_GAMUT_3),
    "hlg": Transfer("HLG, Rec.2020", hlg, REC_2020),
    "pq": Transfer("PQ, Rec.2020", pq, REC_2020),
}


@cache
def to_rec_709(primaries: Chromaticities, white: tuple[float, float] = D65) -> FloatArray:
    """(3, 3) linear RGB of ``primaries`` to linear Rec.709; white becomes white."""
    own, target = _to_xyz(primaries, white), _to_xyz(REC_709, D65)
    if white != D65:  # von Kries in XYZ would tint; scale the three channels so that white is kept
        balance = np.linalg.inv(target) @ own @ np.ones(3)
        return np.asarray(np.diag(1.0 / balance) @ np.linalg.inv(target) @ own)
    return np.asarray(np.linalg.inv(target) @ own)


def _to_xyz(primaries: Chromaticities, white: tuple[float, float]) -> FloatArray:
    """(3, 3) of SMPTE RP 177: the columns are the primaries' XYZ, scaled to add up to white's."""
    columns = np.array([[x / y, 1.0, (1.0 - x - y) / y] for x, y in primaries]).T
    x, y = white
    scale = np.linalg.solve(columns, np.array([x / y, 1.0, (1.0 - x - y) / y]))
    return np.asarray(columns * scale)


def linear_rec_709(signal: Float32Array, transfer: Transfer) -> Float32Array:
    """(H, W, 3) scene-linear Rec.709, colours outside of its gamut clipped to its edge."""
    linear = transfer.decode(signal) @ to_rec_709(transfer.primaries).T.astype(np.float32)
    return np.asarray(np.maximum(linear, 0.0), dtype=np.float32)
