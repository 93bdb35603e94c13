"""Splats cut into parts: numba against the torch reference, and what must hold of the parts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from neural_render_server.cameras import Camera
from neural_render_server.crop import Crop, CropShape
from neural_render_server.kernels import layout
from neural_render_server.kernels.cpu import CpuBackend
from neural_render_server.kernels.ray_parts import RayParts, ray_parts
from neural_render_server.kernels.reference import ReferenceBackend

Gaussians = Callable[..., torch.Tensor]
Cameras = Callable[..., Camera]

NEAR = 0.05


def parts_of(camera: Camera, crop: Crop | None, split: torch.Tensor | None = None) -> RayParts:
    rays_o, rays_d = (torch.from_numpy(rays).reshape(-1, 3) for rays in camera.rays())
    return ray_parts(crop, rays_o, rays_d, None if split is None else split.reshape(-1))


def shape(kind: str, role: str, scale: tuple[float, ...], place: tuple[float, ...] = (0, 0, 0)) -> CropShape:
    matrix = np.diag([*scale, 1.0])
    matrix[:3, 3] = place
    return CropShape(kind, matrix, role)  # type: ignore[arg-type]


# a ball kept and one matted within, without a box at its middle
SHAPES = (
    shape("sphere", "keep", (1.2, 0.8, 1.0)),
    shape("box", "remove", (0.3, 0.3, 2.0), (0.2, 0.0, 0.0)),
    shape("sphere", "matte", (0.5, 0.5, 0.5), (-0.4, 0.1, 0.2)),
)


@pytest.mark.parametrize("cut_offs", [True, False])
@pytest.mark.parametrize("crop", [None, Crop(SHAPES, with_mattes=True)], ids=["split", "crop and split"])
def test_numba_equals_the_reference(
    gaussians: Gaussians, camera: Cameras, crop: Crop | None, cut_offs: bool
) -> None:
    rows = gaussians(300, size=0.3)  # large: many reach through the split
    seen_by = camera(4.0)
    view = layout.make_view(seen_by, 0.7, NEAR)
    random = np.random.default_rng(1)
    split = torch.from_numpy(random.uniform(3.0, 5.0, (50, 70)).astype(np.float32))
    split[:5] = torch.inf
    parts = parts_of(seen_by, crop, split)
    alpha_minimum = layout.ALPHA_MINIMUM if cut_offs else 0.0
    fast = CpuBackend(alpha_minimum, layout.TRANSMITTANCE_MINIMUM if cut_offs else 0.0)
    drawn = fast.render_parts(rows, view, parts)
    expected = ReferenceBackend(alpha_minimum).render_parts(rows.double(), view, parts)
    assert drawn.front is not None and expected.front is not None
    through = expected.front.transmittance[5:]
    assert float(through.min()) < 0.5 and float((through - expected.whole.transmittance[5:]).max()) > 0.3
    tolerance = 2e-4 if cut_offs else 3e-5  # the reference does not stop early
    for own, wanted in ((drawn.whole, expected.whole), (drawn.front, expected.front)):
        assert float((own.color - wanted.color).abs().max()) < tolerance
        assert float((own.transmittance - wanted.transmittance).abs().max()) < tolerance
    assert drawn.whole.depth is not None and expected.whole.depth is not None
    assert float((drawn.whole.depth - expected.whole.depth).abs().max()) < 1e-3
    assert drawn.mattes.shape == expected.mattes.shape == (2 if crop else 0, 50, 70)
    if crop is not None:
        assert float((drawn.mattes - expected.mattes).abs().max()) < tolerance
        assert float(expected.mattes[1].max()) > 0.2
        # the first shape is all that is kept
        opacity = 1.0 - drawn.whole.transmittance
        assert float((drawn.mattes[0] - opacity).abs().max()) < 1e-5


def test_the_whole_is_that_of_the_ordinary_kernel(gaussians: Gaussians, camera: Cameras) -> None:
    seen_by = camera(4.0)
    rows, view = gaussians(300), layout.make_view(seen_by, 0.0, NEAR)
    ordinary = CpuBackend().render(rows, view, with_depth=True)
    split = torch.full((50, 70), torch.inf)
    split[25:] = 0.0
    found = CpuBackend().render_parts(rows, view, parts_of(seen_by, None, split))
    whole, front = found.whole, found.front
    assert front is not None
    for name in ("color", "transmittance", "depth"):
        assert torch.equal(getattr(whole, name), getattr(ordinary, name)), name
    assert torch.allclose(front.color[:25], whole.color[:25], atol=1e-6)
    assert torch.allclose(front.transmittance[:25], whole.transmittance[:25], atol=1e-6)
    assert float(front.color[25:].max()) < 1e-12 and float(front.transmittance[25:].min()) == 1.0


def test_a_tilted_disc_is_split_where_it_lies(camera: Cameras) -> None:
    """A flat Gaussian at 45 degrees: its left half is nearer than its centre, its right half further."""
    rows = torch.zeros((1, layout.WIDTH))
    rows[0, layout.EXTENT], rows[0, layout.OPACITY] = 7.0, 3.0
    rows[0, layout.SCALE] = torch.log(torch.tensor([0.6, 0.6, 1e-3]))
    half = np.pi / 8
    rows[0, layout.ROTATION] = torch.tensor([np.cos(half), 0.0, np.sin(half), 0.0])  # about y
    rows[0, layout.COLOR] = 1.0
    seen_by = camera(4.0, 64, 48, 60.0)
    view = layout.make_view(seen_by, 0.0, NEAR)
    found = CpuBackend().render_parts(rows, view, parts_of(seen_by, None, torch.full((48, 64), 4.0)))
    assert found.front is not None
    share = (found.front.color / found.whole.color.clamp_min(1e-6))[22, :, 0]
    middle = 64 // 2 + 3
    near_side, far_side = share[middle + 5], share[middle - 5]
    assert {round(float(near_side), 2), round(float(far_side), 2)} == {0.0, 1.0}
    # turned about y by +45 degrees, what is on the right has gone away from the camera
    assert float(far_side) > 0.99


def disc(place: tuple[float, float, float], size: float = 2.0) -> torch.Tensor:
    """A flat white Gaussian that faces +z, 0.95 opaque in its middle."""
    rows = torch.zeros((1, layout.WIDTH))
    rows[0, layout.POSITION] = torch.tensor(place)
    rows[0, layout.EXTENT], rows[0, layout.OPACITY] = 7.0, float(np.log(0.95 / 0.05))
    rows[0, layout.SCALE] = torch.log(torch.tensor([size, size, 1e-3]))
    rows[0, layout.ROTATION.start] = 1.0
    rows[0, layout.COLOR] = 1.0
    return rows


@pytest.mark.parametrize("model", ["PINHOLE", "ORTHOGRAPHIC"])
def test_a_crop_cuts_a_disc_at_the_shapes_outline(camera: Cameras, model: str) -> None:
    """A disc far larger than the shapes is there where the pixel's ray meets it inside, and only there."""
    seen_by = camera(4.0)
    if model == "ORTHOGRAPHIC":
        seen_by = replace(seen_by, camera_model=model, fl_x=15.0, fl_y=16.5)
    view = layout.make_view(seen_by, 0.0, NEAR)
    rays_o, rays_d = seen_by.rays()
    x, y = (rays_o + rays_d * (rays_o[..., 2:] / -rays_d[..., 2:]))[..., :2].transpose(2, 0, 1)
    uncut = 1.0 - CpuBackend().render(disc((0, 0, 0)), view).transmittance.clone()
    ellipse = Crop((shape("sphere", "keep", (1.0, 0.5, 3.0)), shape("box", "remove", (0.2, 9, 9))))
    drawn = CpuBackend().render_parts(disc((0, 0, 0)), view, parts_of(seen_by, ellipse)).whole
    inside = torch.from_numpy((x**2 + (y / 0.5) ** 2 < 1.0) & (np.abs(x) > 0.2))
    assert 100 < int(inside.sum()) < 1000
    expected = torch.where(inside, uncut, 0.0)
    assert float((1.0 - drawn.transmittance - expected).abs().max()) < 1e-4


