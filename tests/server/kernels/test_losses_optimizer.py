"""SSIM against scikit-image, Adam against torch's, and the order of a tile's entries."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity

from neural_render_server.cameras import Camera
from neural_render_server.kernels import binning, layout, optimizer, reference
from neural_render_server.kernels.backend import Backend, LossWeights, Rendering, RowGradients
from neural_render_server.kernels.cpu import CpuBackend
from neural_render_server.kernels.reference import ReferenceBackend


def test_ssim_is_the_one_everybody_measures() -> None:
    random = np.random.default_rng(0)
    image, truth = random.random((2, 40, 36, 3))
    _, expected = structural_similarity(
        image,
        truth,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        data_range=1.0,
        channel_axis=2,
        full=True,
    )
    found = reference.ssim_map(torch.from_numpy(image), torch.from_numpy(truth)).numpy()
    # edges differ by what each takes to lie outside the image
    assert np.abs(found - expected)[6:-6, 6:-6].max() < 1e-6


def test_strided_ssim_adds_up_to_the_whole() -> None:
    random = np.random.default_rng(1)
    color = torch.from_numpy(random.random((30, 24, 3)).astype(np.float32))
    truth = torch.from_numpy(random.random((30, 24, 3)).astype(np.float32))
    used, nothing = torch.ones(30, 24, dtype=torch.bool), torch.zeros(30, 24)
    backend = CpuBackend()

    def gradient(stride: int, phase: int) -> torch.Tensor:
        weights = LossWeights(0.5, 0.0, stride, phase)
        loss = backend.loss(Rendering(color, nothing, None), truth, used, torch.zeros(3), weights)
        return loss.d_color.clone()

    halves = 0.5 * (gradient(2, 0) + gradient(2, 1))
    assert torch.allclose(halves, gradient(1, 0), rtol=1e-3, atol=1e-7)


@pytest.mark.parametrize("backend", [CpuBackend(), ReferenceBackend()])
def test_adam_equals_torch(backend: Backend) -> None:
    random = np.random.default_rng(2)
    parameters = torch.from_numpy(random.normal(size=(6, layout.WIDTH)).astype(np.float32))
    expected = parameters.clone().requires_grad_(True)
    torch_adam = torch.optim.Adam(
        [expected], lr=0.01, betas=(optimizer.BETA_1, optimizer.BETA_2), eps=optimizer.EPSILON
    )
    moments, steps = torch.zeros(6, 2, layout.WIDTH), torch.zeros(6, dtype=torch.int32)
    rates = torch.full((layout.WIDTH,), 0.01)
    for _ in range(20):
        gradients = torch.from_numpy(random.normal(size=(6, layout.WIDTH)).astype(np.float32))
        gradients[:, 3] = 0.0  # what gets no gradient stays where it is
        expected.grad = gradients.clone()
        torch_adam.step()
        rows = RowGradients(torch.arange(6, dtype=torch.int32), gradients, torch.zeros(6))
        backend.adam(parameters, moments, steps, rows, rates)
    assert torch.allclose(parameters, expected.detach(), rtol=1e-4, atol=1e-5)


def test_velocities_of_what_lives_long_learn_slower() -> None:
    """By how long they live, from the first span on and up to the second; nothing else is slowed."""
    lives = torch.tensor([0.5, 3.0, 6.0, 12.0, 1000.0])
    moved = []
    for backend in (CpuBackend(), ReferenceBackend()):
        parameters = torch.zeros(5, layout.WIDTH)
        parameters[:, layout.EXTENT] = lives.log()
        before = parameters.clone()
        moments, steps = torch.zeros(5, 2, layout.WIDTH), torch.zeros(5, dtype=torch.int32)
        rows = RowGradients(torch.arange(5, dtype=torch.int32), torch.ones(5, layout.WIDTH), torch.zeros(5))
        backend.adam(parameters, moments, steps, rows, torch.full((layout.WIDTH,), 0.1), (3.0, 24.0))
        moved.append(before - parameters)
    assert torch.allclose(moved[0], moved[1], rtol=1e-4, atol=1e-6)
    velocity = moved[0][:, layout.VELOCITY]
    assert torch.allclose(velocity[:, 0], torch.tensor([0.1, 0.1, 0.05, 0.025, 0.0125]), rtol=1e-3)
    others = [j for j in range(layout.WIDTH) if j not in range(3, 6)]
    assert torch.allclose(moved[0][:, others], torch.full((5, layout.WIDTH - 3), 0.1), rtol=1e-3)


def test_adam_leaves_other_rows_alone() -> None:
    parameters = torch.ones(4, layout.WIDTH)
    moments, steps = torch.zeros(4, 2, layout.WIDTH), torch.zeros(4, dtype=torch.int32)
    rows = RowGradients(torch.tensor([1, 3], dtype=torch.int32), torch.ones(2, layout.WIDTH), torch.zeros(2))
    CpuBackend().adam(parameters, moments, steps, rows, torch.full((layout.WIDTH,), 0.1))
    assert steps.tolist() == [0, 1, 0, 1]
    assert torch.equal(parameters[[0, 2]], torch.ones(2, layout.WIDTH))
    assert torch.allclose(parameters[[1, 3]], torch.full((2, layout.WIDTH), 0.9))


def test_tiles_list_what_reaches_them_nearest_first(
    gaussians: Callable[..., torch.Tensor], camera: Callable[..., Camera]
) -> None:
    rows = gaussians(400)
    backend = CpuBackend()
    view = layout.make_view(camera(4.0), 0.0, 0.05)
    backend.render(rows, view)
    drawn = backend._drawn
    assert drawn is not None
    splats = reference.project(rows.double(), view)
    for tile in range(view.tile_rows * view.tile_columns):
        listed = drawn.tile_splats[drawn.tile_start[tile] : drawn.tile_start[tile + 1]]
        assert (np.diff(splats.depth[listed].numpy()) >= -1e-6).all()
        top, left = (tile // view.tile_columns) * 16, (tile % view.tile_columns) * 16
        y, x = np.mgrid[top : top + 16, left : left + 16] + 0.5
        dx, dy = (
            x[None] - splats.mean[:, 0, None, None].numpy(),
            y[None] - splats.mean[:, 1, None, None].numpy(),
        )
        a, b, c = splats.conic.numpy().T[:, :, None, None]
        alpha = splats.opacity.numpy()[:, None, None] * np.exp(-0.5 * (a * dx**2 + c * dy**2) - b * dx * dy)
        reaching = np.flatnonzero((alpha.max((1, 2)) > 1.01 / 255) & splats.drawn.numpy())
        assert set(reaching) <= set(listed.tolist())


def test_depth_sort_is_stable() -> None:
    random = np.random.default_rng(3)
    splats = np.zeros((500, 16), np.float32)
    splats[:, 11] = random.integers(1, 60, 500) * 0.37
    visible = np.arange(500, dtype=np.int32)
    scratch = [np.zeros(500, np.uint32), np.zeros(500, np.uint32), np.zeros(500, np.int32)]
    binning.sort_by_depth(splats, visible, 500, *scratch)
    assert visible.tolist() == np.argsort(splats[:, 11], kind="stable").tolist()
