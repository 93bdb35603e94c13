"""Training, rendering and saving of fields that are marched: instant-ngp and hash4d differ in their field."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn.functional import huber_loss

from ...cameras import Camera
from ...errors import SceneError, TrainingError
from ...kernels.march_steps import MarchSteps
from ...kernels.ray_parts import RayParts
from ..base import Report, Tensors, TrainingViews
from .bounds import hull_is_known, in_hull, scene_bounds
from .box import CascadeBox
from .marched import MarchedField, Marcher
from .occupancy import OccupancyGrid
from .optimizer import FieldOptimizer
from .ray_method import RayMethod
from .rays import Pixels, PixelSampler, RayGatherer, step_random, torch_random
from .rendering import RenderedRays, RenderRays
from .schedule import Schedule, learning_rate
from .stereo_depths import StereoDepths, around_surfaces, find_stereo_depths

# Instant-NGP's released code: Huber loss with this threshold, divided by 5; samples of a batch, its first
# number of rays, and the most; the cone's growth beyond the innermost cube.
HUBER_DELTA, HUBER_SHARE = 0.1, 0.2
PUBLISHED_SAMPLES = 2**18
FIRST_RAYS, FEWEST_RAYS, MOST_RAYS = 4096, 64, 2**18
CONE = 1.0 / 256.0
# Share of the training in which stereo guides it, ever less: what the pictures say is finer.
GUIDED_SHARE = 0.5
# To the occupancy grid's rule a published batch is at most this many of ours.
MOST_BATCHES = 16
# Rays rendered at once: a foggy field has some hundred samples on each.
RENDERED_RAYS = 4096


@dataclass
class MarchedConfig:
    """Options that all marched fields share."""

    levels: int = 8
    """Levels of the hash grid."""
    features: int = 4
    """Features a level: 1, 2 or 4."""
    log2_table_size: int = 17
    """Entries of a level's hash table, as a power of two."""
    coarsest: int = 16
    """Cells along an edge at the coarsest level."""
    finest: int = 2048
    """Cells along the innermost cube's edge at the finest level."""
    width: int = 64
    """Width of the networks' hidden layers."""
    color_layers: int = 2
    """Hidden layers of the colour network."""
    occupancy_resolution: int = 64
    """Cells along an edge of each cascade of the occupancy grid; a multiple of 4."""
    steps_across: int = 1024
    """Steps along the innermost cube's diagonal."""
    samples: int = 2**16
    """Samples a batch that are visible; the number of rays follows from it."""
    learning_rate: float = 1e-2
    """Adam's rate at the start."""
    schedule: Schedule = "budget"
    """Whether the learning rate falls over the training's budget, or at the published steps."""
    decay: float = 1e-6
    """L2 penalty of the networks' weights."""
    stereo_weight: float = 0.05
    """Weight, at the start, of what lies elsewhere than where stereo finds surfaces; 0: as published."""


Config = TypeVar("Config", bound=MarchedConfig)


