"""FLIP, JOD, LPIPS and flicker against what they must be by hand or by definition."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from neural_render_server.errors import OptionError
from neural_render_server.evaluation import flip, jod
from neural_render_server.evaluation.lpips import AlexNetLpips
from neural_render_server.evaluation.scorer import film_rate, flicker
from neural_render_server.training.metrics import Image
from neural_render_server.training.scoring import ScoredView


def noise(seed: int, height: int = 40, width: int = 48) -> Image:
    return np.random.default_rng(seed).random((height, width, 3)).astype(np.float32)


def disturbed(image: Image, amount: float) -> Image:
    added = np.random.default_rng(9).normal(0.0, amount, image.shape)
    return np.clip(image + added, 0.0, 1.0).astype(np.float32)


def test_flip_is_zero_for_equal_pictures_and_one_between_black_and_white() -> None:
    truth = noise(0)
    assert flip.flip_map(truth, truth).max() == 0.0
    small, large = (flip.flip_map(disturbed(truth, amount), truth).mean() for amount in (0.02, 0.2))
    assert 0.0 < small < large < 1.0
    black, white = np.zeros_like(truth), np.ones_like(truth)
    # HyAB between black and white is 100, which the paper's redistribution maps close to its maximum of 1.
    assert flip.flip_map(black, white).mean() > 0.95


def test_flip_shows_where_pictures_differ() -> None:
    truth = np.full((40, 40, 3), 0.5, dtype=np.float32)
    image = truth.copy()
    image[5:15, 25:35] = (0.9, 0.1, 0.1)
    errors = flip.flip_map(image, truth)
    assert errors.shape == (40, 40)
    assert errors[7:13, 27:33].min() > 0.3 and errors[25:, :15].max() < 0.01


def films(amount: float) -> tuple[list[Image], list[Image]]:
    truth = [noise(k) for k in range(5)]
    return [disturbed(frame, amount) for frame in truth], truth


def test_jod_is_ten_for_equal_films_and_falls_with_noise() -> None:
    quality = jod.FilmQuality(torch.device("cpu"))
    assert "standard_4k" in quality.display and "non-foveated" in quality.display
    values = []
    for amount in (0.0, 0.05, 0.3):
        image, truth = films(amount)
        values.append(quality.jod(image.__getitem__, truth.__getitem__, (40, 48), 5, 12.0))
    assert values[0] == pytest.approx(10.0, abs=1e-4)
    assert values[0] > values[1] > values[2] > 0.0


def test_jod_of_frames_read_one_by_one_is_that_of_the_whole_film() -> None:
    import pyfvvdp

    image, truth = films(0.1)
    ours = jod.FilmQuality(torch.device("cpu")).jod(image.__getitem__, truth.__getitem__, (40, 48), 5, 12.0)
    package = pyfvvdp.fvvdp(display_name=jod.DISPLAY, quiet=True, device=torch.device("cpu"))
    theirs, _ = package.predict(np.stack(image), np.stack(truth), dim_order="FHWC", frames_per_second=12)
    assert ours == pytest.approx(float(theirs), abs=1e-4)


@pytest.mark.parametrize(("module", "package"), [(flip, "flip_evaluator"), (jod, "pyfvvdp")])
def test_without_its_package_a_measure_says_how_to_get_it(
    module: object, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert module.unavailable() is None  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, package, None)
    reason = module.unavailable()  # type: ignore[attr-defined]
    assert reason is not None and "pip install" in reason and "[metrics]" in reason


def test_only_consecutive_timesteps_of_some_length_are_a_film() -> None:
    assert film_rate([3, 4, 5, 6], [0.25, 0.35, 0.45, 0.55]) == pytest.approx(10.0)
    assert film_rate([0, 2, 4, 6], [0.0, 0.2, 0.4, 0.6]) is None
    assert film_rate([0, 1], [0.0, 1 / 24]) is None  # a twelfth of a second
    assert film_rate([4], [0.4]) is None


def test_flicker_is_the_change_that_the_truth_does_not_have() -> None:
    def view(timestep: int, image: float, truth: float) -> ScoredView:
        shape = (4, 4, 3)
        scores = {"camera": "a", "timestep": timestep}
        return ScoredView(
            timestep, np.full(shape, image, np.float32), np.full(shape, truth, np.float32), None, scores
        )

    assert flicker(view(0, 0.2, 0.5), view(1, 0.3, 0.6)) == pytest.approx(0.0, abs=1e-6)  # wrong but steady
    assert flicker(view(0, 0.2, 0.5), view(1, 0.3, 0.5)) == pytest.approx(0.1, abs=1e-6)
    before, after = view(0, 0.2, 0.5), view(1, 0.3, 0.5)
    after.image[0] = 1.0
    usable = np.ones((4, 4), dtype=bool)
    usable[0] = False
    masked = ScoredView(1, after.image, after.truth, usable, after.scores)
    assert flicker(before, masked) == pytest.approx(0.1, abs=1e-6)


def alexnet() -> torch.nn.Sequential:
    """AlexNet's feature layers by their torchvision numbers, written out independently."""
    torch.manual_seed(0)
    conv, relu, pool = torch.nn.Conv2d, torch.nn.ReLU, torch.nn.MaxPool2d
    return torch.nn.Sequential(
        *(conv(3, 64, 11, 4, 2), relu(), pool(3, 2), conv(64, 192, 5, 1, 2), relu(), pool(3, 2)),
        *(conv(192, 384, 3, 1, 1), relu(), conv(384, 256, 3, 1, 1), relu(), conv(256, 256, 3, 1, 1), relu()),
    )


