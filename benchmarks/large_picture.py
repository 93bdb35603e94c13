"""Writes a picture of many megapixels with detail at every scale, to train ngp-image on.

python -m benchmarks.large_picture FILE.png [--width 12000] [--height 9000]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

# Octaves of noise, each twice as fine as the one before and a little weaker; in natural pictures all are
# about as strong (Field 1987), but for the lens' limit.
OCTAVES, WEAKER = 11, 0.75
COARSEST_CELLS = 6


def picture(width: int, height: int, seed: int = 0) -> npt.NDArray[np.uint8]:
    """(H, W, 3): coloured noise of many octaves, with hard edges along the contours of one of them."""
    random = np.random.default_rng(seed)
    image = np.zeros((height, width, 3), dtype=np.float32)
    for channel in range(3):
        for octave in range(OCTAVES):
            cells = COARSEST_CELLS * 2**octave
            noise = random.standard_normal((cells * height // width + 2, cells + 2)).astype(np.float32)
            image[..., channel] += WEAKER**octave * cv2.resize(
                noise, (width, height), interpolation=cv2.INTER_CUBIC
            )
    edges = image[..., 0] > 0.4
    image[edges] += (0.8, -0.4, 0.2)
    np.multiply(image, 35.0, out=image)
    np.add(image, 120.0, out=image)
    return np.asarray(np.clip(image, 0.0, 255.0, out=image), dtype=np.uint8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--width", type=int, default=12000)
    parser.add_argument("--height", type=int, default=9000)
    arguments = parser.parse_args()
    if not cv2.imwrite(str(arguments.file), picture(arguments.width, arguments.height)):
        parser.error(f"{arguments.file} cannot be written; name a .png file in a folder that exists")


if __name__ == "__main__":
    main()
