"""The ``gaussians`` method: start, training step, rendering, saving."""

from __future__ import annotations

import json
import math
import threading
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch

from ...cameras import Camera
from ...crop import Crop
from ...errors import SceneError, TrainingError
from ...kernels import backend_for, layout
from ...kernels.backend import Backend, LossWeights
from ...kernels.warm_up import warm_up
from ..base import Method, RenderedFrame, Report, SplitFrame, Tensors, TrainingViews
from . import growth, schedule
from .config import PRESETS, GaussiansConfig, automatic_count, automatic_time_step, growth_limit, room
from .drawing import draw, draw_split
from .initialise import initial_gaussians
from .model import Gaussians, rows_of_cloud, usual_distance
from .tile_choice import TileChoice
from .truth import read_truth

# Weights of the mean opacity and the mean scale in the loss (recipe): what nothing needs fades.
OPACITY_TERM = 0.01
SCALE_TERM = 0.01
# Once no Gaussians are added any more, what renders is a running mean of what is learned: every so many
# iterations it moves by this share. 1,500 steps on 48 timesteps of `stage` gain 0.09 dB, 0.03 where it moves.
AVERAGE_INTERVAL, AVERAGE_SHARE = 4, 0.15
# Structural similarity is taken on every second row, the other ones in the next iteration: half its time.
SSIM_STRIDE = 2


