"""Trains any method on any capture: stages, budget, previews, checkpoints, held-out scores."""

from __future__ import annotations

import dataclasses
import time
from typing import Any

import cv2
import numpy as np
import torch

from ..camera_path import CameraPath, PathFrame
from ..captures.capture import Capture
from ..captures.frames import Frames
from ..errors import Cancelled, CaptureError, OptionError, SceneError, TrainingError
from ..files import write_bytes, write_json
from ..methods.base import Method, Report
from ..methods.registry import get_method, make_config, resolve_device
from ..progress import Control, Event, OnEvent
from ..scene import Checkpoint, Scene, SceneInfo, load_tensors
from .budget import Budget, TrainingClock
from .camera_colors import describe
from .corrected_views import ColorMatching, CorrectedViews
from .lock import LOCK_NAME, locked
from .metrics import psnr
from .options import TrainOptions
from .scoring import mean_scores, rendered_image, score_views, true_image, views_to_score

EVENT_SECONDS = 0.5
PREVIEW_SECONDS = 5.0
CHECKPOINT_SECONDS = 30.0


def train(options: TrainOptions, on_event: OnEvent, control: Control) -> dict[str, Any]:
    """Train a capture into a scene folder, or go on from its last checkpoint.

    Returns ``{scene, metrics, step, seconds, cpu_seconds}``. A cancel or a fault leaves the last
    checkpoint in the scene folder.

    Raises:
        NeuralRenderError: bad input, in one sentence.
        Cancelled: ``control`` was cancelled; a checkpoint was written if training had begun.
    """
    method_class = get_method(options.method)
    config = make_config(method_class, options.preset, options.options)
    method = method_class(config, resolve_device(options.device))
    capture = options.open_capture()
    check_usable(method_class, capture)
    for warning in capture.warnings:
        on_event(Event("message", {"level": "warning", "message": warning}))
    scene = Scene(options.scene_path)
    with locked(scene) as was_killed:
        _check_target(scene, options, was_killed)
        report = _stage_report(on_event, control)
        with Frames(capture, capture.train_indices, downscale=options.downscale, report=report) as views:
            if views.beyond_white and not method.beyond_white:
                message = f"{method.name} learns nothing brighter than white: brighter light is clipped."
                on_event(Event("message", {"level": "warning", "message": message}))
            run = _Run(options, method, capture, views, scene, on_event, control)
            with run.preview_frames:
                run.start(report)
                run.loop()
        return run.finish(_stage_report(on_event, control, fraction=1.0))


def check_usable(method: type[Method], capture: Capture) -> None:
    """Raise CaptureError where ``method`` cannot learn from what ``capture`` holds."""
    if method.needs_times and not capture.is_dynamic:
        raise CaptureError(
            f"{capture.path}: the method {method.name} needs a moving capture, but this one has a single "
            "moment; choose a method for still captures, or give its frames times"
        )
    count = len(capture.train_indices)
    if count < method.least_views:
        raise CaptureError(
            f"{capture.path}: the method {method.name} needs at least {method.least_views} views to train "
            f"on, but there {'is' if count == 1 else 'are'} {count}; film from more places or hold out fewer"
        )


def _check_target(scene: Scene, options: TrainOptions, was_killed: bool) -> None:
    if scene.exists() and not (options.resume or options.overwrite):
        raise SceneError(
            f"{scene.path}: holds a trained scene already; resume or overwrite it, or choose another folder"
        )
    if options.resume and not scene.has_checkpoint():
        raise SceneError(f"{scene.path}: there is no checkpoint to resume; train without resume")
    if options.resume and scene.exists():
        scene.read_info()  # one of a newer version must not be written over
    # A training that was killed before its first checkpoint was whole leaves some of its files.
    ours = {LOCK_NAME, *(path.name for path in scene.files)} if was_killed else {LOCK_NAME}
    if not scene.exists() and scene.path.is_dir() and any(p.name not in ours for p in scene.path.iterdir()):
        raise SceneError(f"{scene.path}: this folder holds other files; choose a new or empty folder")


def _stage_report(on_event: OnEvent, control: Control, fraction: float = 0.0) -> Report:
    """Progress of the stages before and after the steps, which leave the whole's ``fraction`` as it is."""
    last = [0.0]

    def report(message: str, of_stage: float) -> None:
        control.check()
        now = time.monotonic()
        if now - last[0] >= EVENT_SECONDS or of_stage >= 1.0:
            last[0] = now
            text = f"{message} ({100 * of_stage:.0f}%)"
            on_event(Event("progress", {"fraction": fraction, "time_left": None, "message": text}))

    return report


