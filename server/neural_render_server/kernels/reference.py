"""The same Gaussians in plain torch, differentiated by autograd, on any device.

The oracle of the numba kernels and the first path for GPUs. Equations and sources: ``projection.py``,
``rasterizer.py``, ``losses.py``.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from . import layout, losses
from .backend import ImageLoss, LossWeights, PartedRendering, Rendering, RowGradients
from .layout import ALPHA_MAXIMUM, ALPHA_MINIMUM, EXTENT, GUARD, SH_C1, TILE, VELOCITY, View
from .optimizer import BETA_1, BETA_2, EPSILON
from .ray_parts import RayParts
from .splitting import LEAST_DEVIATION, LOGISTIC, LOGISTIC_CUBIC


@dataclass(frozen=True, eq=False)
class Splats:
    """Screen-space Gaussians: ``mean`` (N, 2), ``conic`` (N, 3) natural exponent, ``opacity`` (N,),
    ``color`` (N, 3), ``depth`` (N,), ``half_size`` (N, 2) of the visible ellipse, ``drawn`` (N,) bool;
    ``depth_slope`` (N, 2) a pixel and ``depth_deviation`` (N,), see ``splitting``.
    """

    mean: torch.Tensor
    conic: torch.Tensor
    opacity: torch.Tensor
    color: torch.Tensor
    depth: torch.Tensor
    half_size: torch.Tensor
    drawn: torch.Tensor
    depth_slope: torch.Tensor
    depth_deviation: torch.Tensor


def rotation_matrices(quaternions: torch.Tensor) -> torch.Tensor:
    """(N, 3, 3) rotations of (N, 4) quaternions (w, x, y, z) of any length."""
    w, x, y, z = (quaternions / quaternions.norm(dim=1, keepdim=True)).unbind(1)
    rows = [
        (1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        (2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        (2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    ]
    return torch.stack([torch.stack(row, 1) for row in rows], 1)


def project(parameters: torch.Tensor, view: View, alpha_minimum: float = ALPHA_MINIMUM) -> Splats:
    """Splats of ``parameters`` (N, 28) in ``view``; differentiable."""
    packed = torch.as_tensor(view.packed, dtype=parameters.dtype, device=parameters.device)
    rotation, translation = packed[:9].reshape(3, 3), packed[9:12]
    fl_x, fl_y = packed[12:14]
    position, time, dilation, near = packed[16:19], packed[19], packed[20], packed[21]

    with torch.no_grad():
        delay = _row_delay(parameters, packed)
    elapsed = time + delay - parameters[:, layout.TIME]
    fade = -0.5 * (elapsed * torch.exp(-parameters[:, layout.EXTENT])) ** 2
    opacity = torch.sigmoid(parameters[:, layout.OPACITY]) * torch.exp(fade)
    center = parameters[:, layout.POSITION] + elapsed[:, None] * parameters[:, layout.VELOCITY]
    in_camera = center @ rotation.T + translation
    turn, drift = packed[27:30].expand_as(in_camera), packed[30:33]
    in_camera = in_camera + delay[:, None] * (torch.linalg.cross(turn, in_camera) + drift)
    depth = in_camera[:, 2]
    in_front = depth > near
    safe_depth = torch.where(in_front, depth, torch.ones_like(depth))
    perspective = packed[24]
    inverse_depth = perspective / safe_depth + (1 - perspective)
    slope = in_camera[:, :2] * inverse_depth[:, None]
    mean = slope * packed[12:14] + packed[14:16]

    size = torch.tensor([view.width, view.height], dtype=parameters.dtype, device=parameters.device)
    lower = (-GUARD * size - packed[14:16]) / packed[12:14]
    upper = ((1 + GUARD) * size - packed[14:16]) / packed[12:14]
    clamped = perspective * torch.minimum(torch.maximum(slope, lower), upper)
    zero = torch.zeros_like(depth)
    jacobian = torch.stack(
        [
            torch.stack([fl_x * inverse_depth, zero, -fl_x * clamped[:, 0] * inverse_depth], 1),
            torch.stack([zero, fl_y * inverse_depth, -fl_y * clamped[:, 1] * inverse_depth], 1),
        ],
        1,
    )
    axes = rotation_matrices(parameters[:, layout.ROTATION]) * torch.exp(parameters[:, None, layout.SCALE])
    axes_in_camera = rotation @ axes
    on_screen = jacobian @ axes_in_camera
    covariance = on_screen @ on_screen.transpose(1, 2)
    a, b, c = covariance[:, 0, 0] + dilation, covariance[:, 0, 1], covariance[:, 1, 1] + dilation
    determinant = a * c - b * b
    conic = torch.stack([c / determinant, -b / determinant, a / determinant], 1)

    with torch.no_grad():
        with_depth = (on_screen @ axes_in_camera[:, 2, :, None])[:, :, 0]
        inverse = torch.stack([torch.stack([c, -b], 1), torch.stack([-b, a], 1)], 1)
        depth_slope = (inverse @ with_depth[:, :, None])[:, :, 0] / determinant[:, None]
        remaining = (axes_in_camera[:, 2] ** 2).sum(1) - (depth_slope * with_depth).sum(1)
        depth_deviation = torch.maximum(remaining.clamp(min=0).sqrt(), LEAST_DEVIATION * safe_depth)

    direction = torch.nn.functional.normalize(center - position, dim=1)
    basis = SH_C1 * torch.stack([-direction[:, 1], direction[:, 2], -direction[:, 0]], 1)
    harmonics = parameters[:, layout.HARMONICS].reshape(-1, 3, 3)
    color = parameters[:, layout.COLOR] + (basis[:, :, None] * harmonics).sum(1)

    with torch.no_grad():
        drawn = in_front & (opacity > alpha_minimum)
        drawn &= (axes_in_camera[:, 2] ** 2).sum(1) < depth**2
        reach = 2 * torch.log(opacity / alpha_minimum) if alpha_minimum > 0 else torch.full_like(depth, 1e12)
        half_size = torch.sqrt(reach.clamp(min=0)[:, None] * torch.stack([a, c], 1))
        drawn &= ((mean + half_size > 0) & (mean - half_size < size)).all(1)
    color = color.clamp(min=0)
    return Splats(mean, conic, opacity, color, depth, half_size, drawn, depth_slope, depth_deviation)


def _row_delay(parameters: torch.Tensor, packed: torch.Tensor) -> torch.Tensor:
    """(N,) timesteps after the picture's time at which a rolling shutter sees each row."""
    elapsed = packed[19] - parameters[:, layout.TIME]
    center = parameters[:, layout.POSITION] + elapsed[:, None] * parameters[:, layout.VELOCITY]
    in_camera = center @ packed[:9].reshape(3, 3).T + packed[9:12]
    in_front = in_camera[:, 2] > packed[21]
    depth = torch.where(in_front, in_camera[:, 2], 1.0)
    mean = in_camera[:, :2] / depth[:, None] * packed[12:14] + packed[14:16]
    size = packed[22:24]
    inside = torch.minimum(mean.clamp(min=0), size)
    return torch.where(in_front, ((inside - 0.5 * size) * packed[25:27]).sum(1), 0.0)


