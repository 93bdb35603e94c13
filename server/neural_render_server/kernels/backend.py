"""What a backend does, whichever device it runs on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch

from .layout import View
from .ray_parts import RayParts


@dataclass(frozen=True, eq=False)
class Rendering:
    """``color`` (H, W, 3) premultiplied, ``transmittance`` (H, W), ``depth`` (H, W) weighted sum or None.

    They are the backend's own buffers: the next ``render`` overwrites them.
    """

    color: torch.Tensor
    transmittance: torch.Tensor
    depth: torch.Tensor | None


@dataclass(frozen=True, eq=False)
class PartedRendering:
    """The ``whole`` of what is kept, with depth; the part in ``front``, without depth, if there is one;
    ``mattes`` (M, H, W). As in ``Rendering``, they are the backend's own buffers.
    """

    whole: Rendering
    front: Rendering | None
    mattes: torch.Tensor


@dataclass(frozen=True)
class LossWeights:
    """Weights of structural similarity and of transmittance; the absolute difference has the rest.

    SSIM windows are centred on the rows with ``row % ssim_stride == ssim_phase`` only, for speed: over
    iterations of all phases the gradient is that of all rows.
    """

    ssim: float = 0.2
    transmittance: float = 0.0
    ssim_stride: int = 1
    ssim_phase: int = 0


@dataclass(frozen=True, eq=False)
class ImageLoss:
    """A loss with its gradients: ``d_color`` (H, W, 3), ``d_transmittance`` and ``error`` (H, W).

    ``value`` is the loss, ``squared_error`` the mean squared error over used pixels and channels,
    ``d_background`` (3,) the gradient for the constant background.
    """

    value: float
    squared_error: float
    d_color: torch.Tensor
    d_transmittance: torch.Tensor
    error: torch.Tensor
    d_background: torch.Tensor


@dataclass(frozen=True, eq=False)
class RowGradients:
    """Gradients of the drawn rows: ``rows`` (V,), ``gradients`` (V, 28), ``errors`` (V,) weight x error."""

    rows: torch.Tensor
    gradients: torch.Tensor
    errors: torch.Tensor


class Backend(Protocol):
    """Renders, scores and optimises Gaussians. One backend serves one thread at a time."""

    def render(self, parameters: torch.Tensor, view: View, with_depth: bool = False) -> Rendering:
        """Render ``parameters`` (N, 28); pixels of tiles that ``view.tiles`` leaves out are undefined."""

    def render_parts(self, parameters: torch.Tensor, view: View, parts: RayParts) -> PartedRendering:
        """What is kept of the ``parts`` of the view's pixels, row by row from the top; see ``splitting``."""

    def loss(
        self,
        rendering: Rendering,
        truth: torch.Tensor,
        used: torch.Tensor,
        background: torch.Tensor,
        weights: LossWeights,
    ) -> ImageLoss:
        """(1 - s) L1 + s (1 - SSIM) + t mean(T) over the ``used`` (H, W) pixels; s, t the weights.

        ``truth`` (H, W, 3) stands in for the pixels that are not used.
        """

    def gradients(
        self,
        parameters: torch.Tensor,
        view: View,
        loss: ImageLoss,
        opacity_weight: float = 0.0,
        scale_weight: float = 0.0,
    ) -> RowGradients:
        """Gradients of the last ``render``, which must have been of the same parameters and view.

        Those of ``opacity_weight`` times each drawn row's opacity and ``scale_weight`` times its scales are
        added.
        """

    def adam(
        self,
        parameters: torch.Tensor,
        moments: torch.Tensor,
        steps: torch.Tensor,
        rows: RowGradients,
        rates: torch.Tensor,
        spans: tuple[float, float] = (1.0, 1.0),
    ) -> None:
        """One Adam step in place: ``moments`` (N, 2, 28), ``steps`` (N,) int32, ``rates`` (28,).

        A change of velocity moves a row the further the longer it lives: velocities of rows whose temporal
        deviation is more than ``spans[0]`` timesteps have a rate smaller in proportion, to that of
        ``spans[1]``.
        """
