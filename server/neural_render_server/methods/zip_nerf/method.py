"""Training, rendering and saving of Zip-NeRF (Barron et al. 2023)."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch

from ...cameras import Camera
from ...errors import SceneError
from ...kernels.multisampling import SAMPLES
from ...kernels.ray_parts import RayParts
from ...kernels.ray_shapes import intersect_box
from ..base import Report, Tensors, TrainingViews
from ..volumetric.adam_state import adam_tensors, load_adam
from ..volumetric.bounds import SceneBounds, scene_bounds
from ..volumetric.ray_method import RayMethod
from ..volumetric.rays import RayGatherer, cone_radius, step_random
from ..volumetric.rendering import RenderedRays, RenderRays
from ..volumetric.requirements import check_views
from ..volumetric.uniform_sampler import UniformSampler
from .config import PRESETS, ZipNerfConfig, check
from .losses import total_loss
from .model import Cones, ZipNerfField, render_cones
from .spacing import RaySpacing

# Adam's other numbers, and what the rate is multiplied by at the warm-up's start (released code).
BETAS, EPSILON, WARM_UP_START = (0.9, 0.99), 1e-15, 1e-8
# Without a stated end, rays reach this many times as far as the capture's depths.
FAR_MARGIN = 2.0
# Grid lookups at once in rendering: bounds its memory.
LOOKUPS_PER_CHUNK = 2**20


@dataclass(eq=False)
class _Training:
    optimizer: torch.optim.Adam
    seed: int
    step: int = 0
    gatherer: RayGatherer | None = None
    sampler: UniformSampler | None = None


class ZipNerfMethod(RayMethod):
    """A still field without aliasing; of a moving capture it learns all moments at once."""

    other_cameras: ClassVar[tuple[str, ...]] = ("ORTHOGRAPHIC", "EQUIRECTANGULAR")
    motion_pixels: ClassVar[int] = 0

    name: ClassVar[str] = "zip-nerf"
    label: ClassVar[str] = "Zip-NeRF"
    description: ClassVar[str] = (
        "An anti-aliased field for still captures, sharp from near and smooth from far"
    )
    config_class: ClassVar[type[Any]] = ZipNerfConfig
    presets: ClassVar[dict[str, dict[str, Any]]] = PRESETS

    def __init__(self, config: ZipNerfConfig, device: torch.device) -> None:
        super().__init__(config, device)
        check(self.name, config)
        self.config: ZipNerfConfig = config
        self._field: ZipNerfField | None = None
        self._bounds: SceneBounds | None = None
        self._is_object = False
        self._training: _Training | None = None

    @property
    def background(self) -> npt.NDArray[np.float32] | None:
        return None

    @property
    def bounds(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        bounds = self._ready()[1]
        return bounds.minimum, bounds.maximum

    def warm_up(self, report: Report) -> None:
        report("Preparing (the first time takes about a minute)", 0.0)
        field = ZipNerfField(self.config, torch.Generator().manual_seed(0)).to(self.device)
        places = torch.zeros(2, 2, SAMPLES, 3, device=self.device)
        for network in field.networks():
            network(places, places[..., 0])[0].sum().backward()  # type: ignore[no-untyped-call]

    def initialise(self, views: TrainingViews, seed: int, report: Report) -> None:
        check_views(self, views)
        self._bounds = scene_bounds(views, report)
        self._is_object = views.has_alpha
        generator = torch.Generator().manual_seed(seed)
        self._field = ZipNerfField(self.config, generator).to(self.device)
        self._training = _Training(self._make_optimizer(self._field), seed)

    def _make_optimizer(self, field: ZipNerfField) -> torch.optim.Adam:
        return torch.optim.Adam(
            field.parameters(), betas=BETAS, eps=EPSILON, fused=True
        )  # every step sets the rate

    def learning_rate(self, progress: float) -> float:
        """Log-linear, after a warm-up along a sine (mip-NeRF, released code)."""
        config = self.config
        rate = config.learning_rate * (config.last_learning_rate / config.learning_rate) ** progress
        risen = min(1.0, progress / config.warm_up_share) if config.warm_up_share > 0.0 else 1.0
        return float(rate * (WARM_UP_START + (1.0 - WARM_UP_START) * math.sin(0.5 * math.pi * risen)))

    def train_step(self, views: TrainingViews, progress: float) -> dict[str, float]:
        field, _ = self._ready()
        training, config = self._training, self.config
        if training is None:
            raise SceneError("this scene has no optimizer.safetensors to go on from; train it anew")
        if training.gatherer is None or training.sampler is None:
            white = (1.0, 1.0, 1.0) if config.background == "white" else None
            training.gatherer = RayGatherer(views, self.device, white)
            training.sampler = UniformSampler(views)
        random = step_random(training.seed, training.step)
        batch = training.gatherer.gather(training.sampler.sample(random, config.rays), random)
        cones = self._cones(batch.rays_o, batch.rays_d, batch.radii)
        rendered = render_cones(field, cones, config.samples, progress, random)
        image = rendered.color + (1.0 - rendered.opacity)[:, None] * batch.backgrounds
        loss = total_loss(field, rendered, image, batch.colors, config, self._is_object)
        for group in training.optimizer.param_groups:
            group["lr"] = self.learning_rate(progress)
        training.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        training.optimizer.step()
        training.step += 1
        error = float(((image.detach() - batch.colors) ** 2).mean())
        return {"loss": float(loss.detach()), "psnr": -10.0 * math.log10(max(error, 1e-10))}

    def _cones(self, rays_o: torch.Tensor, rays_d: torch.Tensor, radii: torch.Tensor) -> Cones:
        bounds = self._ready()[1]
        if self._is_object:
            minimum, maximum = (torch.from_numpy(a).to(rays_o) for a in (bounds.minimum, bounds.maximum))
            near, far = intersect_box(rays_o, rays_d, minimum, maximum)
            near, far = near / bounds.radius, far / bounds.radius
        else:
            near = torch.full_like(radii, bounds.near / bounds.radius)
            far = torch.full_like(radii, self.config.far or self._deepest())
        is_there = near < far
        center = torch.from_numpy(bounds.center).to(rays_o)
        return Cones(
            (rays_o - center) / bounds.radius,
            rays_d,
            radii,
            RaySpacing(near, torch.maximum(near, far), is_linear=self._is_object),
            is_there,
            ends_open=not self._is_object,
        )

    def _deepest(self) -> float:
        """The greatest depth that counts, in scene radii."""
        bounds = self._ready()[1]
        return FAR_MARGIN * bounds.far / bounds.radius

    @property
    def rays_at_once(self) -> int:
        return max(1, LOOKUPS_PER_CHUNK // (SAMPLES * max(self.config.samples)))

    def rays_renderer(self, camera: Camera, time: float) -> RenderRays:
        field, bounds = self._ready()
        samples = self.config.samples
        radius = cone_radius(camera)
        deepest = float("inf") if self._is_object else self._deepest()

        def render_rays(rays_o: torch.Tensor, rays_d: torch.Tensor, parts: RayParts) -> RenderedRays:
            cones = self._cones(rays_o, rays_d, torch.full_like(parts.near, radius))
            scaled = replace(parts, depths=parts.depths / bounds.radius)
            found = render_cones(field, cones, samples, parts=scaled, deepest=deepest)
            assert found.mattes is not None
            whole = found.color, found.opacity, found.distance * bounds.radius
            return RenderedRays(whole, found.front, found.mattes)

        return render_rays

    def tensors(self) -> Tensors:
        field, bounds = self._ready()
        values = {name: tensor.detach().cpu().clone() for name, tensor in field.state_dict().items()}
        return {**values, **bounds.tensors(), "is_object": torch.tensor(self._is_object)}

    def optimizer_tensors(self) -> Tensors:
        if self._training is None:
            return {}
        counters = torch.tensor([self._training.seed, self._training.step])
        return {"counters": counters, **adam_tensors(self._training.optimizer)}

    def load(self, tensors: Tensors, optimizer_tensors: Tensors | None) -> None:
        self._bounds = SceneBounds.from_tensors(tensors)
        self._is_object = bool(tensors["is_object"])
        field = ZipNerfField(self.config, torch.Generator())
        field.load_state_dict({name: tensors[name] for name in field.state_dict()})
        self._field = field.to(self.device)
        self._training = None
        if optimizer_tensors:
            seed, step = (int(value) for value in optimizer_tensors["counters"])
            self._training = _Training(self._make_optimizer(self._field), seed, step)
            load_adam(self._training.optimizer, optimizer_tensors)

    def _ready(self) -> tuple[ZipNerfField, SceneBounds]:
        if self._field is None or self._bounds is None:
            raise SceneError("the field is neither initialised nor loaded; do one of the two first")
        return self._field, self._bounds
