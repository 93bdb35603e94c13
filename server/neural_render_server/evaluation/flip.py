"""FLIP, the difference people see when they flip between two pictures (Andersson et al. 2020)."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import numpy.typing as npt

from ..training.metrics import Image

HINT = "install it with: pip install 'neural-render-server[metrics]'"


def unavailable() -> str | None:
    """Why FLIP cannot be computed here, or None where it can."""
    if find_spec("flip_evaluator") is None:
        return f"needs the package flip-evaluator; {HINT}"
    return None


def flip_map(image: Image, truth: Image) -> npt.NDArray[np.float32]:
    """(H, W) FLIP of each pixel, in [0, 1], of sRGB-encoded pictures (H, W, 3), at the default distance."""
    import flip_evaluator

    errors, _, _ = flip_evaluator.evaluate(
        np.ascontiguousarray(truth, dtype=np.float32),
        np.ascontiguousarray(image, dtype=np.float32),
        "LDR",
        inputsRGB=True,
        applyMagma=False,
        computeMeanError=False,
    )
    return np.asarray(errors, dtype=np.float32)[..., 0]
