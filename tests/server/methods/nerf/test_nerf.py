"""NeRF and NeRF-T: their networks and quadrature by definition, and training on tiny captures."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import tiny_capture
import torch

from neural_render_server.captures.capture import SplitOptions, apply_split
from neural_render_server.captures.detect import open_capture
from neural_render_server.captures.frames import Frames
from neural_render_server.crop import Crop, CropShape
from neural_render_server.errors import CaptureError, OptionError
from neural_render_server.kernels.ray_parts import ray_parts
from neural_render_server.methods.base import Method
from neural_render_server.methods.nerf import NerfConfig, NerfMethod, NerfTimeConfig, NerfTimeMethod
from neural_render_server.methods.nerf.conditions import EncodedTime
from neural_render_server.methods.nerf.network import RadianceNetwork
from neural_render_server.methods.nerf.rendering import Sampling, render_coarse_fine
from neural_render_server.methods.nerf.space import BoundedSpace
from neural_render_server.methods.volumetric.bounds import SceneBounds
from neural_render_server.methods.volumetric.rays import step_random

CPU = torch.device("cpu")
TINY = {"width": 64, "layers": 4, "skip": 2, "coarse_samples": 12, "fine_samples": 12, "rays": 128}
TINY = {**TINY, "position_octaves": 5, "learning_rate": 5e-3, "last_learning_rate": 1e-3}


def quiet(message: str, fraction: float) -> None:
    pass


def frames_of(folder: Path, **split: object) -> Frames:
    capture = apply_split(open_capture(folder), SplitOptions(**split))  # type: ignore[arg-type]
    return Frames(capture, capture.train_indices)


@pytest.fixture(scope="module")
def film(large_ball: Path) -> Iterator[Frames]:
    with frames_of(large_ball) as frames:
        yield frames


def test_the_papers_network_has_its_layers() -> None:
    """Figure 7 of the paper: 8 layers of 256, the input again at the sixth, half the width for colour."""
    network = RadianceNetwork(NerfConfig(), 0, torch.Generator())
    shapes = [tuple(layer.weight.shape) for layer in network.trunk.layers]
    assert shapes == [(256, 63)] + [(256, 256)] * 4 + [(256, 319)] + [(256, 256)] * 2 + [(257, 256)]
    assert [tuple(layer.weight.shape) for layer in network.color.layers] == [(128, 256 + 27), (3, 128)]


def test_density_does_not_depend_on_the_view_direction() -> None:
    network = RadianceNetwork(NerfConfig(**{**TINY, "width": 16}), 3, torch.Generator().manual_seed(0))
    points = torch.rand(6, 5, 3)
    one, other = torch.eye(3)[:1].expand(6, 3), torch.eye(3)[1:2].expand(6, 3)
    condition = torch.rand(6, 3)
    density, color = network(points, one, condition)
    density_too, color_too = network(points, other, condition)
    assert torch.equal(density, density_too) and not torch.allclose(color, color_too)
    assert not torch.allclose(network(points, one, condition + 1.0)[0], density)


def slab(points: torch.Tensor, directions: torch.Tensor, condition: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Density 2 within 0.1 of the plane z = 0, and a colour that tells the height."""
    raw = torch.where(points[..., 2].abs() < 0.1, 2.0, -1.0)
    return raw, torch.stack([points[..., 2] + 0.5] * 3, dim=-1)


