"""Trains a method under a budget and scores it on the way; the scoring costs it nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from neural_render_server.captures.frames import Frames
from neural_render_server.methods.base import Method
from neural_render_server.methods.registry import get_method, make_config
from neural_render_server.training.budget import Budget, TrainingClock


def silent(_message: str, _fraction: float) -> None:
    """A report to nobody."""


def make_method(name: str, preset: str, options: dict[str, Any]) -> Method:
    """The method with its kernels compiled, so that compiling counts in no run."""
    kind = get_method(name)
    method = kind(make_config(kind, preset, options), torch.device("cpu"))
    method.warm_up(silent)
    return method


def train_curve(
    method: Method,
    views: Frames,
    score: Callable[[Method, float], dict[str, Any]],
    budget: Budget,
    marks: Sequence[float],
    seed: int = 0,
) -> list[dict[str, Any]]:
    """``score(method, mark)`` at the ``marks``, rising shares of the budget; its time is not counted.

    The start counts, except against a budget of wall seconds (as in training proper) or of steps.
    """
    clock, step, left, curve = TrainingClock(), 0, list(marks), []
    method.initialise(views, seed, silent)
    clock.start_seconds = clock.seconds
    while left:
        progress = budget.progress(clock, step)
        if progress >= left[0]:
            with clock.excluded():
                point = {"wall s": clock.seconds, "CPU s": clock.cpu_seconds, "steps": step}
                curve.append({**point, **score(method, left.pop(0))})
                print(
                    {k: round(v, 3) if isinstance(v, float) else v for k, v in curve[-1].items()}, flush=True
                )
            continue
        method.train_step(views, progress)
        step += 1
    return curve
