"""Zip-NeRF trains, is anti-aliased, resumes bit for bit, and refuses what it cannot use."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tiny_capture
import torch

from neural_render_server.captures.capture import SplitOptions, apply_split
from neural_render_server.captures.detect import open_capture
from neural_render_server.captures.frames import Frames
from neural_render_server.crop import Crop
from neural_render_server.errors import CaptureError, OptionError
from neural_render_server.methods.volumetric.stepfun import blurred_interlevel_loss, interlevel_loss
from neural_render_server.methods.zip_nerf import ZipNerfConfig, ZipNerfMethod
from neural_render_server.methods.zip_nerf.losses import PULSE_WIDTHS, charbonnier
from neural_render_server.methods.zip_nerf.multisampling import Hexagons, contracted_multisamples

CPU = torch.device("cpu")
TINY = {"coarsest": 8, "finest": 64, "finest_proposals": (16, 32), "features": 2, "log2_table_size": 13}
TINY = {**TINY, "width": 32, "color_width": 32, "samples": (12, 12, 8), "rays": 128}
TINY = {**TINY, "learning_rate": 2e-2, "last_learning_rate": 2e-3}


def quiet(message: str, fraction: float) -> None:
    pass


def tiny(**changes: object) -> ZipNerfMethod:
    return ZipNerfMethod(ZipNerfConfig(**{**TINY, **changes}), CPU)


@pytest.fixture(scope="module")
def photos(large_ball: Path) -> Iterator[Frames]:
    """One moment, without the first camera."""
    capture = apply_split(open_capture(large_ball), SplitOptions(timesteps=(0, 1), test_cameras=("cam00",)))
    with Frames(capture, capture.train_indices) as frames:
        yield frames


def test_it_learns_a_camera_it_never_saw(photos: Frames, large_ball: Path) -> None:
    method = tiny()
    method.initialise(photos, 0, quiet)
    for step in range(80):
        values = method.train_step(photos, step / 80)
    assert np.isfinite(values["loss"])
    capture = open_capture(large_ball)
    with Frames(capture, [0]) as held_out:
        camera, truth = held_out.cameras[0], held_out.rgb(0) / 255.0
    frame = method.render(camera, 0.0)
    assert ((frame.color - truth) ** 2).mean() < 0.4 * truth.var(axis=(0, 1)).mean()
    assert frame.opacity.min() > 0.9 and np.isfinite(frame.depth).all() and frame.depth.min() > 0.5
    wall = tiny_capture.trace(camera.camera_to_world, 0.0)[1][:8, -16:]  # beside the ball
    assert np.median(np.abs(frame.depth[:8, -16:] - wall) / wall) < 0.6
    left = Crop.box((-9.0, -9.0, -9.0), (-0.5, 9.0, 9.0))
    cropped = method.render(camera, 0.0, left)
    assert cropped.opacity[:, -8:].max() == 0.0 and cropped.opacity.max() > 0.1
    depths = np.full(frame.opacity.shape, np.inf, np.float32)
    depths[:, :16], depths[:, 16:32] = 0.0, 0.8 * frame.depth[:, 16:32]
    split = method.render_split(camera, 0.0, depths)
    np.testing.assert_array_equal(split.whole.color, frame.color)
    np.testing.assert_array_equal(split.front_color[:, 32:], frame.color[:, 32:])
    assert split.front_opacity[:, :16].max() == 0.0
    part = split.front_opacity[:, 16:32]
    assert 0.0 < part.mean() < 0.5 * frame.opacity[:, 16:32].mean()


def test_a_coarser_camera_gets_a_smoother_answer(photos: Frames) -> None:
    """One ray at the picture's middle, asked for by ever larger pixels, sees ever less of the fine levels."""
    method = tiny()
    method.initialise(photos, 0, quiet)
    field = method._ready()[0]
    with torch.no_grad():
        field.density.grid.table.uniform_(-0.1, 0.1, generator=torch.Generator().manual_seed(0))
    camera = photos.cameras[0]
    random = np.random.default_rng(0)
    origins = torch.from_numpy(np.repeat(camera.position[None], 64, 0)).float()
    directions = torch.from_numpy(camera.rays()[1].reshape(-1, 3)[random.integers(0, 3072, 64)])
    variations = []
    for radius in (1e-4, 0.05, 0.5):
        cones = method._cones(origins, directions, torch.full((64,), radius))
        edges = cones.spacing.to_t(torch.tensor([[0.4, 0.41]]).expand(64, 2))
        hexagons = Hexagons.draw(64, 1, None)
        means, stds = contracted_multisamples(cones.origins, cones.directions, cones.radii, edges, hexagons)
        features = field.density.grid(means[:, 0], stds[:, 0])
        variations.append(features[:, : field.density.grid.layout.width].std(dim=0).mean().item())
    assert variations[0] > variations[1] > variations[2]


