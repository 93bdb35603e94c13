"""The numba backend: kernels put together, their buffers, and their work spread over threads."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import torch

from . import binning, losses, optimizer, projection, rasterizer, splitting
from .backend import ImageLoss, LossWeights, PartedRendering, Rendering, RowGradients
from .layout import ALPHA_MINIMUM, TRANSMITTANCE_MINIMUM, WIDTH, View
from .ray_parts import RayParts
from .threads import SLICES_PER_THREAD, even_bounds, run_sliced, thread_count
from .workspace import Workspace


class CpuBackend:
    """Gaussians on the CPU. Not for two threads at once: each thread takes its own.

    ``alpha_minimum`` and ``transmittance_minimum`` are the cut-offs of ``layout``; tests set them to 0.
    """

    def __init__(
        self,
        alpha_minimum: float = ALPHA_MINIMUM,
        transmittance_minimum: float = TRANSMITTANCE_MINIMUM,
    ) -> None:
        self.alpha_minimum = alpha_minimum
        self.transmittance_minimum = transmittance_minimum
        self._cut_off = math.log2(alpha_minimum) if alpha_minimum > 0 else -math.inf
        self._space = Workspace()
        self._drawn: _Drawn | None = None

    @property
    def workspace_bytes(self) -> int:
        return self._space.bytes

    def render(self, parameters: torch.Tensor, view: View, with_depth: bool = False) -> Rendering:
        rows = parameters.detach().numpy()
        drawn = self._bin(rows, view)
        self._drawn = drawn
        shape = (view.height, view.width)
        color = self._space.array("color", (*shape, 3), np.float32)
        transmittance = self._space.array("transmittance", shape, np.float32)
        depth = self._space.array("depth", shape if with_depth else (1, 1), np.float32)

        def blend(low: int, high: int) -> None:
            rasterizer.rasterize(
                drawn.splats,
                drawn.tile_start,
                drawn.tile_splats,
                drawn.tiles,
                self._cut_off,
                self.transmittance_minimum,
                with_depth,
                low,
                high,
                color,
                transmittance,
                depth,
            )

        run_sliced(blend, drawn.slices)
        return Rendering(
            torch.from_numpy(color),
            torch.from_numpy(transmittance),
            torch.from_numpy(depth) if with_depth else None,
        )

    def render_parts(self, parameters: torch.Tensor, view: View, parts: RayParts) -> PartedRendering:
        rows = parameters.detach().numpy()
        drawn = self._bin(rows, view)
        self._drawn = drawn
        space, shape = self._space, (view.height, view.width)
        profiles = space.array("profiles", (len(rows), splitting.PROFILE_WIDTH), np.float32)
        run_sliced(
            lambda low, high: splitting.depth_profiles(
                rows, view.packed, drawn.splats, drawn.entries, low, high, profiles
            ),
            even_bounds(len(rows)),
        )
        depths, signs, constants = (
            part.reshape(*part.shape[:-1], *shape).numpy()
            for part in (parts.depths, parts.signs, parts.constants)
        )
        color = space.array("color", (*shape, 3), np.float32)
        front_color = space.array("front_color", (*shape, 3), np.float32)
        transmittance, depth, front = (
            space.array(name, shape, np.float32) for name in ("transmittance", "depth", "front")
        )
        mattes = space.array("mattes", (parts.mattes, *shape), np.float32)

        def blend(low: int, high: int) -> None:
            splitting.rasterize_parts(
                drawn.splats,
                profiles,
                drawn.tile_start,
                drawn.tile_splats,
                drawn.tiles,
                self._cut_off,
                self.transmittance_minimum,
                depths,
                signs,
                constants,
                parts.has_front,
                low,
                high,
                color,
                transmittance,
                depth,
                front_color,
                front,
                mattes,
            )

        run_sliced(blend, drawn.slices)
        return PartedRendering(
            Rendering(*(torch.from_numpy(plane) for plane in (color, transmittance, depth))),
            Rendering(torch.from_numpy(front_color), torch.from_numpy(front), None)
            if parts.has_front
            else None,
            torch.from_numpy(mattes),
        )

    def _bin(self, parameters: npt.NDArray[np.float32], view: View) -> _Drawn:
        count = len(parameters)
        space = self._space
        tiles = view.tiles
        if tiles is None:
            tiles = np.ones((view.tile_rows, view.tile_columns), np.bool_)
        splats = space.array("splats", (count, projection.SPLAT_WIDTH), np.float32)
        rect = space.array("rect", (count, 4), np.int32)
        run_sliced(
            lambda low, high: projection.project(
                parameters, view.packed, tiles, self.alpha_minimum, low, high, splats, rect
            ),
            even_bounds(count),
        )
        visible = space.array("visible", (count,), np.int32)
        drawn = binning.compact(rect, visible)
        keys = space.array("keys", (count,), np.uint32)
        other_keys = space.array("other_keys", (count,), np.uint32)
        other = space.array("other", (count,), np.int32)
        binning.sort_by_depth(splats, visible, drawn, keys, other_keys, other)
        bound = binning.entry_bound(rect, visible, drawn)
        entries = space.array("entries", (count, 2), np.int32)
        entry_tile = space.array("entry_tile", (bound,), np.int32)
        entry_splat = space.array("entry_splat", (bound,), np.int32)
        tile_entries = space.array("tile_entries", (bound,), np.int32)
        tile_splats = space.array("tile_splats", (bound,), np.int32)
        tile_start = space.array("tile_start", (tiles.size + 1,), np.int32)
        total = binning.make_entries(
            splats,
            rect,
            visible,
            drawn,
            tiles,
            self._cut_off,
            entries,
            entry_tile,
            entry_splat,
            tile_start,
            tile_entries,
            tile_splats,
        )
        return _Drawn(splats, entries, total, tile_start, tile_entries, tile_splats, tiles)

    def loss(
        self,
        rendering: Rendering,
        truth: torch.Tensor,
        used: torch.Tensor,
        background: torch.Tensor,
        weights: LossWeights,
    ) -> ImageLoss:
        used_pixels, truth_pixels = used.numpy(), truth.numpy()
        behind = background.detach().numpy()
        color, transmittance = rendering.color.numpy(), rendering.transmittance.numpy()
        height, width = used_pixels.shape
        space, rows = self._space, even_bounds(height)
        image = space.array("image", (height, width, 3), np.float32)
        d_color = space.array("d_color", (height, width, 3), np.float32)
        d_transmittance = space.array("d_transmittance", (height, width), np.float32)
        error = space.array("error", (height, width), np.float32)
        derivatives = space.array("derivatives", (3, height, width * 3), np.float32)
        missing_ssim = space.array("missing_ssim", (height,), np.float64)
        missing_ssim[:] = 0.0
        row_sums = space.array("row_sums", (height, 6), np.float64)
        stride, phase = weights.ssim_stride, weights.ssim_phase % weights.ssim_stride
        share = height / max(1, len(range(phase, height, stride)))
        run_sliced(
            lambda low, high: losses.compose(
                color, transmittance, truth_pixels, used_pixels, behind, low, high, image
            ),
            rows,
        )
        if weights.ssim > 0:
            run_sliced(
                lambda low, high: losses.ssim_rows(
                    image, truth_pixels, used_pixels, phase, stride, low, high, derivatives, missing_ssim
                ),
                rows,
            )
        values = 3.0 * max(1, int(np.count_nonzero(used_pixels)))
        l1_scale, ssim_scale = (1.0 - weights.ssim) / values, weights.ssim * share / values
        transmittance_scale = 3.0 * weights.transmittance / values
        run_sliced(
            lambda low, high: losses.image_gradient(
                image,
                transmittance,
                truth_pixels,
                used_pixels,
                behind,
                derivatives,
                phase,
                stride,
                l1_scale,
                ssim_scale,
                transmittance_scale,
                low,
                high,
                d_color,
                d_transmittance,
                error,
                row_sums,
            ),
            rows,
        )
        absolute, squared, through, *d_background = row_sums.sum(axis=0)
        value = l1_scale * absolute + ssim_scale * missing_ssim.sum() + transmittance_scale * through
        return ImageLoss(
            float(value),
            float(squared / values),
            torch.from_numpy(d_color),
            torch.from_numpy(d_transmittance),
            torch.from_numpy(error),
            torch.tensor(d_background, dtype=torch.float32),
        )

    def gradients(
        self,
        parameters: torch.Tensor,
        view: View,
        loss: ImageLoss,
        opacity_weight: float = 0.0,
        scale_weight: float = 0.0,
    ) -> RowGradients:
        drawn = self._drawn
        assert drawn is not None, "render comes first"
        entry_gradients = self._space.array("entry_gradients", (drawn.entry_count, 10), np.float32)
        color = self._space.array("color", (view.height, view.width, 3), np.float32)
        transmittance = self._space.array("transmittance", (view.height, view.width), np.float32)
        d_color, d_transmittance = loss.d_color.numpy(), loss.d_transmittance.numpy()
        error = loss.error.numpy()

        def blend(low: int, high: int) -> None:
            rasterizer.rasterize_backward(
                drawn.splats,
                drawn.tile_start,
                drawn.tile_entries,
                drawn.tile_splats,
                drawn.tiles,
                self._cut_off,
                self.transmittance_minimum,
                color,
                transmittance,
                d_color,
                d_transmittance,
                error,
                low,
                high,
                entry_gradients,
            )

        run_sliced(blend, drawn.slices)
        row_numbers = self._space.array("row_numbers", (len(drawn.entries),), np.int32)
        count = binning.rows_with_entries(drawn.entries, row_numbers)
        row_numbers = row_numbers[:count]
        gradients = self._space.array("gradients", (count, WIDTH), np.float32)
        errors = self._space.array("errors", (count,), np.float32)
        values = parameters.detach().numpy()
        run_sliced(
            lambda low, high: projection.project_backward(
                values,
                view.packed,
                drawn.splats,
                row_numbers,
                drawn.entries,
                entry_gradients,
                opacity_weight,
                scale_weight,
                low,
                high,
                gradients,
                errors,
            ),
            even_bounds(count),
        )
        return RowGradients(
            torch.from_numpy(row_numbers), torch.from_numpy(gradients), torch.from_numpy(errors)
        )

    def adam(
        self,
        parameters: torch.Tensor,
        moments: torch.Tensor,
        steps: torch.Tensor,
        rows: RowGradients,
        rates: torch.Tensor,
        spans: tuple[float, float] = (1.0, 1.0),
    ) -> None:
        values, momenta, counts = parameters.detach().numpy(), moments.numpy(), steps.numpy()
        row_numbers, gradients, rate = rows.rows.numpy(), rows.gradients.numpy(), rates.numpy()
        run_sliced(
            lambda low, high: optimizer.adam_rows(
                values,
                momenta,
                counts,
                row_numbers,
                gradients,
                rate,
                *spans,
                optimizer.BETA_1,
                optimizer.BETA_2,
                optimizer.EPSILON,
                low,
                high,
            ),
            even_bounds(len(row_numbers)),
        )


class _Drawn:
    """What ``render`` leaves for ``gradients``; see ``binning.make_entries``."""

    def __init__(
        self,
        splats: npt.NDArray[np.float32],
        entries: npt.NDArray[np.int32],
        entry_count: int,
        tile_start: npt.NDArray[np.int32],
        tile_entries: npt.NDArray[np.int32],
        tile_splats: npt.NDArray[np.int32],
        tiles: npt.NDArray[np.bool_],
    ) -> None:
        self.splats = splats
        self.entries = entries
        self.entry_count = entry_count
        self.tile_start = tile_start
        self.tile_entries = tile_entries
        self.tile_splats = tile_splats
        self.tiles = tiles
        self.slices = _balanced(tile_start)


def _balanced(tile_start: npt.NDArray[np.int32]) -> list[int]:
    """Bounds over tiles that hold about equal numbers of entries."""
    tiles = len(tile_start) - 1
    slices = min(tiles, SLICES_PER_THREAD * thread_count())
    # every tile counts a little, so that empty ones are spread as well
    load = tile_start + 16 * np.arange(tiles + 1)
    inner = np.searchsorted(load, load[-1] * np.arange(1, slices) / slices)
    return [0, *(int(bound) for bound in inner), tiles]