def rasterize(
    splats: Splats,
    view: View,
    weight_channel: torch.Tensor | None = None,
    alpha_minimum: float = ALPHA_MINIMUM,
    parts: RayParts | None = None,
    part: int = 0,
) -> tuple[torch.Tensor, ...]:
    """Colour (H, W, 3), transmittance (H, W), weighted depth and every matte (H, W) of ``splats``.

    ``weight_channel`` (N,), zeros, is blended instead of the depth where given: its gradient is the sum over
    pixels of blending weight times the depth's gradient. With ``parts`` of the pixels' rays, only the share
    of each splat that belongs to ``part`` is blended. Tile by tile, every splat of a tile in one go, without
    early termination.
    """
    indices = torch.nonzero(splats.drawn)[:, 0]
    indices = indices[torch.argsort(splats.depth.detach()[indices], stable=True)]
    mean, conic, opacity = splats.mean[indices], splats.conic[indices], splats.opacity[indices]
    distance = splats.depth[indices]
    if weight_channel is not None:
        distance = weight_channel[indices]
    channels = torch.cat([splats.color[indices], distance[:, None]], 1)
    low = (mean - splats.half_size[indices]).detach()
    high = (mean + splats.half_size[indices]).detach()
    mattes = parts.mattes if parts is not None else 0
    image = mean.new_zeros((view.tile_rows * TILE, view.tile_columns * TILE, 4 + mattes))
    through = mean.new_ones((view.tile_rows * TILE, view.tile_columns * TILE))
    if parts is not None:
        padding = (0, view.tile_columns * TILE - view.width, 0, view.tile_rows * TILE - view.height)
        cuts, signs, constants = (
            torch.nn.functional.pad(
                values.reshape(*values.shape[:-1], view.height, view.width).to(mean.dtype), padding
            )
            for values in (parts.depths, parts.signs, parts.constants)
        )
    lanes = torch.arange(TILE, dtype=mean.dtype, device=mean.device) + 0.5
    colors, transmittances = [], []
    for row in range(view.tile_rows):
        in_row = (low[:, 1] < (row + 1) * TILE) & (high[:, 1] > row * TILE)
        for column in range(view.tile_columns):
            tile = (slice(row * TILE, (row + 1) * TILE), slice(column * TILE, (column + 1) * TILE))
            chosen = in_row & (low[:, 0] < (column + 1) * TILE) & (high[:, 0] > column * TILE)
            chosen = torch.nonzero(chosen)[:, 0]
            skipped = view.tiles is not None and not view.tiles[row, column]
            if skipped or len(chosen) == 0:
                colors.append(image[tile])
                transmittances.append(through[tile])
                continue
            dx = (lanes + column * TILE)[None, None, :] - mean[chosen, 0][:, None, None]
            dy = (lanes + row * TILE)[None, :, None] - mean[chosen, 1][:, None, None]
            a, b, c = conic[chosen].T[:, :, None, None]
            power = -0.5 * (a * dx * dx + c * dy * dy) - b * dx * dy
            alpha = opacity[chosen][:, None, None] * torch.exp(power)
            alpha = torch.where(alpha < alpha_minimum, torch.zeros_like(alpha), alpha)
            alpha = alpha.clamp(max=ALPHA_MAXIMUM)
            inside = alpha.new_empty((0, *alpha.shape))
            if parts is not None:
                rows = indices[chosen]
                slope = splats.depth_slope[rows].T[:, :, None, None]
                own = splats.depth[rows][:, None, None] + slope[0] * dx + slope[1] * dy
                deviations = (cuts[:, None, *tile] - own) / splats.depth_deviation[rows][:, None, None]
                before_cut = torch.sigmoid(LOGISTIC * deviations + LOGISTIC_CUBIC * deviations**3)
                shares = constants[:, None, *tile] + torch.einsum(
                    "pkhw,knhw->pnhw", signs[:, :, *tile], before_cut
                )
                inside = alpha * shares[parts.first_matte :].clamp(min=0)
                alpha = alpha * shares[part].clamp(min=0)
            after = torch.cumprod(1 - alpha, 0)
            before = torch.cat([torch.ones_like(after[:1]), after[:-1]])
            own_colors = torch.einsum("khw,kc->hwc", alpha * before, channels[chosen])
            own_mattes = (inside * before).sum(1).movedim(0, -1)
            colors.append(torch.cat([own_colors, own_mattes], dim=-1))
            transmittances.append(after[-1])
    grid = (view.tile_rows, view.tile_columns, TILE, TILE)
    whole = torch.stack(colors).reshape(*grid, -1).permute(0, 2, 1, 3, 4)
    whole = whole.reshape(view.tile_rows * TILE, view.tile_columns * TILE, -1)[: view.height, : view.width]
    left = torch.stack(transmittances).reshape(grid).permute(0, 2, 1, 3)
    left = left.reshape(view.tile_rows * TILE, -1)[: view.height, : view.width]
    return whole[..., :3], left, *whole[..., 3:].unbind(-1)


