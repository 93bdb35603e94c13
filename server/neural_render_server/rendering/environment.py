"""A panorama of a field as light for CG: all around, opaque, scene-linear Rec.709."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
import numpy.typing as npt

from ..errors import OptionError
from .passes import LEAST_THROUGH

FloatImage = npt.NDArray[np.float32]

# Rec. ITU-R BT.709-6, item 3.2: luminance of linear red, green and blue.
LUMINANCE = np.array([0.2126, 0.7152, 0.0722], dtype=np.float32)


@dataclass(frozen=True)
class EnvironmentOptions:
    """``fill``: what lights where the field is not, its own colours ``extend``-ed there or ``black``.

    ``white``: the luminance that the capture's white stands for, to guess what an 8-bit camera clipped; None
    leaves the picture as it was filmed.
    """

    fill: Literal["extend", "black"] = "extend"
    white: float | None = None

    def __post_init__(self) -> None:
        if self.fill not in ("extend", "black"):
            raise OptionError(f"fill {self.fill!r} does not exist; choose extend or black")
        if self.white is not None and not 1.0 < self.white < np.inf:
            raise OptionError(f"white {self.white}: give a luminance above 1, or none")

    @staticmethod
    def from_json(data: dict[str, Any] | None) -> EnvironmentOptions | None:
        """
        Raises:
            OptionError: an option does not fit.
        """
        return None if data is None else EnvironmentOptions(**data)


def environment(combined: FloatImage, options: EnvironmentOptions) -> FloatImage:
    """(H, W, 3) light from all around, of an equirectangular ``combined`` (H, W, 4), premultiplied."""
    light = extended(combined) if options.fill == "extend" else combined[..., :3]
    return light if options.white is None else expanded(light, options.white)


def extended(rgba: FloatImage) -> FloatImage:
    """``rgba`` (H, W, 4), premultiplied, over its own colours carried on into what it leaves open.

    Push-pull (Gortler et al. 1996, The Lumigraph, section 3.4): each coarser level averages what is covered,
    and each finer one is laid over it. Left and right border touch. Black where nothing is covered at all.
    """
    height, width, _ = rgba.shape
    alpha = np.clip(rgba[..., 3:], 0.0, 1.0)
    if max(height, width) == 1:
        return np.asarray(rgba[..., :3] / np.maximum(alpha, LEAST_THROUGH), dtype=np.float32)
    if alpha.min() >= 1.0:
        return np.ascontiguousarray(rgba[..., :3])
    small = cv2.resize(rgba, (-(-width // 2), -(-height // 2)), interpolation=cv2.INTER_AREA)
    mean = np.maximum(small[..., 3:], LEAST_THROUGH)
    # four pixels' coverage, saturated: one covered pixel of four is enough for a colour
    behind = extended(np.asarray(small * np.minimum(4.0 * mean, 1.0) / mean, dtype=np.float32))
    around = np.concatenate([behind[:, -1:], behind, behind[:, :1]], axis=1)
    scale = width / behind.shape[1]
    columns = (np.arange(width) + 0.5) / scale + 0.5  # cv2.remap counts pixel centres at whole numbers
    rows = (np.arange(height) + 0.5) * behind.shape[0] / height - 0.5
    map_x, map_y = np.meshgrid(columns.astype(np.float32), rows.astype(np.float32))
    smooth = cv2.remap(around, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(rgba[..., :3] + (1.0 - alpha) * smooth, dtype=np.float32)


def expanded(light: FloatImage, white: float) -> FloatImage:
    """``light`` (H, W, 3) as if it had been tone-mapped: luminance 1 becomes ``white``, dark stays.

    The inverse of Reinhard et al. 2002, Photographic Tone Reproduction, equation 4; as Banterle et al. 2006,
    Inverse Tone Mapping, use it. A guess: what was clipped is lost. Colours keep their ratios.
    """
    luminance = np.clip(light @ LUMINANCE, 0.0, 1.0)[..., None]
    root = np.sqrt((1.0 - luminance) ** 2 + 4.0 * luminance / white**2)
    scene = 0.5 * white**2 * (luminance - 1.0 + root)
    factor = np.where(luminance > 1e-6, scene / np.maximum(luminance, 1e-6), 1.0)
    return np.asarray(np.maximum(light, 0.0) * factor, dtype=np.float32)