def test_a_cut_through_a_ball_of_mist_leaves_what_the_normal_distribution_says(camera: Cameras) -> None:
    rows = disc((0, 0, 0), 0.4)
    rows[0, layout.SCALE] = float(np.log(0.4))
    seen_by = camera(4.0)
    view = layout.make_view(seen_by, 0.0, NEAR, 0.0)
    uncut = 1.0 - CpuBackend().render(rows, view).transmittance.clone()
    for deviations, share in ((-1.0, 0.1587), (0.0, 0.5), (0.5, 0.6915), (2.0, 0.9772)):
        far = shape("box", "keep", (9, 9, 9), (0, 0, -9 + 0.4 * deviations))
        drawn = CpuBackend().render_parts(rows, view, parts_of(seen_by, Crop((far,)))).whole
        middle = float((1.0 - drawn.transmittance)[23, 38] / uncut[23, 38])
        assert middle == pytest.approx(share, abs=2e-3)


def test_mattes_are_what_is_seen_of_each_shape(camera: Cameras) -> None:
    """Three discs behind each other: each matte has its disc's alpha, dimmed by what is before it."""
    rows = torch.cat([disc((0, 0, 1.0)), disc((0, 0, 0)), disc((0, 0, -1.0))])
    rows[:, layout.OPACITY] = torch.tensor([0.4, 0.5, 0.7]).logit()
    seen_by = camera(4.0)
    view = layout.make_view(seen_by, 0.0, NEAR)
    crop = Crop(
        tuple(
            shape("box", role, (9, 9, 0.2), (0, 0, z))
            for role, z in (("matte", -1.0), ("matte", 1.0), ("remove", 0.0))
        ),
        with_mattes=True,
    )
    found = CpuBackend().render_parts(rows, view, parts_of(seen_by, crop))
    alphas = [1.0 - CpuBackend().render(row[None], view).transmittance.clone()[23, 38] for row in rows]
    back, front = found.mattes[:, 23, 38]
    assert float(front) == pytest.approx(float(alphas[0]), abs=1e-5)
    assert float(back) == pytest.approx(float((1 - alphas[0]) * alphas[2]), abs=1e-5)
    opacity = 1.0 - found.whole.transmittance
    assert float((found.mattes.sum(0) - opacity).abs().max()) < 1e-5
