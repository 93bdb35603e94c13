"""Splats split at a depth: numba against the torch reference, and what must hold of the parts."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from neural_render_server.cameras import Camera
from neural_render_server.kernels import layout
from neural_render_server.kernels.cpu import CpuBackend
from neural_render_server.kernels.reference import ReferenceBackend

Gaussians = Callable[..., torch.Tensor]
Cameras = Callable[..., Camera]

NEAR = 0.05


@pytest.mark.parametrize("cut_offs", [True, False])
def test_numba_equals_the_reference(gaussians: Gaussians, camera: Cameras, cut_offs: bool) -> None:
    rows = gaussians(300, size=0.3)  # large: many reach through the split
    view = layout.make_view(camera(4.0), 0.7, NEAR)
    random = np.random.default_rng(1)
    split = torch.from_numpy(random.uniform(3.0, 5.0, (50, 70)).astype(np.float32))
    split[:5] = torch.inf
    alpha_minimum = layout.ALPHA_MINIMUM if cut_offs else 0.0
    fast = CpuBackend(alpha_minimum, layout.TRANSMITTANCE_MINIMUM if cut_offs else 0.0)
    drawn = fast.render_split(rows, view, split)
    expected = ReferenceBackend(alpha_minimum).render_split(rows.double(), view, split.double())
    through = expected[1].transmittance[5:]
    assert float(through.min()) < 0.3 and float((through - expected[0].transmittance[5:]).max()) > 0.3
    tolerance = 2e-4 if cut_offs else 3e-5  # the reference does not stop early
    for own, wanted in zip(drawn, expected, strict=True):
        assert float((own.color - wanted.color).abs().max()) < tolerance
        assert float((own.transmittance - wanted.transmittance).abs().max()) < tolerance
    assert drawn[0].depth is not None and expected[0].depth is not None
    assert float((drawn[0].depth - expected[0].depth).abs().max()) < 1e-3


def test_the_whole_is_that_of_the_ordinary_kernel(gaussians: Gaussians, camera: Cameras) -> None:
    rows, view = gaussians(300), layout.make_view(camera(4.0), 0.0, NEAR)
    ordinary = CpuBackend().render(rows, view, with_depth=True)
    split = torch.full((50, 70), torch.inf)
    split[25:] = 0.0
    whole, front = CpuBackend().render_split(rows, view, split)
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
    view = layout.make_view(camera(4.0, 64, 48, 60.0), 0.0, NEAR)
    whole, front = CpuBackend().render_split(rows, view, torch.full((48, 64), 4.0))
    share = (front.color / whole.color.clamp_min(1e-6))[22, :, 0]
    middle = 64 // 2 + 3
    near_side, far_side = share[middle + 5], share[middle - 5]
    assert {round(float(near_side), 2), round(float(far_side), 2)} == {0.0, 1.0}
    # turned about y by +45 degrees, what is on the right has gone away from the camera
    assert float(far_side) > 0.99