def test_the_blurred_loss_is_zero_where_bounded_and_slides_smoothly_where_the_plain_one_jumps() -> None:
    """Section 3, at the published half-width: a narrow surface, and a proposal that slides over it."""
    edges = torch.tensor([[0.0, 0.495, 0.505, 1.0]], dtype=torch.float64)
    weights = torch.tensor([[0.0, 1.0, 0.0]], dtype=torch.float64)
    everything = torch.tensor([[0.0, 0.4, 0.6, 1.0]], dtype=torch.float64)
    covering = torch.tensor([[0.0, 1.0, 0.0]], dtype=torch.float64)
    assert blurred_interlevel_loss(edges, weights, everything, covering, PULSE_WIDTHS[0]) < 1e-12
    plain, smooth = [], []
    for center in np.linspace(0.3, 0.7, 801):
        slid = torch.tensor([[0.0, center - 0.05, center + 0.05, 1.0]], dtype=torch.float64)
        proposal = torch.tensor([[0.05, 0.9, 0.05]], dtype=torch.float64)
        plain.append(float(interlevel_loss(edges, weights, slid, proposal)))
        smooth.append(float(blurred_interlevel_loss(edges, weights, slid, proposal, PULSE_WIDTHS[0])))
    assert np.abs(np.diff(plain)).max() > 0.5 * max(plain)
    assert np.abs(np.diff(smooth)).max() < 0.03 * max(smooth)


def test_charbonnier_is_nearly_the_absolute_error() -> None:
    image = torch.tensor([[0.2, 0.5, 0.9]])
    assert charbonnier(image, torch.zeros(1, 3)).item() == pytest.approx(image.mean().item(), abs=1e-5)
    assert charbonnier(image, image).item() == pytest.approx(1e-3)


def test_the_rate_warms_up_and_falls() -> None:
    method = tiny(warm_up_share=0.1)
    rates = [method.learning_rate(progress) for progress in (0.0, 0.05, 0.1, 0.5, 1.0)]
    assert rates[0] < 1e-9 and rates[0] < rates[1] < rates[2]
    assert rates[3] == pytest.approx(2e-2 * 0.1**0.5) and rates[4] == pytest.approx(2e-3)


def test_resuming_and_repeating_are_bit_exact(photos: Frames) -> None:
    whole, half = tiny(), tiny()
    whole.initialise(photos, 4, quiet)
    half.initialise(photos, 4, quiet)
    for step in range(4):
        whole.train_step(photos, step / 4)
    for step in range(2):
        half.train_step(photos, step / 4)
    resumed = tiny()
    resumed.load(half.tensors(), half.optimizer_tensors())
    for step in range(2, 4):
        resumed.train_step(photos, step / 4)
    expected, got = whole.tensors(), resumed.tensors()
    assert expected.keys() == got.keys()
    assert all(torch.equal(expected[name], got[name]) for name in expected)
    assert not torch.equal(expected["density.grid.table"], half.tensors()["density.grid.table"])
    loaded = tiny()
    loaded.load(whole.tensors(), None)
    camera = photos.cameras[0].downscaled(4)
    np.testing.assert_array_equal(loaded.render(camera, 0.0).color, whole.render(camera, 0.0).color)


def test_what_cannot_be_used_is_refused(tiny_photos: Path) -> None:
    capture = open_capture(tiny_photos)
    with Frames(capture, [0]) as one, pytest.raises(CaptureError, match="at least 2 views"):
        tiny().initialise(one, 0, quiet)
    for changes, name in (
        ({"samples": (8, 8)}, "samples"),
        ({"features": 3}, "features"),
        ({"finest": 4}, "coarsest"),
        ({"background": "black"}, "background"),
    ):
        with pytest.raises(OptionError, match=name):
            tiny(**changes)
