"""instant-ngp end to end on the tiny photos: it learns, repeats, resumes exactly and renders depth."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_capture
import torch

from neural_render_server.captures.detect import open_capture
from neural_render_server.captures.frames import Frames
from neural_render_server.crop import Crop
from neural_render_server.errors import SceneError
from neural_render_server.methods.instant_ngp import InstantNgpMethod
from neural_render_server.methods.registry import get_method, make_config
from neural_render_server.methods.volumetric.rays import step_random
from neural_render_server.methods.volumetric.schedule import learning_rate
from neural_render_server.training.metrics import psnr

SMALL: dict[str, Any] = {
    "levels": 6,
    "log2_table_size": 12,
    "finest": 128,
    "width": 16,
    "color_layers": 1,
    "occupancy_resolution": 16,
    "steps_across": 128,
    "samples": 4096,
}


def no_report(message: str, fraction: float) -> None:
    pass


def new_method() -> InstantNgpMethod:
    config = make_config(InstantNgpMethod, "small", SMALL)
    return InstantNgpMethod(config, torch.device("cpu"))


def train(method: InstantNgpMethod, views: Frames, steps: int, seed: int = 0, first: int = 0) -> None:
    if first == 0:
        method.initialise(views, seed, no_report)
    for step in range(first, steps):
        values = method.train_step(views, step / 400)
        assert np.isfinite(values["loss"])


@pytest.fixture(scope="module")
def photos(tiny_photos: Path) -> Any:
    capture = open_capture(tiny_photos)
    with Frames(capture, capture.train_indices) as frames:
        yield frames


@pytest.fixture(scope="module")
def trained(photos: Frames) -> InstantNgpMethod:
    method = new_method()
    train(method, photos, 400)
    return method


def test_it_learns_colour_and_depth(trained: InstantNgpMethod, photos: Frames) -> None:
    camera = photos.cameras[0]
    frame = trained.render(camera, 0.0)
    truth = photos.rgb(0) / np.float32(255.0)
    assert psnr(frame.color, truth.astype(np.float32)) > 21.0
    depth = tiny_capture.trace(camera.camera_to_world, 0.0)[1]
    solid = frame.opacity > 0.9
    assert solid.mean() > 0.8
    assert np.median(np.abs(frame.depth / depth - 1.0)[solid]) < 0.3


def test_a_crop_hides_what_lies_outside(trained: InstantNgpMethod, photos: Frames) -> None:
    low, high = trained.bounds
    nothing = Crop.box(tuple(high), tuple(high + 1.0))
    assert trained.render(photos.cameras[0], 0.0, nothing).opacity.max() == 0.0
    everything = Crop.box(tuple(low), tuple(high))
    cropped = trained.render(photos.cameras[0], 0.0, everything)
    np.testing.assert_allclose(cropped.color, trained.render(photos.cameras[0], 0.0).color, atol=0.02)


def test_a_seed_repeats_and_a_resumed_training_continues_bit_for_bit(photos: Frames) -> None:
    whole, parted = new_method(), new_method()
    train(whole, photos, 40)
    train(parted, photos, 25)
    saved = {k: v.clone() for k, v in parted.tensors().items()}
    saved_optimizer = {k: v.clone() for k, v in parted.optimizer_tensors().items()}
    resumed = new_method()
    resumed.load(saved, saved_optimizer)
    train(resumed, photos, 40, first=25)
    for name, tensor in whole.tensors().items():
        assert torch.equal(tensor, resumed.tensors()[name]), name
    other = new_method()
    train(other, photos, 5, seed=1)
    train(parted, photos, 5)
    assert not torch.equal(other.tensors()["field.table"], parted.tensors()["field.table"])


def test_a_loaded_scene_renders_the_same_and_cannot_train(trained: InstantNgpMethod, photos: Frames) -> None:
    loaded = new_method()
    loaded.load(trained.tensors(), None)
    frames = [method.render(photos.cameras[2], 0.0) for method in (trained, loaded)]
    np.testing.assert_array_equal(frames[0].color, frames[1].color)
    np.testing.assert_array_equal(frames[0].depth, frames[1].depth)
    with pytest.raises(SceneError, match="resume"):
        loaded.train_step(photos, 0.0)
    with pytest.raises(SceneError, match="instant-ngp"):
        new_method().load({"times": torch.zeros(2)}, None)


def test_it_is_registered_and_its_paper_preset_is_the_published_one() -> None:
    assert get_method("instant-ngp") is InstantNgpMethod
    config = make_config(InstantNgpMethod, "paper", {})
    assert (config.levels, config.features, config.log2_table_size) == (8, 4, 19)
    assert (config.samples, config.occupancy_resolution, config.width) == (2**18, 128, 64)
    steps = (0, 19_999, 20_000, 29_999, 30_000)
    rates = [learning_rate(config.learning_rate, config.schedule, step, 0.0) for step in steps]
    np.testing.assert_allclose(rates, [1e-2, 1e-2, 3.3e-3, 3.3e-3, 1.089e-3])


def test_rays_follow_the_wanted_number_of_samples(trained: InstantNgpMethod, photos: Frames) -> None:
    samples = [trained.train_step(photos, 0.9)["samples"] for _ in range(5)]
    assert 0.7 * 4096 < np.mean(samples) < 1.4 * 4096
    assert step_random(0, 1).integers(2**31) != step_random(0, 1, purpose=1).integers(2**31)
