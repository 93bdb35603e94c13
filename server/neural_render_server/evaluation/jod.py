"""JOD: how much worse a film looks than its truth, by FovVideoVDP (Mantiuk et al. 2021)."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from importlib.util import find_spec

import numpy as np
import numpy.typing as npt
import torch

from .flip import HINT

DISPLAY = "standard_4k"

# The metric's temporal filters look back this far (seconds); shorter sequences are no film to it.
SHORTEST = 0.25

# frame(k) is (H, W, 3) float32 in [0, 1], sRGB-encoded
ReadFrame = Callable[[int], npt.NDArray[np.float32]]


def unavailable() -> str | None:
    """Why JOD cannot be computed here, or None where it can."""
    if find_spec("pyfvvdp") is None:
        return f"needs the package pyfvvdp; {HINT}"
    return None


class FilmQuality:
    """FovVideoVDP for one display, fixation left open (non-foveated)."""

    def __init__(self, device: torch.device) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it uses a scipy module's old name
            import pyfvvdp

            self._metric = pyfvvdp.fvvdp(display_name=DISPLAY, quiet=True, device=device)

    @property
    def display(self) -> str:
        """What the number must be quoted with: version, pixels per degree, luminance, display."""
        return str(self._metric.get_info_string()).strip('"')

    def jod(self, image: ReadFrame, truth: ReadFrame, size: tuple[int, int], count: int, fps: float) -> float:
        """JOD of ``count`` frames of ``size`` (height, width); frames are read when they are needed."""
        from pyfvvdp.video_source import fvvdp_video_source_dm

        class Source(fvvdp_video_source_dm):  # type: ignore[misc]  # the package has no types
            def get_video_size(self) -> tuple[int, int, int]:
                return *size, count

            def get_frames_per_second(self) -> float:
                return fps

            def get_test_frame(self, frame: int, device: torch.device) -> torch.Tensor:
                return self._luminance(image(frame), device)

            def get_reference_frame(self, frame: int, device: torch.device) -> torch.Tensor:
                return self._luminance(truth(frame), device)

            def _luminance(self, pixels: npt.NDArray[np.float32], device: torch.device) -> torch.Tensor:
                encoded = torch.from_numpy(np.ascontiguousarray(pixels)).to(device).permute(2, 0, 1)
                emitted = self.dm_photometry.forward(encoded[None, :, None])
                weights = torch.as_tensor(self.color_to_luminance, dtype=emitted.dtype, device=device)
                luminance: torch.Tensor = (emitted * weights.view(1, 3, 1, 1, 1)).sum(dim=1, keepdim=True)
                return luminance

        source = Source(display_photometry=DISPLAY, color_space_name="sRGB")
        with torch.no_grad():
            quality, _ = self._metric.predict_video_source(source)
        return float(quality)