class _Run:
    """One training from its start (or checkpoint) to its end."""

    def __init__(
        self,
        options: TrainOptions,
        method: Method,
        capture: Capture,
        views: Frames,
        scene: Scene,
        on_event: OnEvent,
        control: Control,
    ) -> None:
        self.options, self.method = options, method
        self.capture, self.views, self.scene = capture, CorrectedViews(views), scene
        reference = _camera_number(capture, options.color_reference)
        self.matching = ColorMatching(self.views, reference) if options.match_colors else None
        self.on_event, self.control = on_event, control
        self.budget = Budget.from_options(options)
        self.clock = TrainingClock()
        self._loop_began = (0.0, 0.0)  # seconds and progress when the steps began
        self.step = self.kept_step = 0
        self.history: list[dict[str, float]] = []
        self.metrics: dict[str, Any] | None = None
        self.preview_frames = Frames(capture, [self._choose_preview()], downscale=options.downscale)

    def start(self, report: Report) -> None:
        torch.manual_seed(self.options.seed)
        if self.options.resume:
            self._load_checkpoint()
            return
        self.method.warm_up(report)
        self.clock = TrainingClock()
        self.method.initialise(self.views, self.options.seed, report)
        self.clock.start_seconds = self.clock.seconds
        self._write_rig()
        self._checkpoint()
        self.scene.forget_previous_checkpoint()  # of the training that this one writes over

    def _read_checkpoint(self) -> Checkpoint:
        """The last one, else the one before."""
        try:
            return self.scene.read_checkpoint()
        except SceneError as error:
            if not self.scene.previous_checkpoint_file.is_file():
                raise
            checkpoint = self.scene.read_checkpoint(previous=True)
            damaged = str(error).rpartition(";")[0]
            step = checkpoint[2].get("step")
            message = f"{damaged}; the training goes on from the checkpoint before it, of step {step}."
            self.on_event(Event("message", {"level": "warning", "message": message}))
            return checkpoint

    def _load_checkpoint(self) -> None:
        model, optimizer, state = self._read_checkpoint()
        for key, ours in (
            ("method", self.options.method),
            ("config", dataclasses.asdict(self.method.config)),
        ):
            if state.get(key) != _json_like(ours):
                raise SceneError(
                    f"{self.scene.checkpoint_file}: trained with another {key} ({state.get(key)!r}); "
                    "resume with the same options or start anew"
                )
        load_tensors(self.method, self.scene.checkpoint_file, model, optimizer)
        if self.matching is not None and "color_matching" in state:
            self.matching.restore(state["color_matching"])
        self.step = self.kept_step = int(state["step"])
        self.history = list(state["history"])
        self.clock = TrainingClock(
            float(state["seconds"]), float(state["cpu_seconds"]), float(state["start_seconds"])
        )

    def loop(self) -> None:
        last_event = 0.0
        last_preview = last_checkpoint = time.monotonic()
        self._loop_began = (self.clock.seconds, self.budget.progress(self.clock, self.step))
        try:
            while (progress := self.budget.progress(self.clock, self.step)) < 1.0:
                if self.control.is_paused:
                    self._pause()
                self.control.check()
                if self.matching is not None and self.matching.advance(self.method, progress):
                    self._tell_colors()
                values = self.method.train_step(self.views, progress)
                self.step += 1
                if not np.isfinite(values["loss"]):
                    raise self._not_a_number("the loss was")
                now = time.monotonic()
                if now - last_event >= EVENT_SECONDS:
                    last_event = now
                    self._tell_progress(values)
                if now - last_preview >= PREVIEW_SECONDS or (self.step > 20 and not self.history):
                    self._preview(values)
                    last_preview = time.monotonic()
                if now - last_checkpoint >= CHECKPOINT_SECONDS:
                    self._checkpoint()
                    last_checkpoint = time.monotonic()
        except Cancelled:
            self._checkpoint()
            raise
        self._preview({})
        self._checkpoint()

    def _not_a_number(self, what: str) -> TrainingError:
        return TrainingError(
            f"{self.scene.path}: {what} not a number at step {self.step}; the checkpoint of step "
            f"{self.kept_step} is kept, but train anew with a smaller learning rate"
        )

    def _pause(self) -> None:
        self._checkpoint()
        with self.clock.excluded():
            self.control.check()

    def finish(self, report: Report) -> dict[str, Any]:
        """Score the held-out views and write the scene's last state."""
        indices, split = views_to_score(self.capture, "test")
        with Frames(self.capture, indices, downscale=self.options.downscale, report=report) as held_out:
            scores = mean_scores(score_views(self.method, self.capture, held_out, report))
        self.metrics = {"split": split, "count": len(indices), **scores}
        self.on_event(Event("metrics", {"step": self.step, **self.metrics}))
        self._write_info(finished=True)
        self.scene.forget_previous_checkpoint()
        return {
            "scene": str(self.scene.path),
            "metrics": self.metrics,
            "step": self.step,
            "seconds": self.clock.seconds,
            "cpu_seconds": self.clock.cpu_seconds,
        }

    def _choose_preview(self) -> int:
        """The held-out view (else the training view) in the middle of the capture."""
        test = self.capture.test_indices
        candidates = test if len(test) else self.capture.train_indices
        return int(candidates[len(candidates) // 2])

    def _tell_progress(self, values: dict[str, float]) -> None:
        fraction = self.budget.progress(self.clock, self.step)
        # The start's seconds say nothing of the steps' pace.
        seconds, at_start = self._loop_began
        pace = (self.clock.seconds - seconds) / (fraction - at_start) if fraction > at_start else None
        time_left = None if pace is None else pace * (1.0 - fraction)
        newest = self.history[-1].get("psnr") if self.history else None
        message = f"Training, step {self.step}" + (f", {newest:.1f} dB" if newest is not None else "")
        self.on_event(
            Event(
                "progress",
                {"fraction": fraction, "time_left": time_left, "message": message, "step": self.step},
            )
        )
        self.on_event(Event("metrics", {"step": self.step, "seconds": self.clock.seconds, **values}))

    def _tell_colors(self) -> None:
        names = [camera.name or f"camera {number}" for number, camera in enumerate(self.capture.cameras)]
        found = "; ".join(describe(names, self.views.colors)) or "none differs any more"
        self.on_event(Event("message", {"level": "info", "message": f"Cameras' colours matched: {found}"}))

    def _preview(self, values: dict[str, float]) -> None:
        """Render the preview view beside its truth, and note its PSNR in the history."""
        with self.clock.excluded():
            frames = self.preview_frames
            truth, image = true_image(frames, 0), rendered_image(self.method, frames, 0)
            value = psnr(image, truth, frames.mask(0))
            if not np.isfinite(value):
                raise self._not_a_number("the rendered preview is")
            both = np.concatenate([image, truth], axis=1)
            picture = cv2.cvtColor((both * 255.0 + 0.5).astype(np.uint8), cv2.COLOR_RGB2BGR)
            write_bytes(self.scene.preview_file, cv2.imencode(".png", picture)[1].tobytes())
        point = {"step": self.step, "seconds": self.clock.seconds, "cpu_seconds": self.clock.cpu_seconds}
        self.history.append({**point, **values, "psnr": value})
        self.on_event(Event("preview", {"path": str(self.scene.preview_file)}))
        self.on_event(Event("metrics", {**point, "psnr": value}))

    def _checkpoint(self) -> None:
        """Write the model, the checkpoint and the description, in this order, each atomically."""
        with self.clock.excluded():
            model = self.method.tensors()
            if not all(torch.isfinite(tensor).all() for tensor in model.values()):
                raise self._not_a_number("the field is")
            self.scene.write_model(model, self.step)
            self.scene.write_checkpoint(
                model,
                self.method.optimizer_tensors(),
                {
                    "method": self.options.method,
                    "config": dataclasses.asdict(self.method.config),
                    "step": self.step,
                    "seconds": self.clock.seconds,
                    "cpu_seconds": self.clock.cpu_seconds,
                    "start_seconds": self.clock.start_seconds,
                    "history": self.history,
                    **({} if self.matching is None else {"color_matching": self.matching.to_json()}),
                },
            )
            self._write_info(finished=False)
        self.kept_step = self.step

    def _write_info(self, finished: bool) -> None:
        camera = self.views.cameras[0]
        minimum, maximum = self.method.bounds
        background = self.method.background
        self.scene.write_info(
            SceneInfo(
                method=self.options.method,
                preset=self.options.preset,
                config=dataclasses.asdict(self.method.config),
                training=self.options.to_json(),
                capture_format=self.capture.format,
                is_dynamic=self.capture.is_dynamic,
                times=[float(t) for t in self.capture.times],
                fps=self.capture.fps,
                width=camera.width,
                height=camera.height,
                has_alpha=self.capture.has_alpha,
                bounds={"min": minimum.tolist(), "max": maximum.tolist()},
                background=None if background is None else [float(value) for value in background],
                step=self.step,
                seconds=self.clock.seconds,
                cpu_seconds=self.clock.cpu_seconds,
                finished=finished,
                history=self.history,
                metrics=self.metrics,
                camera_colors={
                    str(camera.name): dataclasses.asdict(color)
                    for camera, color in zip(self.capture.cameras, self.views.colors, strict=True)
                    if not color.is_negligible
                },
            )
        )

    def _write_rig(self) -> None:
        """``cameras.json``: every camera of the rig at the first time it filmed."""
        first: dict[int, float] = {}
        for view in self.capture.views:
            first.setdefault(view.camera, float(self.capture.times[view.timestep]))
        frames = [
            PathFrame(
                self.capture.cameras[index], start, self.capture.cameras[index].name or f"camera{index:02d}"
            )
            for index, start in sorted(first.items())
        ]
        write_json(self.scene.cameras_file, CameraPath(frames, self.capture.fps or 24.0).to_json())


def _camera_number(capture: Capture, name: str | None) -> int | None:
    """Raises OptionError where no training view is of the camera."""
    if name is None:
        return None
    trained = sorted({capture.views[index].camera for index in capture.train_indices})
    names = [capture.cameras[number].name for number in trained]
    if name not in names:
        raise OptionError(
            f"{capture.path}: no training camera is called {name!r}; choose color_reference among "
            f"{', '.join(str(other) for other in names[:20])}{', ...' if len(names) > 20 else ''}"
        )
    return int(trained[names.index(name)])


def _json_like(value: Any) -> Any:
    """``value`` as it comes back from JSON: tuples become lists."""
    if isinstance(value, dict):
        return {key: _json_like(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_json_like(item) for item in value]
    return value
