"""The ``ngp-image`` method: a two-dimensional hash field of one picture."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from ...cameras import Camera
from ...errors import SceneError
from ...fields.networks import MLP
from ...kernels import hash_encoding
from ...kernels.hash_layout import HashLayout, geometric_layout, initial_table
from ...kernels.ray_parts import RayParts
from ..base import Report, Tensors, TrainingViews
from ..volumetric.optimizer import FieldOptimizer
from ..volumetric.ray_method import RayMethod
from ..volumetric.rays import RayGatherer, step_random
from ..volumetric.rendering import Composited, RenderedRays, RenderRays
from ..volumetric.schedule import Schedule, learning_rate
from ..volumetric.uniform_sampler import UniformSampler
from .plane import PicturePlane

# Places a rendered pixel is averaged over, along each axis, when it covers several of the picture's.
MOST_SAMPLES_ACROSS = 8


@dataclass
class NgpImageConfig:
    """Options of ngp-image."""

    levels: int = 16
    """Levels of the hash grid."""
    features: int = 2
    """Features a level: 1, 2 or 4."""
    log2_table_size: int = 20
    """Entries of a level's hash table, as a power of two."""
    coarsest: int = 16
    """Cells along the picture's longer side at the coarsest level."""
    width: int = 64
    """Width of the network's two hidden layers."""
    pixels: int = 2**16
    """Pixels a batch."""
    learning_rate: float = 1e-2
    """Adam's rate at the start."""
    schedule: Schedule = "budget"
    """Whether the learning rate falls over the training's budget, or at the published steps."""
    decay: float = 1e-6
    """L2 penalty of the network's weights."""


class PictureField(nn.Module):
    """Premultiplied colour and opacity at places of a picture."""

    def __init__(self, layout: HashLayout, width: int, generator: torch.Generator) -> None:
        super().__init__()
        self.layout = layout
        self.table = nn.Parameter(initial_table(layout, generator), requires_grad=False)
        self.network = MLP(layout.width, 4, width, 2, bias=False, generator=generator)

    def encode(self, places: torch.Tensor) -> torch.Tensor:
        """(N, W) features at ``places`` (N, 2) in [0, 1]; without gradient."""
        return hash_encoding.encode(places, self.table, self.layout)