def weights() -> dict[str, torch.Tensor]:
    tensors = {f"features.{name}": value for name, value in alexnet().state_dict().items()}
    for number, channels in enumerate((64, 192, 384, 256, 256)):
        tensors[f"lin{number}.model.1.weight"] = torch.rand(1, channels, 1, 1)
    return tensors


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_lpips_is_the_published_sum_over_five_layers(suffix: str, tmp_path: Path) -> None:
    file, tensors = tmp_path / f"alexnet{suffix}", weights()
    if suffix == ".pth":
        torch.save(tensors, file)
    else:
        save_file(tensors, file)
    lpips = AlexNetLpips(file, torch.device("cpu"))
    truth, image = noise(0, 64, 64), disturbed(noise(0, 64, 64), 0.2)
    assert lpips.distance(truth, truth) == 0.0

    expected = 0.0
    features: list[torch.Tensor] = []
    both = torch.from_numpy(np.stack([image, truth])).permute(0, 3, 1, 2) * 2 - 1
    both = (both - torch.tensor([-0.03, -0.088, -0.188]).view(3, 1, 1)) / torch.tensor(
        [0.458, 0.448, 0.45]
    ).view(3, 1, 1)
    for layer in alexnet():
        both = layer(both).detach()
        if isinstance(layer, torch.nn.ReLU):
            features.append(torch.nn.functional.normalize(both, dim=1))
    for number, unit in enumerate(features):
        squared = ((unit[0] - unit[1]) ** 2).mean(dim=(1, 2))
        expected += float((squared * tensors[f"lin{number}.model.1.weight"].flatten()).sum())
    assert lpips.distance(image, truth) == pytest.approx(expected, rel=1e-4)


class Harmful:
    """Would create a file when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.trace,)


def test_lpips_refuses_files_that_are_no_weights(tmp_path: Path) -> None:
    trace, harmful = tmp_path / "ran", tmp_path / "harmful.pth"
    torch.save({"features.0.weight": Harmful(trace)}, harmful)
    (tmp_path / "text.safetensors").write_text("no weights")
    short = {**weights(), "features.3.weight": torch.zeros(1)}
    save_file(short, tmp_path / "other.safetensors")
    headless = {name: value for name, value in weights().items() if name.startswith("features")}
    save_file(headless, tmp_path / "headless.safetensors")
    for name, message in (
        ("harmful.pth", "cannot be read as LPIPS weights"),
        ("text.safetensors", "cannot be read as LPIPS weights"),
        ("gone.pth", "cannot be read as LPIPS weights"),
        ("other.safetensors", r"features\.3\.weight must have the shape"),
        ("headless.safetensors", "no LPIPS heads"),
    ):
        with pytest.raises(OptionError, match=message):
            AlexNetLpips(tmp_path / name, torch.device("cpu"))
    assert not trace.exists()


def test_lpips_takes_its_heads_from_the_package_where_it_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The package is read as files only: importing it would need torchvision."""
    tensors = weights()
    save_file(tensors, tmp_path / "whole.safetensors")
    trunk = {name: value for name, value in tensors.items() if name.startswith("features")}
    save_file(trunk, tmp_path / "trunk.safetensors")
    heads = tmp_path / "lpips" / "weights" / "v0.1" / "alex.pth"
    heads.parent.mkdir(parents=True)
    (tmp_path / "lpips" / "__init__.py").write_text("import torchvision_that_is_not_here")
    torch.save({name: value for name, value in tensors.items() if name not in trunk}, heads)
    monkeypatch.syspath_prepend(str(tmp_path))
    image, truth = noise(1, 64, 64), noise(2, 64, 64)
    whole, parts = (
        AlexNetLpips(tmp_path / name, torch.device("cpu")).distance(image, truth)
        for name in ("whole.safetensors", "trunk.safetensors")
    )
    assert parts == whole > 0.0