def test_a_slab_is_rendered_as_by_the_integral_and_fine_samples_find_it() -> None:
    corner = np.full(3, 1.0)
    space = BoundedSpace(SceneBounds(1.0, 3.0, -corner, corner, np.zeros(3), 1.0), is_object=True)
    rays_o = torch.tensor([[0.0, 0.0, 2.0], [0.3, 0.1, 2.0], [5.0, 0.0, 2.0]])
    rays_d = torch.tensor([[0.0, 0.0, -1.0]]).expand(3, 3)
    rays = space.rays(rays_o, rays_d)
    condition = torch.zeros(3, 0)
    coarse, fine = render_coarse_fine(slab, slab, rays, rays_d, condition, None, Sampling(64, 512))
    opacity = 1.0 - math.exp(-2.0 * 0.2)
    torch.testing.assert_close(fine.opacity[:2], torch.full((2,), opacity), atol=0.02, rtol=0)
    assert abs(fine.opacity[0] - opacity) <= abs(coarse.opacity[0] - opacity)
    assert fine.depth[0] / fine.opacity[0] == pytest.approx(2.0, abs=0.02)
    assert fine.opacity[2] == 0.0  # it misses the box
    # cut in the middle of the slab, half of the thickness is left
    lower = Crop.box((-9, -9, -9), (9, 9, 0))
    parts = ray_parts(lower, rays_o, rays_d)
    _, cut = render_coarse_fine(slab, slab, rays, rays_d, condition, parts, Sampling(64, 512))
    assert cut.opacity[0] == pytest.approx(1.0 - math.exp(-2.0 * 0.1), abs=0.03)
    # split there, the front has the other half, and a depth of all the way leaves nothing behind
    depths = torch.tensor([2.0, torch.inf, 2.0])
    parts = ray_parts(None, rays_o, rays_d, depths)
    _, split = render_coarse_fine(slab, slab, rays, rays_d, condition, parts, Sampling(64, 512))
    assert split.front is not None and torch.equal(split.opacity, fine.opacity)
    assert split.front[1][0] == pytest.approx(1.0 - math.exp(-2.0 * 0.1), abs=0.02)
    assert split.front[1][1] == split.opacity[1] and split.front[1][2] == 0.0
    # the slab's two halves, told apart: the upper one is seen first
    halves = [
        CropShape("box", Crop.box((-9, -9, low), (9, 9, low + 9)).shapes[0].matrix, "matte")
        for low in (0, -9)
    ]
    parts = ray_parts(Crop(tuple(halves), with_mattes=True), rays_o, rays_d)
    _, told = render_coarse_fine(slab, slab, rays, rays_d, condition, parts, Sampling(64, 512))
    assert told.mattes is not None and torch.equal(told.opacity, fine.opacity)
    torch.testing.assert_close(told.mattes.sum(-1), told.opacity)
    half = 1.0 - math.exp(-2.0 * 0.1)
    torch.testing.assert_close(told.mattes[0], torch.tensor([half, half * (1.0 - half)]), atol=0.02, rtol=0)


