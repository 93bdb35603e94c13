"""DyNeRF: its stages and latent codes by definition, and training on a tiny film."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from neural_render_server.captures.capture import SplitOptions, apply_split
from neural_render_server.captures.detect import open_capture
from neural_render_server.captures.frames import Frames
from neural_render_server.errors import CaptureError, OptionError
from neural_render_server.methods.dynerf import DynerfConfig, DynerfMethod
from neural_render_server.methods.dynerf.latents import LatentCodes
from neural_render_server.methods.dynerf.stages import SAMPLINGS, keyframes, stage_at
from neural_render_server.methods.volumetric.importance_sampler import ImportanceSampler
from neural_render_server.methods.volumetric.rays import step_random
from neural_render_server.methods.volumetric.uniform_sampler import UniformSampler

CPU = torch.device("cpu")
TINY = {"width": 64, "layers": 4, "skip": 2, "coarse_samples": 12, "fine_samples": 12, "rays": 128}
TINY = {**TINY, "position_octaves": 5, "latent_size": 16, "keyframe_interval": 3}
TINY = {**TINY, "learning_rates": (5e-3, 3e-3, 1e-3), "latent_rate": 10.0}


def quiet(message: str, fraction: float) -> None:
    pass


def tiny(**changes: object) -> DynerfMethod:
    return DynerfMethod(DynerfConfig(**{**TINY, **changes}), CPU)


@pytest.fixture(scope="module")
def film(large_ball: Path) -> Iterator[Frames]:
    capture = open_capture(large_ball)
    with Frames(capture, capture.train_indices) as frames:
        yield frames


def codes_of(method: DynerfMethod) -> dict[str, torch.Tensor]:
    return {name: value for name, value in method.tensors().items() if name.startswith("condition.")}


def test_codes_are_their_own_at_timesteps_and_interpolated_between() -> None:
    times = torch.tensor([0.0, 0.1, 0.3])
    codes = LatentCodes.random(times, 1024, torch.Generator().manual_seed(0))
    assert codes.codes.std().item() == pytest.approx(0.01 / 32.0, rel=0.05)
    torch.testing.assert_close(codes(times), codes.codes, rtol=0, atol=0)
    between = codes(torch.tensor([0.05, 0.25, -1.0, 9.0]))
    expected = torch.stack(
        [
            0.5 * (codes.codes[0] + codes.codes[1]),
            0.25 * codes.codes[1] + 0.75 * codes.codes[2],
            codes.codes[0],
            codes.codes[2],
        ]
    )
    torch.testing.assert_close(between, expected)
    codes(times[1:2]).sum().backward()  # training a timestep moves its own code alone
    assert codes.codes.grad is not None
    assert codes.codes.grad[1].eq(1.0).all() and not codes.codes.grad[[0, 2]].any()
    all_times = torch.tensor([0.0, 0.1, 0.2, 0.3])
    torch.testing.assert_close(codes.at(all_times).codes, codes(all_times).detach())
    still = LatentCodes.random(times[:1], 4, torch.Generator())
    torch.testing.assert_close(still(torch.tensor([-1.0, 0.0, 5.0])), still.codes.expand(3, 4))


def test_stages_are_those_of_the_paper() -> None:
    assert [stage.weights for stage in SAMPLINGS["is*"]] == ["isg", "isg", "ist"]
    assert [stage.gamma for stage in SAMPLINGS["is*"][:2]] == [1e-3, 2e-2]
    for sampling, stages in SAMPLINGS.items():
        assert [stage.keyframes for stage in stages] == [True] + [False] * (len(stages) - 1)
        assert stage_at(sampling, 0.0) is stages[0] and stage_at(sampling, 1.0) is stages[-1]
    assert stage_at("is*", 0.5).weights == "isg" and not stage_at("is*", 0.5).keyframes
    assert keyframes(np.arange(300), 30).tolist() == [*range(0, 300, 30), 299]
    assert keyframes(np.array([2, 3, 5]), 8).tolist() == [2, 5]


def test_each_sampling_draws_as_its_stage_says(film: Frames) -> None:
    for sampling, kinds in (("none", UniformSampler), ("isg", ImportanceSampler), ("is*", ImportanceSampler)):
        method = tiny(sampling=sampling)
        method.initialise(film, 0, quiet)
        sampler = method.make_sampler(film, 0.0)
        assert isinstance(sampler, kinds)
        drawn = {
            int(t)
            for step in range(12)
            for t in film.timestep_indices[sampler.sample(step_random(0, step), 8).views]
        }
        assert drawn == {0, 3, 5}  # keyframes alone
    every = method.make_sampler(film, 0.9)
    assert isinstance(every, ImportanceSampler)
    drawn = {int(film.timestep_indices[every.sample(step_random(0, step), 1).views[0]]) for step in range(40)}
    assert drawn == set(range(6))


def test_it_learns_the_motion_and_the_moments_between(film: Frames, large_ball: Path) -> None:
    method = tiny()
    method.initialise(film, 0, quiet)
    assert codes_of(method)["condition.times"].tolist() == pytest.approx([0.0, 3 / 12, 5 / 12])
    for step in range(140):
        values = method.train_step(film, step / 140)
    assert np.isfinite(values["loss"])
    assert codes_of(method)["condition.codes"].shape == (6, 16)
    capture = open_capture(large_ball)
    with Frames(capture, capture.test_indices) as truth:
        camera = truth.cameras[0]
        first, last = (truth.rgb(index).astype(np.float64) / 255.0 for index in (0, 5))
        colors = [method.render(camera, float(truth.times[index])).color for index in (0, 2, 5)]
        between = method.render(camera, 0.5 * float(truth.times[2] + truth.times[3])).color
    plain = ((first - first.mean(axis=(0, 1))) ** 2).mean()
    assert ((colors[0] - first) ** 2).mean() < 0.8 * plain
    change, true_change = colors[2] - colors[0], last - first
    alike = (change * true_change).sum() / np.sqrt((change**2).sum() * (true_change**2).sum())
    assert alike > 0.35
    # a moment between timesteps is another picture, nearer to its neighbours than the ends are
    assert not np.array_equal(between, colors[1])
    assert np.abs(between - colors[1]).mean() < np.abs(colors[2] - colors[0]).mean()


def test_resuming_is_bit_exact_across_the_stages_change(film: Frames) -> None:
    moments = [0.0, 0.1, 0.5, 0.6, 0.9, 0.95]  # keyframes, all timesteps, IST
    whole, part = tiny(), tiny()
    whole.initialise(film, 3, quiet)
    part.initialise(film, 3, quiet)
    for progress in moments:
        whole.train_step(film, progress)
    for count, progress in enumerate(moments):
        if count in (2, 3, 5):  # right before the change, right after it, and at IST
            saved = part.tensors(), part.optimizer_tensors()
            part = tiny()
            part.load(*saved)
        part.train_step(film, progress)
    expected, got = whole.tensors(), part.tensors()
    assert expected.keys() == got.keys()
    assert all(torch.equal(expected[name], got[name]) for name in expected)
    assert expected["condition.codes"].shape == (6, 16)


def test_what_cannot_be_used_is_refused(large_ball: Path, film: Frames) -> None:
    capture = apply_split(open_capture(large_ball), SplitOptions(timesteps=(0, 1)))
    with (
        Frames(capture, capture.train_indices) as moment,
        pytest.raises(CaptureError, match=r"dynerf.*moving"),
    ):
        tiny(sampling="none").initialise(moment, 0, quiet)
    # one frame a camera: moving cameras
    capture = open_capture(large_ball)
    steps = [view.camera - 1 == view.timestep for view in capture.views]
    with (
        Frames(capture, np.flatnonzero(steps)) as handheld,
        pytest.raises(OptionError, match="use sampling=none"),
    ):
        tiny().initialise(handheld, 0, quiet)
    for changes, name in (
        ({"sampling": "all"}, "sampling"),
        ({"learning_rates": (1e-3,)}, "learning_rates"),
        ({"keyframe_interval": 0}, "keyframe_interval"),
    ):
        with pytest.raises(OptionError, match=name):
            tiny(**changes)
