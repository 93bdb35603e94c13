"""The numba kernels against the torch reference, and the reference against finite differences."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch

from neural_render_server.cameras import Camera
from neural_render_server.kernels import layout, reference
from neural_render_server.kernels.backend import LossWeights, RowGradients
from neural_render_server.kernels.cpu import CpuBackend
from neural_render_server.kernels.reference import ReferenceBackend
from neural_render_server.kernels.warm_up import warm_up
from neural_render_server.rolling_shutter import RollingShutter

Gaussians = Callable[..., torch.Tensor]
Cameras = Callable[..., Camera]

NEAR = 0.05
# A readout of half a timestep, downwards and a little aside, of a camera that pans and walks.
ROLLING = RollingShutter(across=0.1, down=0.5, turn=(0.05, 0.1, -0.02), drift=(0.1, -0.05, 0.2))
BACKGROUND = torch.tensor([0.2, 0.3, 0.4])


def scattered(rows: RowGradients, count: int) -> torch.Tensor:
    """(count, 29): gradients and errors of all rows, zero where not drawn."""
    whole = torch.zeros((count, layout.WIDTH + 1), dtype=torch.float64)
    whole[rows.rows.long()] = torch.cat([rows.gradients, rows.errors[:, None]], 1).double()
    return whole


@pytest.mark.parametrize("cut_offs", [True, False])
@pytest.mark.parametrize("some_tiles", [True, False])
@pytest.mark.parametrize("shutter", [None, ROLLING])
def test_numba_equals_the_reference(
    gaussians: Gaussians, camera: Cameras, cut_offs: bool, some_tiles: bool, shutter: RollingShutter | None
) -> None:
    rows = gaussians(300)
    tiles, used = None, torch.from_numpy(np.random.default_rng(1).random((50, 70)) < 0.9)
    if some_tiles:
        tiles = np.random.default_rng(2).random((4, 5)) < 0.5
        used &= torch.from_numpy(np.kron(tiles, np.ones((16, 16), bool))[:50, :70])
    view = layout.make_view(camera(4.0), 0.7, NEAR, tiles=tiles, shutter=shutter)
    alpha_minimum = layout.ALPHA_MINIMUM if cut_offs else 0.0
    fast = CpuBackend(alpha_minimum, layout.TRANSMITTANCE_MINIMUM if cut_offs else 0.0)
    slow = ReferenceBackend(alpha_minimum)
    truth = torch.from_numpy(np.random.default_rng(3).random((50, 70, 3)).astype(np.float32))
    weights = LossWeights(ssim=0.3, transmittance=0.05, ssim_stride=2, ssim_phase=1)

    drawn = fast.render(rows, view)
    expected = slow.render(rows.double(), view)
    assert float(expected.transmittance.min()) < 0.3  # something is there to compare
    for name in ("color", "transmittance"):
        difference = (getattr(drawn, name) - getattr(expected, name))[used]
        assert float(difference.abs().max()) < 2e-5, name

    loss = fast.loss(drawn, truth, used, BACKGROUND, weights)
    expected_loss = slow.loss(expected, truth.double(), used, BACKGROUND.double(), weights)
    assert loss.value == pytest.approx(expected_loss.value, rel=1e-5)
    assert loss.squared_error == pytest.approx(expected_loss.squared_error, rel=1e-5)
    assert torch.allclose(loss.d_background.double(), expected_loss.d_background, rtol=1e-3, atol=1e-6)

    result = scattered(fast.gradients(rows, view, loss, 0.01, 0.02), len(rows))
    wanted = scattered(slow.gradients(rows.double(), view, expected_loss, 0.01, 0.02), len(rows))
    touched = (wanted != 0).any(1) & (result != 0).any(1)
    assert int(touched.sum()) > 50
    scale = wanted.abs().amax(0)
    assert bool((scale > 0).all())
    assert float(((result - wanted)[touched].abs() / scale).max()) < 1e-3


def test_depth_is_the_weighted_planar_depth(gaussians: Gaussians, camera: Cameras) -> None:
    rows = gaussians(200)
    view = layout.make_view(camera(4.0), 0.0, NEAR)
    fast = CpuBackend().render(rows, view, with_depth=True)
    slow = ReferenceBackend().render(rows.double(), view, with_depth=True)
    assert fast.depth is not None and slow.depth is not None
    assert float((fast.depth - slow.depth).abs().max()) < 1e-3
    assert float(fast.depth.max()) > 1.0


def test_reference_gradients_are_those_of_finite_differences(gaussians: Gaussians, camera: Cameras) -> None:
    rows = gaussians(5, seed=4, size=0.4).double()
    rows[:, layout.EXTENT] = torch.linspace(0.5, 1.5, 5)
    view = layout.make_view(camera(4.0, 20, 16, 16.0), 0.3, NEAR)
    pattern = torch.from_numpy(np.random.default_rng(5).normal(size=(16, 20, 4)))

    def score(values: torch.Tensor) -> torch.Tensor:
        splats = reference.project(values, view, alpha_minimum=0.0)
        color, transmittance, depth = reference.rasterize(splats, view, alpha_minimum=0.0)
        image = torch.cat([color, transmittance[..., None]], -1)
        return (image * pattern).sum() + 0.1 * depth.sum()

    assert torch.autograd.gradcheck(score, (rows.requires_grad_(True),), eps=1e-6, atol=1e-5, rtol=1e-4)


def test_the_same_result_for_any_number_of_threads(
    gaussians: Gaussians, camera: Cameras, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = gaussians(2000)
    view = layout.make_view(camera(4.0, 160, 120, 130.0), 0.7, NEAR)
    truth, used = torch.rand(120, 160, 3), torch.ones(120, 160, dtype=torch.bool)
    results = []
    for threads in ("1", "2", "3"):
        monkeypatch.setenv("NEURAL_RENDER_THREADS", threads)
        backend = CpuBackend()
        drawn = backend.render(rows, view)
        loss = backend.loss(drawn, truth, used, BACKGROUND, LossWeights())
        found = backend.gradients(rows, view, loss)
        results.append((drawn.color.clone(), found.rows.clone(), found.gradients.clone()))
    for color, numbers, gradients in results[1:]:
        assert torch.equal(color, results[0][0])
        assert torch.equal(numbers, results[0][1])
        assert torch.equal(gradients, results[0][2])


def test_rendering_from_many_threads_at_once(gaussians: Gaussians, camera: Cameras) -> None:
    rows = gaussians(2000)
    views = [layout.make_view(camera(distance, 160, 120, 130.0), 0.0, NEAR) for distance in (3.0, 4.0, 5.0)]
    alone = [CpuBackend().render(rows, view).color.clone() for view in views]

    def render(index: int) -> bool:
        backend = CpuBackend()
        return all(torch.equal(backend.render(rows, views[index]).color, alone[index]) for _ in range(10))

    with ThreadPoolExecutor(6) as pool:
        assert all(pool.map(render, [0, 1, 2, 0, 1, 2]))


def test_cameras_inside_the_scene_stay_finite(gaussians: Gaussians, camera: Cameras) -> None:
    rows = gaussians(3000, size=0.3)
    backend = CpuBackend()
    for distance in (1.5, 0.3, 0.0, -1.0):
        view = layout.make_view(camera(distance), 0.0, NEAR)
        drawn = backend.render(rows, view, with_depth=True)
        assert drawn.depth is not None
        for image in (drawn.color, drawn.transmittance, drawn.depth):
            assert bool(torch.isfinite(image).all())
        assert 0.0 <= float(drawn.transmittance.min()) <= float(drawn.transmittance.max()) <= 1.0
        loss = backend.loss(
            drawn, torch.rand(50, 70, 3), torch.ones(50, 70, dtype=torch.bool), BACKGROUND, LossWeights()
        )
        assert bool(torch.isfinite(backend.gradients(rows, view, loss).gradients).all())


def test_rows_that_are_not_numbers_are_not_drawn(gaussians: Gaussians, camera: Cameras) -> None:
    rows = gaussians(100)
    view = layout.make_view(camera(4.0), 0.0, NEAR)
    without = CpuBackend().render(rows[28:], view).color.clone()
    # every column broken once; a broken colour would show, so colours are left
    geometry = [column for column in range(layout.WIDTH) if column < layout.COLOR.start]
    for column in geometry:
        rows[column, column] = float("nan")
    rows[len(geometry) : 28, layout.OPACITY] = -1e9
    assert torch.equal(CpuBackend().render(rows, view).color, without)


def test_nothing_to_draw_is_transparent(gaussians: Gaussians, camera: Cameras) -> None:
    view = layout.make_view(camera(4.0), 0.0, NEAR)
    for rows in (gaussians(0), gaussians(3) + torch.tensor([100.0] + 27 * [0.0])):
        backend = CpuBackend()
        drawn = backend.render(rows, view)
        assert float(drawn.transmittance.min()) == 1.0 and float(drawn.color.abs().max()) == 0.0
        used = torch.ones(50, 70, dtype=torch.bool)
        loss = backend.loss(drawn, torch.rand(50, 70, 3), used, BACKGROUND, LossWeights())
        assert len(backend.gradients(rows, view, loss).rows) == 0


def test_warm_up_leaves_nothing_to_compile(gaussians: Gaussians, camera: Cameras) -> None:
    from neural_render_server.kernels import losses, optimizer, projection, rasterizer

    warm_up(CpuBackend(), torch.device("cpu"))
    kernels: list[Any] = [
        projection.project,
        projection.project_backward,
        rasterizer.rasterize,
        rasterizer.rasterize_backward,
        losses.compose,
        losses.ssim_rows,
        losses.image_gradient,
        optimizer.adam_rows,
    ]
    before = [len(kernel.signatures) for kernel in kernels]
    assert min(before) > 0
    backend, rows, view = CpuBackend(), gaussians(50), layout.make_view(camera(4.0), 0.0, NEAR)
    used = torch.ones(50, 70, dtype=torch.bool)
    for part in (slice(0, 0), slice(0, 3)):
        used[:, part] = False
        drawn = backend.render(rows, view)
        loss = backend.loss(drawn, torch.rand(50, 70, 3), used, BACKGROUND, LossWeights())
        found = backend.gradients(rows, view, loss)
    moments, steps = torch.zeros(50, 2, layout.WIDTH), torch.zeros(50, dtype=torch.int32)
    backend.adam(rows, moments, steps, found, torch.zeros(layout.WIDTH))
    assert [len(kernel.signatures) for kernel in kernels] == before


def test_buffers_stop_growing(gaussians: Gaussians, camera: Cameras) -> None:
    rows = gaussians(500)
    backend = CpuBackend()
    view = layout.make_view(camera(4.0), 0.0, NEAR)
    used = torch.ones(50, 70, dtype=torch.bool)
    sizes = []
    for _ in range(5):
        loss = backend.loss(
            backend.render(rows, view), torch.rand(50, 70, 3), used, BACKGROUND, LossWeights()
        )
        backend.gradients(rows, view, loss)
        sizes.append(backend.workspace_bytes)
    assert sizes[0] == sizes[-1] > 0
