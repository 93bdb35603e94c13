"""The measures of a picture's quality: what each is called, how it reads, and by which convention."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Measure:
    """One measure. ``digits`` after the point; ``convention`` is what a reader must know to compare it."""

    key: str
    label: str
    unit: str
    digits: int
    higher_is_better: bool
    convention: str

    def text(self, value: float | None) -> str:
        """The value as people read it, or a dash."""
        if value is None:
            return "–"
        return f"{value:.{self.digits}f}{' ' if self.unit else ''}{self.unit}"


MEASURES = (
    Measure(
        "psnr",
        "PSNR",
        "dB",
        2,
        True,
        "-10 log10(MSE), values in [0, 1] of the capture's own (sRGB) encoding; a mean over frames is the "
        "mean of their PSNRs, not the PSNR of their mean error.",
    ),
    Measure(
        "psnr_moving",
        "moving PSNR",
        "dB",
        2,
        True,
        "PSNR over the pixels whose true colour deviates over time by more than 0.03 (MixVoxels' rule), "
        "found from the camera's scored timesteps.",
    ),
    Measure(
        "mse", "MSE", "", 6, False, "Mean squared difference over pixels and channels, values in [0, 1]."
    ),
    Measure(
        "ssim",
        "SSIM",
        "",
        4,
        True,
        "Gaussian window 11x11 of deviation 1.5, K1 0.01, K2 0.03, data range 1 (Wang et al. 2004).",
    ),
    Measure(
        "dssim1",
        "DSSIM1",
        "",
        4,
        False,
        "(1 - SSIM) / 2 with data range 1, as NeRFPlayer, HyperReel and 4DGaussians report it.",
    ),
    Measure(
        "dssim2",
        "DSSIM2",
        "",
        4,
        False,
        "(1 - SSIM) / 2 with data range 2, as DyNeRF, K-Planes, HexPlane and MixVoxels report it; often "
        "about half of DSSIM1, so the two must not be compared.",
    ),
    Measure(
        "flip",
        "FLIP",
        "",
        4,
        False,
        "Mean LDR-FLIP (Andersson et al. 2020) at 67.02 pixels per degree: a 0.7 m wide monitor of 3840 "
        "pixels seen from 0.7 m.",
    ),
    Measure(
        "jod",
        "JOD",
        "",
        2,
        True,
        "Just-objectionable differences by FovVideoVDP (Mantiuk et al. 2021) over a camera's whole film; "
        "10 is identical.",
    ),
    Measure(
        "flicker",
        "flicker",
        "",
        5,
        False,
        "Mean absolute difference between the render's change and the truth's change since the timestep "
        "before, values in [0, 1].",
    ),
    Measure(
        "lpips",
        "LPIPS",
        "",
        4,
        False,
        "Learned perceptual distance (Zhang et al. 2018), AlexNet trunk, version 0.1 heads.",
    ),
)

BY_KEY = {measure.key: measure for measure in MEASURES}

# Those that take long or need a package, which a user may leave out.
OPTIONAL = ("flip", "jod", "lpips")