def ssim_map(image: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """(H, W, 3) structural similarity of two (H, W, 3) images; see ``losses``."""
    window = torch.as_tensor(losses.ssim_window(), dtype=image.dtype, device=image.device)

    def blur(values: torch.Tensor) -> torch.Tensor:
        planes = values.permute(2, 0, 1)[:, None]
        pad = losses.SSIM_RADIUS
        planes = torch.nn.functional.conv2d(planes, window.reshape(1, 1, -1, 1), padding=(pad, 0))
        planes = torch.nn.functional.conv2d(planes, window.reshape(1, 1, 1, -1), padding=(0, pad))
        return planes[:, 0].permute(1, 2, 0)

    mean_x, mean_y = blur(image), blur(truth)
    variance_x = blur(image * image) - mean_x * mean_x
    variance_y = blur(truth * truth) - mean_y * mean_y
    covariance = blur(image * truth) - mean_x * mean_y
    luminance = (2 * mean_x * mean_y + losses.SSIM_C1) / (mean_x**2 + mean_y**2 + losses.SSIM_C1)
    return luminance * (2 * covariance + losses.SSIM_C2) / (variance_x + variance_y + losses.SSIM_C2)


def image_loss(
    color: torch.Tensor,
    transmittance: torch.Tensor,
    truth: torch.Tensor,
    used: torch.Tensor,
    background: torch.Tensor,
    weights: LossWeights,
) -> tuple[torch.Tensor, torch.Tensor]:
    """The loss of ``Backend.loss`` and the (H, W, 3) differences of used pixels; differentiable."""
    image = torch.where(used[..., None], color + transmittance[..., None] * background, truth)
    difference = image - truth
    count = max(1, int(used.sum()))
    loss = (1 - weights.ssim) * difference.abs().sum() / (3 * count)
    if weights.ssim > 0:
        phase = weights.ssim_phase % weights.ssim_stride
        scored = ssim_map(image, truth)[phase :: weights.ssim_stride]
        share = len(image) / max(1, len(scored))
        loss = loss + weights.ssim * share * (1 - scored).sum() / (3 * count)
    if weights.transmittance:
        loss = loss + weights.transmittance * transmittance[used].sum() / count
    return loss, difference


class ReferenceBackend:
    """Gaussians by plain torch and autograd on any device."""

    def __init__(self, alpha_minimum: float = ALPHA_MINIMUM) -> None:
        self.alpha_minimum = alpha_minimum
        self._leaf = torch.empty(0)
        self._weights = torch.empty(0)
        self._outputs: tuple[torch.Tensor, ...] | None = None

    def render(self, parameters: torch.Tensor, view: View, with_depth: bool = False) -> Rendering:
        training = not with_depth
        with torch.set_grad_enabled(training):
            self._leaf = parameters.detach().requires_grad_(training)
            self._weights = torch.zeros_like(self._leaf[:, 0]).requires_grad_(training)
            splats = project(self._leaf, view, self.alpha_minimum)
            weights = self._weights if training else None
            self._outputs = rasterize(splats, view, weights, self.alpha_minimum)
        color, transmittance, depth = (output.detach() for output in self._outputs)
        return Rendering(color, transmittance, depth if with_depth else None)

    def render_parts(self, parameters: torch.Tensor, view: View, parts: RayParts) -> PartedRendering:
        with torch.no_grad():
            splats = project(parameters, view, self.alpha_minimum)
            color, transmittance, depth, *mattes = rasterize(splats, view, None, self.alpha_minimum, parts)
            front = None
            if parts.has_front:
                drawn = rasterize(splats, view, None, self.alpha_minimum, parts, 1)
                front = Rendering(drawn[0], drawn[1], None)
        planes = torch.stack([depth, *mattes])[1:]
        return PartedRendering(Rendering(color, transmittance, depth), front, planes)

    def loss(
        self,
        rendering: Rendering,
        truth: torch.Tensor,
        used: torch.Tensor,
        background: torch.Tensor,
        weights: LossWeights,
    ) -> ImageLoss:
        color = rendering.color.detach().requires_grad_(True)
        transmittance = rendering.transmittance.detach().requires_grad_(True)
        behind = background.detach().requires_grad_(True)
        with torch.enable_grad():
            loss, difference = image_loss(color, transmittance, truth, used, behind, weights)
            d_color, d_transmittance, d_background = torch.autograd.grad(loss, (color, transmittance, behind))
        difference = difference.detach()
        squared = float((difference**2).sum()) / (3 * max(1, int(used.sum())))
        error = difference.abs().sum(-1)
        return ImageLoss(float(loss.detach()), squared, d_color, d_transmittance, error, d_background)

    def gradients(
        self,
        parameters: torch.Tensor,
        view: View,
        loss: ImageLoss,
        opacity_weight: float = 0.0,
        scale_weight: float = 0.0,
    ) -> RowGradients:
        assert self._outputs is not None, "render comes first"
        whole, errors = torch.autograd.grad(
            self._outputs, (self._leaf, self._weights), (loss.d_color, loss.d_transmittance, loss.error)
        )
        rows = torch.nonzero((whole != 0).any(1))[:, 0]
        chosen, gradients = parameters[rows], whole[rows]
        opacity = torch.sigmoid(chosen[:, layout.OPACITY])
        gradients[:, layout.OPACITY] += opacity_weight * opacity * (1 - opacity)
        gradients[:, layout.SCALE] += scale_weight * torch.exp(chosen[:, layout.SCALE])
        return RowGradients(rows, gradients, errors[rows])

    def adam(
        self,
        parameters: torch.Tensor,
        moments: torch.Tensor,
        steps: torch.Tensor,
        rows: RowGradients,
        rates: torch.Tensor,
        spans: tuple[float, float] = (1.0, 1.0),
    ) -> None:
        chosen = rows.rows
        steps[chosen] += 1
        count = steps[chosen, None].to(parameters.dtype)
        first = moments[chosen, 0] * BETA_1 + (1 - BETA_1) * rows.gradients
        second = moments[chosen, 1] * BETA_2 + (1 - BETA_2) * rows.gradients**2
        moments[chosen] = torch.stack([first, second], 1)
        scale = torch.sqrt(second / (1 - BETA_2**count) + EPSILON**2)
        extent = torch.exp(parameters[chosen, EXTENT]).clamp(min=spans[0]).clamp(max=spans[1])
        rates = rates.repeat(len(chosen), 1)
        rates[:, VELOCITY] *= (spans[0] / extent)[:, None]
        parameters[chosen] -= rates * (first / (1 - BETA_1**count)) / scale
