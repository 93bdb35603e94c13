"""Looking along rays: numba against torch, and nothing is evaluated behind what hides it."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import torch

from neural_render_server.fields.hash_field import HashField
from neural_render_server.kernels.hash_layout import geometric_layout
from neural_render_server.kernels.march_steps import MarchSteps
from neural_render_server.kernels.ray_marching import march
from neural_render_server.kernels.volume_dispatch import reference_kernels
from neural_render_server.methods.volumetric.box import CascadeBox
from neural_render_server.methods.volumetric.look import FIRST_WAVE, Steps, look

RAYS = 300


class Fog(HashField):
    """A field that is thick enough to hide what lies behind; it counts what it is asked for."""

    def __init__(self, thickness: float) -> None:
        generator = torch.Generator().manual_seed(0)
        super().__init__(geometric_layout(3, 4, 2, 12, 8, 64), 16, 1, generator)
        self.table.data.uniform_(-1.0, 1.0, generator=generator)
        self.evaluated = 0
        last = self.networks.density_network.layers[-1].get_parameter("weight")
        last.data[0] *= thickness

    def encode(self, places: torch.Tensor, times: torch.Tensor) -> torch.Tensor:
        self.evaluated += len(places)
        return super().encode(places, times)


def _steps(cascades: int) -> Steps:
    generator = torch.Generator().manual_seed(1)
    rays_d = torch.randn(RAYS, 3, generator=generator)
    rays_o = 0.5 - 3.0 * rays_d / rays_d.norm(dim=-1, keepdim=True)
    rays_d = rays_d + 0.1 * torch.randn(RAYS, 3, generator=generator)
    rays_d[:4] *= -1.0  # rays that miss
    occupied = torch.rand(cascades, 8, 8, 8, generator=generator) < 0.7
    norms = rays_d.norm(dim=-1)
    jitter, times = torch.rand(RAYS, generator=generator), torch.rand(RAYS, generator=generator)
    bounds, starts, lengths = march(
        rays_o, rays_d, torch.zeros(RAYS), 6.0 / norms, jitter, occupied, MarchSteps(0.01, 0.02, 0.0)
    )
    box = CascadeBox(np.zeros(3), 1.0, cascades)
    return Steps(rays_o, rays_d, times, bounds, starts, lengths, box.field_scale)


def test_numba_finds_the_samples_that_torch_finds() -> None:
    for cascades, thickness in ((1, 1.0), (2, 6.0)):
        field, steps = Fog(thickness), _steps(cascades)
        ours = look(field, steps)
        with reference_kernels():
            theirs = look(field, steps)
        assert len(theirs.rows) > 4 * RAYS and int(theirs.bounds.diff().max()) > 2 * FIRST_WAVE
        for item in fields(theirs):
            own, other = getattr(ours, item.name), getattr(theirs, item.name)
            # a place's rounding is magnified by the finest level's cells
            torch.testing.assert_close(own, other, rtol=1e-4, atol=2e-4)


def test_what_is_hidden_is_not_evaluated() -> None:
    thin, thick, steps = Fog(1.0), Fog(1.0), _steps(1)
    with torch.no_grad():
        for field, logarithm in ((thin, -100.0), (thick, 10.0)):  # of what ReLU leaves: at least 0
            field.networks.density_network.layers[-1].get_parameter("weight")[0] = logarithm
    for field in (thin, thick):
        samples = look(field, steps)
        assert int(samples.bounds[-1]) == len(samples.rows) == len(samples.features)
        if field is thick:
            assert field.evaluated < 0.6 * len(steps.starts)
            assert len(samples.rows) < field.evaluated
    assert thick.evaluated < thin.evaluated <= len(steps.starts)


def test_rays_that_miss_have_no_samples() -> None:
    steps = _steps(1)
    nothing = Steps(
        steps.rays_o, steps.rays_d, steps.times, torch.zeros_like(steps.bounds), *[torch.zeros(0)] * 2, 1.0
    )
    field = Fog(1.0)
    samples = look(field, nothing)
    assert len(samples.rows) == 0 and samples.features.shape == (0, 8)
    assert not samples.bounds.any()