def test_the_last_sample_of_an_open_ray_stands_for_all_beyond() -> None:
    corner = np.full(3, 1.0)
    space = BoundedSpace(SceneBounds(1.0, 3.0, -corner, corner, np.zeros(3), 1.0), is_object=False)
    rays_d = torch.tensor([[0.0, 0.0, -1.0]])

    def thin(
        points: torch.Tensor, directions: torch.Tensor, condition: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        return torch.full(points.shape[:-1], 0.05), torch.ones_like(points)

    _, fine = render_coarse_fine(
        thin,
        thin,
        space.rays(torch.tensor([[0.0, 0.0, 2.0]]), rays_d),
        rays_d,
        torch.zeros(1, 0),
        None,
        Sampling(8, 8, step_random(0, 0)),
    )
    assert fine.opacity[0] == pytest.approx(1.0)


def test_time_has_as_many_frequencies_as_its_timesteps_tell_apart() -> None:
    assert EncodedTime.of(np.arange(300) / 30.0, 0).octaves == 9
    few = EncodedTime.of(np.arange(6) / 12.0, 0)
    assert few.octaves == 3 and few.width == 7
    encoded = few(torch.tensor([0.0, 5.0 / 12.0, 2.5 / 12.0, 99.0]))
    torch.testing.assert_close(encoded[:, 0], torch.tensor([-1.0, 1.0, 0.0, 1.0]))
    # half a period of the highest is a timestep or more
    assert math.pi / 2.0 ** (few.octaves - 1) >= 2.0 / 5.0
    assert EncodedTime.of(np.arange(6) / 12.0, 7).octaves == 7


def psnr(image: np.ndarray, truth: np.ndarray) -> float:
    return float(-10.0 * np.log10(((image - truth) ** 2).mean()))


def correlation(change: np.ndarray, truth: np.ndarray) -> float:
    """How alike two changes are: 1 where one is a multiple of the other."""
    return float((change * truth).sum() / np.sqrt((change**2).sum() * (truth**2).sum()))


def test_nerf_t_learns_a_camera_it_never_saw(film: Frames, large_ball: Path) -> None:
    method = NerfTimeMethod(NerfTimeConfig(**TINY), CPU)
    method.initialise(film, 0, quiet)
    for step in range(120):
        values = method.train_step(film, step / 120)
    assert np.isfinite(values["loss"])
    capture = open_capture(large_ball)
    with Frames(capture, capture.test_indices) as truth:
        camera, last = truth.cameras[0], len(truth) - 1
        pictures = [truth.rgb(index) / 255.0 for index in (0, last)]
        frames = [method.render(camera, float(truth.times[index])) for index in (0, last)]
    for frame, picture in zip(frames, pictures, strict=True):
        assert psnr(frame.color, picture) > psnr(picture.mean(axis=(0, 1)), picture) + 2.0
        assert frame.opacity.min() > 0.9 and frame.depth.min() > 1.0 and frame.depth.max() < 7.0
    # the ball leaves one place and comes to another
    assert correlation(frames[1].color - frames[0].color, pictures[1] - pictures[0]) > 0.5
    # what is cropped away is not there
    left = Crop.box((-9.0, -9.0, -9.0), (-0.5, 9.0, 9.0))
    cropped = method.render(camera, 0.0, left)
    assert cropped.opacity[:, -8:].max() == 0.0 and cropped.opacity.max() > 0.1


def test_nerf_learns_photos_in_bounded_space(tiny_photos: Path) -> None:
    photos = frames_of(tiny_photos, every_nth_test=None)
    method = NerfMethod(NerfConfig(**TINY), CPU)
    method.initialise(photos, 0, quiet)
    for step in range(40):
        method.train_step(photos, step / 40)
    image = method.render(photos.cameras[2], 0.0).color
    truth = tiny_capture.picture(photos.cameras[2].camera_to_world, 0.0) / 255.0
    assert ((image - truth) ** 2).mean() < 0.6 * truth.var(axis=(0, 1)).mean()


@pytest.mark.parametrize(
    "make", [lambda: NerfMethod(NerfConfig(**TINY), CPU), lambda: NerfTimeMethod(NerfTimeConfig(**TINY), CPU)]
)
def test_resuming_and_repeating_are_bit_exact(film: Frames, make: Callable[[], Method]) -> None:
    whole, half, other_seed = make(), make(), make()
    whole.initialise(film, 5, quiet)
    half.initialise(film, 5, quiet)
    other_seed.initialise(film, 6, quiet)
    for step in range(4):
        whole.train_step(film, step / 4)
    for step in range(2):
        half.train_step(film, step / 4)
        other_seed.train_step(film, step / 4)
    resumed = make()
    resumed.load(half.tensors(), half.optimizer_tensors())
    for step in range(2, 4):
        resumed.train_step(film, step / 4)
    expected, got = whole.tensors(), resumed.tensors()
    assert expected.keys() == got.keys()
    assert all(torch.equal(expected[name], got[name]) for name in expected)
    assert not torch.equal(
        half.tensors()["fine.trunk.layers.0.weight"], other_seed.tensors()["fine.trunk.layers.0.weight"]
    )
    loaded = make()
    loaded.load(whole.tensors(), None)
    camera = film.cameras[0].downscaled(4)
    np.testing.assert_array_equal(loaded.render(camera, 0.1).color, whole.render(camera, 0.1).color)


def test_what_cannot_be_used_is_refused(film: Frames, tiny_film: Path, tiny_photos: Path) -> None:
    with (
        frames_of(tiny_film, timesteps=(0, 1)) as moment,
        pytest.raises(CaptureError, match=r"nerf-t.*moving"),
    ):
        NerfTimeMethod(NerfTimeConfig(**TINY), CPU).initialise(moment, 0, quiet)
    capture = open_capture(tiny_photos)
    with Frames(capture, [0]) as one, pytest.raises(CaptureError, match="at least 2 views"):
        NerfMethod(NerfConfig(**TINY), CPU).initialise(one, 0, quiet)
    for changes, name in (({"skip": 4}, "skip"), ({"rays": 0}, "rays"), ({"space": "sphere"}, "space")):
        with pytest.raises(OptionError, match=name):
            NerfMethod(NerfConfig(**{**TINY, **changes}), CPU)