class MarchedMethod(RayMethod, Generic[Config]):
    """A field over nested cubes that is marched through an occupancy grid. Subclasses make the field."""

    other_cameras: ClassVar[tuple[str, ...]] = ("ORTHOGRAPHIC", "EQUIRECTANGULAR")

    def __init__(self, config: Config, device: torch.device) -> None:
        super().__init__(config, device)
        self.config: Config = config
        self._marcher: Marcher | None = None
        self._averaged: Any = None  # a Module that is a MarchedField; what renders
        self._first_time, self._duration = 0.0, 0.0
        self._training: _Training | None = None

    @abstractmethod
    def make_field(self, box: CascadeBox, generator: torch.Generator) -> nn.Module:
        """A fresh MarchedField. It must depend on nothing but the config, ``box`` and ``generator``."""

    @abstractmethod
    def make_sampler(self, views: TrainingViews, progress: float, report: Report) -> PixelSampler:
        """Which pixels to train on; called anew whenever ``sampler_stage`` changes."""

    def prepare_field(self, field: nn.Module, box: CascadeBox, views: TrainingViews, report: Report) -> None:
        """Set what of the field is found in the views before training."""

    def sampler_stage(self, progress: float) -> int:
        """The stage of the training at ``progress``."""
        return 0

    @property
    def background(self) -> npt.NDArray[np.float32] | None:
        return None

    @property
    def bounds(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        return self._ready().box.corners

    def warm_up(self, report: Report) -> None:
        report("Preparing (the first time takes about a minute)", 0.0)
        box = CascadeBox(np.zeros(3), 1.0, 1)
        field: Any = self.make_field(box, torch.Generator().manual_seed(0)).to(self.device)
        optimizer = FieldOptimizer(field, self.make_field(box, torch.Generator()).to(self.device), 0.0)
        marcher = Marcher(box, OccupancyGrid(1, 8, self.device), self._steps(box))
        rays_d = torch.tensor([[0.0, 0.0, 1.0]], device=self.device).repeat(8, 1)
        zero = torch.zeros(8, device=self.device)
        rendered = marcher.render(field, -0.8 * rays_d, rays_d, zero, zero, zero + 9.0, zero)
        rendered.backward(rendered.color.sum(), field)
        optimizer.step(1e-2)

    def initialise(self, views: TrainingViews, seed: int, report: Report) -> None:
        config = self.config
        box = CascadeBox.around(found := scene_bounds(views, report), views.has_alpha)
        grid = OccupancyGrid(box.cascades, config.occupancy_resolution, self.device)
        used = [views.cameras[int(index)] for index in np.unique(views.camera_indices)]
        grid.mark_unseen(used, box.to_unit_matrix(), found.near)
        times = np.asarray(views.times, dtype=np.float64)
        self._first_time = float(times[0]) if len(times) else 0.0
        self._duration = float(times[-1] - times[0]) if len(times) else 0.0
        field = self.make_field(box, torch.Generator().manual_seed(seed)).to(self.device)
        self._averaged = self.make_field(box, torch.Generator().manual_seed(seed)).to(self.device)
        self.prepare_field(field, box, views, report)
        for (_, buffer), (_, ours) in zip(field.named_buffers(), self._averaged.named_buffers(), strict=True):
            ours.copy_(buffer)
        stereo = self._find_stereo_depths(views, report)
        self._close_air(grid, box, stereo, views, report)
        if not grid.occupied.any():
            raise TrainingError("no camera sees the scene's box; check the cameras' poses")
        self._marcher = Marcher(box, grid, self._steps(box))
        rays = max(FEWEST_RAYS, FIRST_RAYS * config.samples // PUBLISHED_SAMPLES)
        optimizer = FieldOptimizer(field, self._averaged, config.decay)
        self._training = _Training(field, optimizer, seed, rays=rays, stereo=stereo)

    def train_step(self, views: TrainingViews, progress: float) -> dict[str, float]:
        marcher, training = self._ready(), self._training
        if training is None:
            raise SceneError("this scene was loaded to render; resume its training to train it on")
        field: Any = training.field
        self._update_occupancy(marcher, field, training)
        random = step_random(training.seed, training.step)
        pixels = self._sampler(views, training, progress).sample(random, training.rays)
        batch = self._gatherer(views, training).gather(pixels, random)
        backgrounds = batch.backgrounds
        if not views.has_alpha:  # random here too, so that nothing is left half transparent
            backgrounds = torch_random(random, len(batch), 3, device=self.device)
        jitter = torch_random(random, len(batch), device=self.device)
        near = torch.zeros_like(jitter)
        weight = self.config.stereo_weight * max(0.0, 1.0 - progress / GUIDED_SHARE)
        surfaces = self._surfaces(pixels, views, training) if weight > 0.0 else None
        rendered = marcher.render(
            field,
            batch.rays_o,
            batch.rays_d,
            self._unit_times(batch.times),
            near,
            near + math.inf,
            jitter,
            None if surfaces is None else around_surfaces(surfaces),
        )
        colors = rendered.color + (1.0 - rendered.opacity[:, None]) * backgrounds
        loss = HUBER_SHARE * huber_loss(colors, batch.colors, delta=HUBER_DELTA) / HUBER_DELTA
        if surfaces is not None and rendered.mattes is not None:
            elsewhere = (1.0 - rendered.mattes[:, 0])[surfaces.isfinite()]
            loss = loss + weight * elsewhere.sum() / len(batch)
        value = float(loss.detach())
        if math.isfinite(value):
            rendered.backward(loss, field)
            rate = learning_rate(self.config.learning_rate, self.config.schedule, training.step, progress)
            training.optimizer.step(rate)
        count = len(rendered.places)
        training.step += 1
        training.count_rays(len(batch), count, self.config.samples)
        return {"loss": value, "rays": float(len(batch)), "samples": float(count)}

    @property
    def rays_at_once(self) -> int:
        return RENDERED_RAYS

    def rays_renderer(self, camera: Camera, time: float) -> RenderRays:
        marcher, field = self._ready(), self._averaged
        unit_time = self._unit_times(torch.tensor([time], device=self.device))

        def render_rays(rays_o: torch.Tensor, rays_d: torch.Tensor, parts: RayParts) -> RenderedRays:
            times, middle = unit_time.expand(len(rays_o)), torch.full_like(parts.near, 0.5)
            found = marcher.render(field, rays_o, rays_d, times, parts.near, parts.far, middle, parts)
            assert found.mattes is not None
            return RenderedRays((found.color, found.opacity, found.depth), found.front, found.mattes)

        return render_rays

    def tensors(self) -> Tensors:
        marcher = self._ready()
        span = torch.tensor([self._first_time, self._duration], dtype=torch.float64)
        field = {f"field.{name}": value for name, value in self._averaged.state_dict().items()}
        return {"times": span, **marcher.box.tensors(), **marcher.grid.tensors(), **field}

    def optimizer_tensors(self) -> Tensors:
        training = self._training
        if training is None:
            return {}
        counters = torch.tensor([training.seed, training.step, training.rays])
        thickness = self._ready().grid.thickness
        return {"counters": counters, "occupancy.thickness": thickness, **training.optimizer.tensors()}

    def load(self, tensors: Tensors, optimizer_tensors: Tensors | None) -> None:
        try:
            box = CascadeBox.from_tensors(tensors)
            grid = OccupancyGrid.from_tensors(tensors, self.device)
            self._first_time, self._duration = (float(value) for value in tensors["times"])
            self._averaged = self.make_field(box, torch.Generator()).to(self.device)
            prefix = "field."
            state = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
            self._averaged.load_state_dict(state)
            self._marcher = Marcher(box, grid, self._steps(box))
            if optimizer_tensors is not None:
                self._load_training(box, grid, state, optimizer_tensors)
        except (KeyError, RuntimeError) as error:
            raise SceneError(f"the scene's tensors are not those of {self.name}: {error}") from error

    def _load_training(self, box: CascadeBox, grid: OccupancyGrid, state: Tensors, saved: Tensors) -> None:
        field = self.make_field(box, torch.Generator()).to(self.device)
        field.load_state_dict(state)  # the buffers; the parameters come next
        optimizer = FieldOptimizer(field, self._averaged, self.config.decay)
        optimizer.load(saved)
        self._averaged.load_state_dict(state)
        grid.thickness = saved["occupancy.thickness"].to(self.device)
        seed, step, rays = (int(value) for value in saved["counters"])
        self._training = _Training(field, optimizer, seed, step, rays)

    def _close_air(
        self,
        grid: OccupancyGrid,
        box: CascadeBox,
        stereo: StereoDepths,
        views: TrainingViews,
        report: Report,
    ) -> None:
        """Beyond the published rule: where the views show that nothing is, nothing is ever looked for."""
        for cascade in range(grid.cascades):
            points = (grid.cell_centers(cascade) - 0.5) * box.edge + box.center
            size = box.edge * 2.0**cascade / grid.resolution
            if stereo.is_known:
                grid.close(cascade, stereo.is_air(points, size))
            elif hull_is_known(views) and cascade == 0:
                grid.close(cascade, ~in_hull(views, points, size, report))

    def _ready(self) -> Marcher:
        if self._marcher is None:
            raise SceneError("the field is neither initialised nor loaded; do one of the two first")
        return self._marcher

    def _steps(self, box: CascadeBox) -> MarchSteps:
        least = math.sqrt(3.0) / self.config.steps_across
        if box.cascades == 1:
            return MarchSteps(least, least, 0.0)
        longest = math.sqrt(3.0) * 2.0 ** (box.cascades - 1) / self.config.occupancy_resolution
        return MarchSteps(least, longest, CONE * 1024.0 / self.config.steps_across)

    def _unit_times(self, times: torch.Tensor) -> torch.Tensor:
        if self._duration <= 0.0:
            return torch.zeros_like(times)
        return ((times - self._first_time) / self._duration).clamp(0.0, 1.0)

    def _update_occupancy(self, marcher: Marcher, field: MarchedField, training: _Training) -> None:
        # the published rule counts its own, larger batches: small ones would do little but look at cells
        batches = max(1, min(PUBLISHED_SAMPLES // self.config.samples, MOST_BATCHES))
        step, earlier = training.step // batches, (training.step - 1) // batches
        if step == earlier or not marcher.grid.is_due(step):
            return
        random = step_random(training.seed, training.step, purpose=1)

        def density(points: torch.Tensor) -> torch.Tensor:
            times = torch_random(random, len(points), device=self.device)
            return marcher.density(field, points, times)

        marcher.grid.update(step, density, marcher.steps.least, random)

    def _surfaces(self, pixels: Pixels, views: TrainingViews, training: _Training) -> torch.Tensor | None:
        """(R,) depths of the surfaces on the pixels' rays, infinite where not known; None where none is."""
        if training.stereo is None:  # resumed
            training.stereo = self._find_stereo_depths(views, lambda message, fraction: None)
        if not training.stereo.is_known:
            return None
        return torch.from_numpy(training.stereo.surfaces(pixels, views)).to(self.device)

    def _find_stereo_depths(self, views: TrainingViews, report: Report) -> StereoDepths:
        return find_stereo_depths(views, report) if self.config.stereo_weight > 0 else StereoDepths({})

    def _gatherer(self, views: TrainingViews, training: _Training) -> RayGatherer:
        if training.gatherer is None:
            training.gatherer = RayGatherer(views, self.device)
        return training.gatherer

    def _sampler(self, views: TrainingViews, training: _Training, progress: float) -> PixelSampler:
        stage = self.sampler_stage(progress)
        if training.sampler is None or stage != training.stage:
            training.sampler = self.make_sampler(views, progress, lambda message, fraction: None)
            training.stage = stage
        return training.sampler


@dataclass
class _Training:
    """What training needs beyond the field that renders."""

    field: nn.Module
    optimizer: FieldOptimizer
    seed: int
    step: int = 0
    rays: int = FEWEST_RAYS
    stage: int = 0
    sampler: PixelSampler | None = None
    gatherer: RayGatherer | None = None
    stereo: StereoDepths | None = None

    def count_rays(self, rays: int, samples: int, wanted: int) -> None:
        """Rays of the next batch, so that it has about the ``wanted`` samples (Instant-NGP, appendix E)."""
        next_rays = rays * wanted / max(samples, 1)
        rounded = math.ceil(min(next_rays, 2.0 * rays) / 16) * 16
        self.rays = min(max(rounded, FEWEST_RAYS), MOST_RAYS)