class GaussiansMethod(Method):
    """3D Gaussians that live and move in time."""

    name: ClassVar[str] = "gaussians"
    label: ClassVar[str] = "Dynamic Gaussians"
    description: ClassVar[str] = "3D Gaussians that live and move in time; fast to train and to render"
    config_class: ClassVar[type[Any]] = GaussiansConfig
    presets: ClassVar[dict[str, dict[str, Any]]] = PRESETS
    other_cameras: ClassVar[tuple[str, ...]] = ("ORTHOGRAPHIC",)
    beyond_white: ClassVar[bool] = True

    def __init__(self, config: GaussiansConfig, device: torch.device) -> None:
        super().__init__(config, device)
        self.config: GaussiansConfig = config
        self._model: Gaussians | None = None
        self._training: _TrainingState | None = None
        self._backend = backend_for(device)
        self._render_backends = threading.local()

    @property
    def model(self) -> Gaussians:
        """The Gaussians.

        Raises:
            SceneError: neither ``initialise`` nor ``load`` has been called.
        """
        if self._model is None:
            raise SceneError("the Gaussians are neither initialised nor loaded; do one of the two first")
        return self._model

    @property
    def shown(self) -> Gaussians:
        """What renders and is saved: the mean of the last iterations, where training has come that far."""
        average = None if self._training is None else self._training.average
        return self.model if average is None else replace(self.model, rows=average)

    @property
    def background(self) -> npt.NDArray[np.float32] | None:
        model = self.model
        return model.background.cpu().numpy().copy() if model.has_background else None

    @property
    def bounds(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        return self.shown.bounds()

    def warm_up(self, report: Report) -> None:
        report("Preparing the kernels, which takes longer the first time", 0.0)
        warm_up(self._backend, self.device)

    def initialise(self, views: TrainingViews, seed: int, report: Report) -> None:
        config = self.config
        count = automatic_count(config, views)
        start_count = max(1, round(count * config.start_share))
        time_step = automatic_time_step(config, views)
        cloud = initial_gaussians(views, start_count, seed, report, config.start, time_step)
        if len(cloud) == 0:
            raise TrainingError(
                "no surface was found in the views to start from; check that the cameras see the same "
                "scene, or start with start=random"
            )
        start_time = float(views.times[0]) if len(views.times) else 0.0
        steps = np.diff(np.asarray(views.times, dtype=np.float64))
        time_unit = float(np.median(steps)) if len(steps) else 1.0
        rows = torch.zeros((max(room(config, count), len(cloud)), layout.WIDTH))
        rows[: len(cloud)] = rows_of_cloud(cloud, start_time, time_unit)
        if not config.velocity:
            rows[:, layout.VELOCITY] = 0.0
        used = [views.cameras[index] for index in np.unique(views.camera_indices)]
        self._model = Gaussians(
            rows=rows.to(self.device),
            count=len(cloud),
            background=torch.full((3,), 0.5, device=self.device),
            has_background=not views.has_alpha,
            start_time=start_time,
            time_unit=time_unit,
            distance=usual_distance(cloud.positions, used),
            focal=float(np.median([camera.fl_x for camera in used])),
        )
        self._training = _TrainingState(self._model, np.random.default_rng(seed))

    def train_step(self, views: TrainingViews, progress: float) -> dict[str, float]:
        model, state = self.model, self._training
        if state is None:
            raise SceneError("this scene has no optimizer.safetensors to go on from; train it anew")
        choice = state.tile_choice(views)
        index = state.next_view(len(views))
        camera_index = int(views.camera_indices[index])
        camera = views.cameras[camera_index]
        scale = schedule.downscale(self.config, progress)
        camera = camera.downscaled(scale) if scale > 1 else camera
        truth = read_truth(views, index, camera.width, camera.height)
        used = truth.used
        chosen_tiles = None
        if progress >= self.config.tiles_from and state.random.random() < self.config.tile_share:
            chosen_tiles = choice.choose(index, camera_index, camera.width, camera.height, state.random)
        tiles = None
        if chosen_tiles is not None:
            tiles, pixels = chosen_tiles
            used = pixels if used is None else used & pixels
        if used is None:
            used = np.ones((camera.height, camera.width), np.bool_)
        if model.has_background:
            background = model.background
            transmittance_weight = self.config.transmittance_weight
        else:
            background = torch.from_numpy(state.random.random(3, dtype=np.float32)).to(self.device)
            transmittance_weight = 0.0
        pixels_truth = truth.over(background.cpu().numpy())

        time = model.timestep(float(views.view_times[index]))
        shutter = None if views.shutters is None else views.shutters[camera_index]
        if shutter is not None:
            shutter = shutter.in_units_of(model.time_unit)
        view = layout.make_view(camera, time, model.near, tiles=tiles, shutter=shutter)
        backend = self._backend
        rendering = backend.render(model.alive, view)
        loss = backend.loss(
            rendering,
            torch.from_numpy(np.ascontiguousarray(pixels_truth)).to(self.device),
            torch.from_numpy(used).to(self.device),
            background,
            LossWeights(
                self.config.ssim_weight, transmittance_weight, SSIM_STRIDE, state.iteration % SSIM_STRIDE
            ),
        )
        rows = backend.gradients(
            model.alive, view, loss, OPACITY_TERM / model.count, SCALE_TERM / (3 * model.count)
        )
        if tiles is None:
            choice.observe(camera_index, loss.error.cpu().numpy())
        if not math.isfinite(loss.value) or not bool(torch.isfinite(rows.gradients.sum())):
            raise TrainingError(
                f"the loss is not a number at step {state.iteration}; the last checkpoint is kept, but train "
                "anew with a smaller learning_rate"
            )
        rates = schedule.learning_rates(self.config, progress, state.iteration, model.distance).to(
            self.device
        )
        backend.adam(model.alive, state.moments, state.steps, rows, rates, schedule.VELOCITY_SPANS)
        if model.has_background:
            state.step_background(model.background, loss.d_background, schedule.BACKGROUND_RATE)
        chosen = rows.rows.long()
        state.errors[chosen] *= growth.ERROR_MEMORY
        state.errors[chosen] += (1 - growth.ERROR_MEMORY) * rows.errors
        state.iteration += 1
        if progress < self.config.growth_until:
            state.average = None  # a finished training may be resumed with a longer budget
        elif state.iteration % AVERAGE_INTERVAL == 0:
            state.average_in(model.alive)
        if state.iteration % growth.INTERVAL == 0 and progress < self.config.growth_until:
            limit = growth_limit(self.config, len(model.rows), state.iteration, progress)
            model.count = growth.clone_by_error(
                model.rows[:limit], state.moments, state.steps, state.errors, model.count, state.random
            )
        psnr = -10.0 * math.log10(max(loss.squared_error, 1e-10))
        return {"loss": loss.value, "psnr": psnr, "gaussians": float(model.count)}

    def render(self, camera: Camera, time: float, crop: Crop | None = None) -> RenderedFrame:
        return draw(self._render_backend(), self.shown, camera, time, crop)

    def render_split(
        self, camera: Camera, time: float, split_depth: npt.NDArray[np.float32], crop: Crop | None = None
    ) -> SplitFrame:
        return draw_split(self._render_backend(), self.shown, camera, time, split_depth, crop)

    def _render_backend(self) -> Backend:
        backend: Backend | None = getattr(self._render_backends, "backend", None)
        if backend is None:
            backend = self._render_backends.backend = backend_for(self.device)
        return backend

    def tensors(self) -> Tensors:
        return self.shown.tensors()

    def optimizer_tensors(self) -> Tensors:
        return {} if self._training is None else self._training.tensors(self.model)

    def load(self, tensors: Tensors, optimizer_tensors: Tensors | None) -> None:
        capacity = 0
        if optimizer_tensors:
            capacity = int(optimizer_tensors["counters"][2])
        self._model = Gaussians.from_tensors(tensors, capacity, self.device)
        self._training = None
        if optimizer_tensors:
            self._training = _TrainingState(self._model, np.random.default_rng(0))
            self._training.load(optimizer_tensors, self._model)


class _TrainingState:
    """All that training needs beside the model."""

    def __init__(self, model: Gaussians, random: np.random.Generator) -> None:
        capacity, device = len(model.rows), model.rows.device
        self.random = random
        self.moments = torch.zeros((capacity, 2, layout.WIDTH), device=device)
        self.steps = torch.zeros(capacity, dtype=torch.int32, device=device)
        self.errors = torch.zeros(capacity, device=device)
        self.background_moments = torch.zeros((2, 3), device=device)
        self.average: torch.Tensor | None = None
        self.iteration = 0
        self.order = np.zeros(0, np.int64)
        self.position = 0
        self._tile_choice: TileChoice | None = None
        self._loaded: Tensors = {}

    def tile_choice(self, views: TrainingViews) -> TileChoice:
        """Made at the first step, when the views are there."""
        if self._tile_choice is None:
            self._tile_choice = TileChoice(views, lambda _message, _fraction: None)
            self._tile_choice.load(self._loaded)
            self._loaded = {}
        return self._tile_choice

    def next_view(self, count: int) -> int:
        """Every view once, in random order, then again; anew where a resumed capture has other views."""
        if self.position >= len(self.order) or len(self.order) != count:
            self.order, self.position = self.random.permutation(count), 0
        self.position += 1
        return int(self.order[self.position - 1])

    def average_in(self, learned: torch.Tensor) -> None:
        """Move the average towards ``learned`` (count, 28); it starts there."""
        if self.average is None:
            self.average = learned.clone()
        self.average.lerp_(learned, AVERAGE_SHARE)

    def step_background(self, background: torch.Tensor, gradient: torch.Tensor, rate: float) -> None:
        moments = self.background_moments
        moments[0] = 0.9 * moments[0] + 0.1 * gradient
        moments[1] = 0.99 * moments[1] + 0.01 * gradient**2
        step = self.iteration + 1
        corrected = (moments[1] / (1 - 0.99**step)).sqrt() + 1e-15
        background -= rate * moments[0] / (1 - 0.9**step) / corrected
        background.clamp_(0.0, 1.0)

    def tensors(self, model: Gaussians) -> Tensors:
        count = model.count
        learned = {} if self.average is None else {"learned": model.alive.detach().cpu().clone()}
        random = json.dumps(self.random.bit_generator.state).encode()
        counters = [self.iteration, self.position, len(self.moments)]
        return {
            "moments": self.moments[:count].cpu().clone(),
            "steps": self.steps[:count].cpu().clone(),
            "errors": self.errors[:count].cpu().clone(),
            "background_moments": self.background_moments.cpu().clone(),
            "order": torch.from_numpy(self.order.copy()),
            "counters": torch.tensor(counters, dtype=torch.int64),
            "random": torch.frombuffer(bytearray(random), dtype=torch.uint8).clone(),
            **learned,
            **(self._tile_choice.tensors() if self._tile_choice is not None else self._loaded),
        }

    def load(self, tensors: Tensors, model: Gaussians) -> None:
        """Take up ``tensors()``.

        Raises:
            SceneError: tensors are missing or do not fit the model.
        """
        count = model.count
        try:
            if "learned" in tensors:
                self.average = model.alive.clone()
                model.alive.copy_(tensors["learned"])
            self.moments[:count] = tensors["moments"].to(self.moments.device)
            self.steps[:count] = tensors["steps"].to(self.steps.device)
            self.errors[:count] = tensors["errors"].to(self.errors.device)
            self.background_moments = tensors["background_moments"].to(self.moments.device).clone()
            self.order = tensors["order"].numpy().copy()
            self.iteration, self.position, _ = tensors["counters"].tolist()
            self.random.bit_generator.state = json.loads(tensors["random"].numpy().tobytes())
            self._loaded = {name: value for name, value in tensors.items() if name.startswith("tile_errors.")}
        except (KeyError, RuntimeError, ValueError, TypeError) as error:
            raise SceneError(
                f"optimizer.safetensors does not fit the model ({error}); train the scene anew"
            ) from error
