"""Training, rendering and saving of fields of two networks; NeRF, NeRF-T and DyNeRF differ in their times."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field
from typing import ClassVar, Generic, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from ...cameras import Camera
from ...errors import SceneError
from ...kernels.ray_parts import RayParts
from ..base import Report, Tensors, TrainingViews
from ..volumetric.adam_state import adam_tensors, load_adam
from ..volumetric.bounds import SceneBounds, scene_bounds
from ..volumetric.ray_method import RayMethod
from ..volumetric.rays import PixelSampler, RayGatherer, step_random
from ..volumetric.rendering import RenderedRays, RenderRays
from ..volumetric.requirements import check_views
from ..volumetric.uniform_sampler import UniformSampler
from .conditions import Condition
from .config import CoarseFineConfig, check
from .network import RadianceNetwork
from .rendering import Sampling, render_coarse_fine
from .space import Space, choose_space, space_from_tensors

# NeRF's first steps keep to the middle half of the pictures (released code, precrop_frac).
CENTRAL_SHARE = 0.5
# Samples rendered at once: bounds the memory of a frame's rendering.
SAMPLES_PER_CHUNK = 2**19

Config = TypeVar("Config", bound=CoarseFineConfig)


class CoarseFineField(nn.Module):
    """A coarse and a fine network of one shape, and what they are told of the time."""

    def __init__(self, config: CoarseFineConfig, condition: Condition, generator: torch.Generator) -> None:
        super().__init__()
        self.coarse = RadianceNetwork(config, condition.width, generator)
        self.fine = RadianceNetwork(config, condition.width, generator)
        self.condition = condition


@dataclass(eq=False)
class _Training:
    optimizer: torch.optim.Adam
    seed: int
    step: int = 0
    gatherer: RayGatherer | None = None
    samplers: dict[object, PixelSampler] = field(default_factory=dict)


class CoarseFineMethod(RayMethod, Generic[Config]):
    """Volume rendering of two networks (NeRF). Subclasses say what the networks are told of the time."""

    other_cameras: ClassVar[tuple[str, ...]] = ("ORTHOGRAPHIC", "EQUIRECTANGULAR")
    motion_pixels: ClassVar[int] = 2**12  # two processor cores render a few hundred rays a second

    def __init__(self, config: Config, device: torch.device) -> None:
        super().__init__(config, device)
        check(self.name, config)
        self.config: Config = config
        self._field: CoarseFineField | None = None
        self._bounds: SceneBounds | None = None
        self._space: Space | None = None
        self._training: _Training | None = None

    @abstractmethod
    def start_condition(self, views: TrainingViews, generator: torch.Generator) -> Condition:
        """A fresh condition for a capture."""

    @abstractmethod
    def load_condition(self, tensors: Tensors) -> Condition:
        """A condition of the shape of a saved one; ``tensors`` are its own, its values are loaded later."""

    @abstractmethod
    def learning_rates(self, progress: float) -> tuple[float, float]:
        """Of the networks, and of the condition's parameters."""

    def before_step(self, views: TrainingViews, progress: float) -> None:
        """Called before every training step."""

    def sampler_stage(self, progress: float) -> object:
        """What the choice of pixels depends on; ``make_sampler`` is called once for each."""
        return None

    def make_sampler(self, views: TrainingViews, progress: float) -> PixelSampler:
        return UniformSampler(views)

    @property
    def background(self) -> npt.NDArray[np.float32] | None:
        return None

    @property
    def bounds(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        _, bounds, _ = self._ready()
        return bounds.minimum, bounds.maximum

    def initialise(self, views: TrainingViews, seed: int, report: Report) -> None:
        check_views(self, views)
        self._bounds = scene_bounds(views, report)
        self._space = choose_space(self.name, self.config.space, views, self._bounds)
        generator = torch.Generator().manual_seed(seed)
        condition = self.start_condition(views, generator)
        self._field = CoarseFineField(self.config, condition, generator).to(self.device)
        self._training = _Training(self._make_optimizer(), seed)

    def _make_optimizer(self) -> torch.optim.Adam:
        trained, _, _ = self._ready()
        networks = [*trained.coarse.parameters(), *trained.fine.parameters()]
        groups = [{"params": networks}, {"params": list(trained.condition.parameters())}]
        return torch.optim.Adam(groups)  # every step sets its rates

    def renew_condition(self, condition: Condition) -> None:
        """Train another condition of the same width from now on, its Adam from the beginning."""
        trained, _, _ = self._ready()
        assert self._training is not None
        optimizer = self._training.optimizer
        for parameter in optimizer.param_groups[1]["params"]:
            optimizer.state.pop(parameter, None)
        trained.condition = condition.to(self.device)
        optimizer.param_groups[1]["params"] = list(trained.condition.parameters())

    def train_step(self, views: TrainingViews, progress: float) -> dict[str, float]:
        trained, _, space = self._ready()
        training, config = self._training, self.config
        if training is None:
            raise SceneError("this scene has no optimizer.safetensors to go on from; train it anew")
        self.before_step(views, progress)
        random = step_random(training.seed, training.step)
        sampler = self._sampler(training, views, progress)
        if isinstance(sampler, UniformSampler) and views.has_alpha and training.step < config.central_steps:
            pixels = sampler.sample(random, config.rays, CENTRAL_SHARE)
        else:
            pixels = sampler.sample(random, config.rays)
        if training.gatherer is None:
            white = (1.0, 1.0, 1.0) if config.background == "white" else None
            training.gatherer = RayGatherer(views, self.device, white)
        batch = training.gatherer.gather(pixels, random)
        coarse, fine = render_coarse_fine(
            trained.coarse,
            trained.fine,
            space.rays(batch.rays_o, batch.rays_d),
            torch.nn.functional.normalize(batch.rays_d, dim=-1),
            trained.condition(batch.times),
            None,
            Sampling(
                config.coarse_samples,
                config.fine_samples,
                random,
                0.0 if views.has_alpha else config.density_noise,
            ),
        )
        # NeRF, equation 6: the squared error of both
        errors = [
            torch.mean((c.color + (1.0 - c.opacity)[:, None] * batch.backgrounds - batch.colors) ** 2)
            for c in (coarse, fine)
        ]
        loss = errors[0] + errors[1]
        optimizer = training.optimizer
        for group, rate in zip(optimizer.param_groups, self.learning_rates(progress), strict=True):
            group["lr"] = rate
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        training.step += 1
        error = float(errors[1].detach())
        return {"loss": float(loss.detach()), "psnr": -10.0 * float(np.log10(max(error, 1e-10)))}

    def _sampler(self, training: _Training, views: TrainingViews, progress: float) -> PixelSampler:
        stage = self.sampler_stage(progress)
        if stage not in training.samplers:
            training.samplers = {stage: self.make_sampler(views, progress)}
        return training.samplers[stage]

    @property
    def rays_at_once(self) -> int:
        return max(1, SAMPLES_PER_CHUNK // (self.config.coarse_samples + self.config.fine_samples))

    def rays_renderer(self, camera: Camera, time: float) -> RenderRays:
        trained, _, space = self._ready()
        config = self.config
        with torch.no_grad():
            condition = trained.condition(torch.tensor([time], dtype=torch.float32, device=self.device))

        def render_rays(rays_o: torch.Tensor, rays_d: torch.Tensor, parts: RayParts) -> RenderedRays:
            _, fine = render_coarse_fine(
                trained.coarse,
                trained.fine,
                space.rays(rays_o, rays_d),
                torch.nn.functional.normalize(rays_d, dim=-1),
                condition.expand(len(rays_o), -1),
                parts,
                Sampling(config.coarse_samples, config.fine_samples),
            )
            assert fine.mattes is not None
            return RenderedRays((fine.color, fine.opacity, fine.depth), fine.front, fine.mattes)

        return render_rays

    def tensors(self) -> Tensors:
        trained, bounds, space = self._ready()
        values = {name: tensor.detach().cpu().clone() for name, tensor in trained.state_dict().items()}
        return {**values, **bounds.tensors(), **space.tensors()}

    def optimizer_tensors(self) -> Tensors:
        if self._training is None:
            return {}
        counters = torch.tensor([self._training.seed, self._training.step])
        return {"counters": counters, **adam_tensors(self._training.optimizer)}

    def load(self, tensors: Tensors, optimizer_tensors: Tensors | None) -> None:
        self._bounds = SceneBounds.from_tensors(tensors)
        self._space = space_from_tensors(tensors, self._bounds)
        own = {n.removeprefix("condition."): t for n, t in tensors.items() if n.startswith("condition.")}
        self._field = CoarseFineField(self.config, self.load_condition(own), torch.Generator())
        names = self._field.state_dict().keys()
        self._field.load_state_dict({name: tensors[name] for name in names})
        self._field.to(self.device)
        self._training = None
        if optimizer_tensors:
            seed, step = (int(value) for value in optimizer_tensors["counters"])
            self._training = _Training(self._make_optimizer(), seed, step)
            load_adam(self._training.optimizer, optimizer_tensors)

    def _ready(self) -> tuple[CoarseFineField, SceneBounds, Space]:
        if self._field is None or self._bounds is None or self._space is None:
            raise SceneError("the field is neither initialised nor loaded; do one of the two first")
        return self._field, self._bounds, self._space