class NgpImageMethod(RayMethod):
    """The gigapixel task of Instant-NGP."""

    name: ClassVar[str] = "ngp-image"
    label: ClassVar[str] = "Instant-NGP picture"
    description: ClassVar[str] = "A hash field of one picture; renders any part of it at any scale"
    least_views: ClassVar[int] = 1
    motion_pixels: ClassVar[int] = 0
    config_class: ClassVar[type[Any]] = NgpImageConfig
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "small": {"log2_table_size": 18, "pixels": 2**15},
        "default": {},
        # the released image configuration
        "paper": {"log2_table_size": 24, "pixels": 2**18, "schedule": "published"},
    }

    def __init__(self, config: NgpImageConfig, device: torch.device) -> None:
        super().__init__(config, device)
        self.config: NgpImageConfig = config
        self._plane: PicturePlane | None = None
        self._averaged: PictureField | None = None
        self._training: _Training | None = None

    @property
    def background(self) -> npt.NDArray[np.float32] | None:
        return None

    @property
    def bounds(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        return self._ready()[0].corners

    def initialise(self, views: TrainingViews, seed: int, report: Report) -> None:
        used = [views.cameras[int(index)] for index in np.unique(views.camera_indices)]
        self._plane = PicturePlane.of_cameras(used)
        field, self._averaged = (self._field(self._plane, torch.Generator().manual_seed(seed)) for _ in "ab")
        optimizer = FieldOptimizer(field, self._averaged, self.config.decay)
        self._training = _Training(field, optimizer, seed)

    def train_step(self, views: TrainingViews, progress: float) -> dict[str, float]:
        plane, training, config = self._ready()[0], self._training, self.config
        if training is None:
            raise SceneError("this scene was loaded to render; resume its training to train it on")
        random = step_random(training.seed, training.step)
        if training.sampler is None or training.gatherer is None:
            training.sampler = UniformSampler(views)
            training.gatherer = RayGatherer(views, self.device, background=(0.0, 0.0, 0.0))
        batch = training.gatherer.gather(training.sampler.sample(random, config.pixels), random)
        places, _, _ = plane.hit(batch.rays_o, batch.rays_d)
        features = training.field.encode(places).requires_grad_()
        truth = torch.cat([batch.colors, batch.alphas[:, None]], dim=-1)
        loss = (training.field.network(features) - truth).square().mean()
        value = float(loss.detach())
        if math.isfinite(value):
            loss.backward()  # type: ignore[no-untyped-call]
            assert features.grad is not None and training.field.table.grad is not None
            hash_encoding.accumulate_table_gradient(
                places, features.grad, training.field.layout, training.field.table.grad
            )
            rate = learning_rate(config.learning_rate, config.schedule, training.step, progress)
            training.optimizer.step(rate)
        training.step += 1
        return {"loss": value}

    def rays_renderer(self, camera: Camera, time: float) -> RenderRays:
        plane, field = self._ready()
        right = torch.from_numpy(camera.camera_to_world[:3, 0] / camera.fl_x).float().to(self.device)
        down = torch.from_numpy(-camera.camera_to_world[:3, 1] / camera.fl_y).float().to(self.device)

        def render_rays(rays_o: torch.Tensor, rays_d: torch.Tensor, parts: RayParts) -> RenderedRays:
            _, distance, is_hit = plane.hit(rays_o, rays_d)
            covered = float(distance[is_hit].max()) / camera.fl_x / plane.pixel if is_hit.any() else 1.0
            across = min(max(math.ceil(covered - 1e-3), 1), MOST_SAMPLES_ACROSS)
            total, front = rays_o.new_zeros(2, len(rays_o), 5)
            mattes = rays_o.new_zeros(len(rays_o), parts.mattes)
            offsets = [(k + 0.5) / across - 0.5 for k in range(across)]
            for x in offsets:
                for y in offsets:
                    places, distance, is_hit = plane.hit(rays_o, rays_d + x * right + y * down)
                    seen = torch.nonzero(is_hit)[:, 0]
                    shares = parts.shares(distance[seen], torch.zeros_like(distance[seen]), seen)[..., None]
                    values = field.network(field.encode(places[seen])).clamp(0.0, 1.0)
                    values = torch.cat([values, values[:, 3:] * distance[seen, None]], dim=-1)
                    total[seen] += values * shares[0]
                    if parts.has_front:
                        front[seen] += values * shares[1]
                    mattes[seen] += values[:, 3:4] * shares[parts.first_matte :, :, 0].T
            whole, before = _composited(total / across**2), _composited(front / across**2)
            return RenderedRays(whole, before if parts.has_front else None, mattes / across**2)

        return render_rays

    def tensors(self) -> Tensors:
        plane, field = self._ready()
        return {
            **plane.tensors(),
            **{f"field.{name}": value for name, value in field.state_dict().items()},
        }

    def optimizer_tensors(self) -> Tensors:
        training = self._training
        if training is None:
            return {}
        return {"counters": torch.tensor([training.seed, training.step]), **training.optimizer.tensors()}

    def load(self, tensors: Tensors, optimizer_tensors: Tensors | None) -> None:
        try:
            self._plane = PicturePlane.from_tensors(tensors)
            self._averaged = self._field(self._plane, torch.Generator())
            prefix = "field."
            state = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
            self._averaged.load_state_dict(state)
            if optimizer_tensors is not None:
                field = self._field(self._plane, torch.Generator())
                optimizer = FieldOptimizer(field, self._averaged, self.config.decay)
                optimizer.load(optimizer_tensors)
                self._averaged.load_state_dict(state)
                seed, step = (int(value) for value in optimizer_tensors["counters"])
                self._training = _Training(field, optimizer, seed, step)
        except (KeyError, RuntimeError) as error:
            raise SceneError(f"the scene's tensors are not those of {self.name}: {error}") from error

    def _ready(self) -> tuple[PicturePlane, PictureField]:
        if self._plane is None or self._averaged is None:
            raise SceneError("the field is neither initialised nor loaded; do one of the two first")
        return self._plane, self._averaged

    def _field(self, plane: PicturePlane, generator: torch.Generator) -> PictureField:
        config = self.config
        finest = max(config.coarsest, round(plane.size / plane.pixel / 2.0))
        layout = geometric_layout(
            2, config.levels, config.features, config.log2_table_size, config.coarsest, finest
        )
        return PictureField(layout, config.width, generator).to(self.device)


def _composited(values: torch.Tensor) -> Composited:
    """``values`` (R, 5): colour, opacity, weighted depth."""
    return torch.minimum(values[:, :3], values[:, 3:4]), values[:, 3], values[:, 4]


@dataclass
class _Training:
    """What training needs beyond the field that renders."""

    field: PictureField
    optimizer: FieldOptimizer
    seed: int
    step: int = 0
    sampler: UniformSampler | None = None
    gatherer: RayGatherer | None = None
