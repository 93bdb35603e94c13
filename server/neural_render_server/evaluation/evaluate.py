"""Scores trained scenes of one capture against the pictures that were filmed."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ..captures.capture import Capture
from ..captures.frames import Frames
from ..errors import OptionError
from ..scene import Scene, load_method
from ..training.options import TrainOptions
from ..training.scoring import views_to_score
from .films import RenderedViews
from .measures import OPTIONAL
from .scorer import SceneScorer, SceneScores

Report = Callable[[str, float], None]


def _no_report(message: str, fraction: float) -> None:
    pass


@dataclass(frozen=True)
class EvaluationOptions:
    """What to score. ``cameras`` are names or patterns (``cam0*``), all of the split's without any.

    ``skip`` names measures of ``OPTIONAL`` that are left out. ``lpips_weights`` is described at
    ``lpips.AlexNetLpips``.
    """

    split: Literal["test", "train"] = "test"
    cameras: Sequence[str] = ()
    skip: Sequence[str] = ()
    lpips_weights: Path | None = None
    device: str = "auto"

    def __post_init__(self) -> None:
        if self.split not in ("test", "train"):
            raise OptionError(f"split {self.split!r} does not exist; choose test or train")
        for name in self.skip:
            if name not in OPTIONAL:
                raise OptionError(f"{name!r} cannot be left out; choose of {', '.join(OPTIONAL)}")


@dataclass(frozen=True)
class Evaluation:
    """Scenes of one capture, scored on the same views; the pictures are there until it is closed."""

    capture: Capture
    split: str
    frames: Frames
    scenes: list[SceneScores] = field(default_factory=list)

    def view_name(self, index: int) -> str:
        """``cam00_0001``: a view's camera and timestep, counted from 1, as a file name."""
        camera = self.capture.cameras[int(self.frames.camera_indices[index])]
        name = "".join(c if c.isalnum() or c in "-_." else "_" for c in camera.name)
        return f"{name}_{int(self.frames.timestep_indices[index]) + 1:04d}"


@contextmanager
def evaluated(
    paths: Sequence[Path], options: EvaluationOptions, report: Report = _no_report
) -> Iterator[Evaluation]:
    """Score scenes that were trained on one capture with one split.

    Raises:
        OptionError: the scenes are of different captures or splits, or no view matches the cameras.
        NeuralRenderError: a scene or its capture cannot be read.
    """
    trainings = [TrainOptions.from_json(Scene(path).read_info().training) for path in paths]
    check_comparable(paths, trainings)
    capture = trainings[0].open_capture()
    indices, split = chosen_views(capture, options)
    with ExitStack() as open_files:
        frames = open_files.enter_context(
            Frames(capture, indices, downscale=trainings[0].downscale, report=report)
        )
        evaluation = Evaluation(capture, split, frames)
        for path in paths:
            method = load_method(Scene(path), options.device)
            rendered = RenderedViews(frames.bytes_needed)
            open_files.callback(rendered.close)
            scorer = SceneScorer(method, capture, frames, rendered, options.skip, options.lpips_weights)
            evaluation.scenes.append(scorer.score(path, report))
        yield evaluation


def evaluate(
    path: Path, options: EvaluationOptions | None = None, report: Report = _no_report
) -> dict[str, Any]:
    """Score one trained scene; the content of ``SceneScores`` as JSON, and which split was scored.

    Raises:
        NeuralRenderError: as ``evaluated``.
    """
    with evaluated([path], options or EvaluationOptions(), report) as evaluation:
        return {"split": evaluation.split, **evaluation.scenes[0].to_json()}


def check_comparable(paths: Sequence[Path], trainings: Sequence[TrainOptions]) -> None:
    """Raise OptionError where scenes are not of one capture, size and split."""

    def refuse(path: Path, difference: str) -> OptionError:
        return OptionError(
            f"{path} and {paths[0]} cannot be compared: {difference}; compare scenes of one capture and split"
        )

    first = trainings[0]
    for path, training in zip(paths[1:], trainings[1:], strict=True):
        if Path(training.capture).resolve() != Path(first.capture).resolve():
            raise refuse(path, f"one was trained on {training.capture}, the other on {first.capture}")
        if training.split.to_json() != first.split.to_json():
            raise refuse(path, "they hold out different views or use different timesteps")
        if training.downscale != first.downscale:
            raise refuse(path, f"their downscales are {training.downscale:g} and {first.downscale:g}")


def chosen_views(capture: Capture, options: EvaluationOptions) -> tuple[list[int], str]:
    """The capture's views to score, ordered by camera and time, and the split they are from.

    Without named cameras, training views are a sample; a named camera is scored at all its timesteps.

    Raises:
        OptionError: a name or pattern matches none of the split's cameras.
    """
    if options.cameras:
        has_test = options.split == "test" and len(capture.test_indices)
        split = "test" if has_test else "train"
        indices = capture.test_indices if has_test else capture.train_indices
    else:
        indices, split = views_to_score(capture, options.split)
    names = {int(i): capture.cameras[capture.views[i].camera].name for i in indices}
    for pattern in options.cameras:
        if not any(fnmatch.fnmatchcase(name, pattern) for name in names.values()):
            raise OptionError(
                f"{capture.path}: no camera {pattern!r} among the views of the {split} split; there are "
                f"{', '.join(sorted(set(names.values())))}"
            )
    chosen = [
        index
        for index, name in names.items()
        if not options.cameras or any(fnmatch.fnmatchcase(name, pattern) for pattern in options.cameras)
    ]
    return sorted(chosen, key=lambda i: (capture.views[i].camera, capture.views[i].timestep)), split
