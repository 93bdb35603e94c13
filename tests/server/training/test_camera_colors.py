"""Cameras of other colours: what differs is found exactly, and a training with one of them loses little."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from neural_render_server.errors import Cancelled, OptionError
from neural_render_server.progress import Control, Event
from neural_render_server.rendering.colour import linear_to_srgb, srgb_to_linear
from neural_render_server.scene import Scene
from neural_render_server.training.camera_colors import (
    CameraColor,
    ColorPairs,
    describe,
    even_powers,
    solve,
)
from neural_render_server.training.options import TrainOptions
from neural_render_server.training.trainer import train

WARM = CameraColor((0.8, 0.9, 1.1), (0.0, 0.01, 0.02), (0.2, 0.05))
SIZE = (48, 64)


@pytest.fixture
def picture() -> np.ndarray:
    random = np.random.default_rng(0)
    return random.uniform(0.1, 0.6, (*SIZE, 3)).astype(np.float32)


def test_correcting_undoes_filming(picture: np.ndarray) -> None:
    np.testing.assert_allclose(WARM.corrected(WARM.filmed(picture)), picture, atol=1e-6)
    assert np.abs(WARM.filmed(picture) - picture).max() > 0.1


def directions(count: int) -> np.ndarray:
    angles = np.linspace(-1.0, 1.0, count)
    return np.stack([np.sin(angles), np.cos(angles), np.zeros(count)], axis=-1)


def filmed_pairs(cameras: list[CameraColor], noise: float = 0.0) -> ColorPairs:
    """Places that neighbouring cameras film anywhere in their pictures, each in its own colours."""
    random = np.random.default_rng(2)
    numbers, filmed, powers = [], [], []
    own_powers = even_powers(SIZE[1], SIZE[0])
    for first in range(len(cameras)):
        for second in range(first + 1, min(first + 4, len(cameras))):
            count = 400
            colors = random.uniform(0.1, 0.7, (count, 3)).astype(np.float32)
            sides, radii = [], []
            for number in (first, second):
                rows, columns = random.integers(SIZE[0], size=count), random.integers(SIZE[1], size=count)
                for place in range(0, count, 50):  # a whole picture for every few places, to film it
                    whole = np.zeros((*SIZE, 3), np.float32)
                    part = slice(place, place + 50)
                    whole[rows[part], columns[part]] = colors[part]
                    sides.append(cameras[number].filmed(whole)[rows[part], columns[part]])
                radii.append(own_powers[rows, columns])
            pair = np.concatenate(sides).reshape(2, count, 3) + noise * random.standard_normal((2, count, 3))
            numbers.append(np.tile([first, second], (count, 1)))
            filmed.append(pair.transpose(1, 0, 2))
            powers.append(np.stack(radii, axis=1))
    return ColorPairs(np.concatenate(numbers), np.concatenate(filmed), np.concatenate(powers))


def test_pairs_tell_one_camera_from_the_others() -> None:
    found = solve(filmed_pairs([CameraColor()] * 4 + [WARM] + [CameraColor()] * 2), directions(7))
    assert [number for number, color in enumerate(found) if color != CameraColor()] == [4]
    np.testing.assert_allclose(found[4].gain, WARM.gain, atol=0.02)
    np.testing.assert_allclose(found[4].offset, WARM.offset, atol=0.01)
    np.testing.assert_allclose(sum(found[4].vignetting), sum(WARM.vignetting), atol=0.03)


def test_the_reference_camera_stays_as_it_is() -> None:
    found = solve(filmed_pairs([CameraColor()] * 6 + [WARM]), directions(7), reference=6)
    assert found[6] == CameraColor()
    flat = np.full((*SIZE, 3), 0.4, np.float32)
    for color in found[:6]:  # what they film becomes what the reference films
        np.testing.assert_allclose(color.corrected(flat), WARM.filmed(flat), atol=0.03)


def test_what_changes_steadily_with_the_direction_is_left_alone() -> None:
    """A floor that gleams more the further one looks from the side."""
    gleam = [CameraColor((1.0 + 0.02 * k,) * 3) for k in range(-6, 7)]
    assert solve(filmed_pairs(gleam), directions(13)) == [CameraColor()] * 13
    gleam[4] = WARM
    found = solve(filmed_pairs(gleam), directions(13))
    assert [number for number, color in enumerate(found) if color != CameraColor()] == [4]


def test_wrong_pairs_do_not_count() -> None:
    pairs = filmed_pairs([CameraColor()] * 4 + [WARM])
    random = np.random.default_rng(3)
    wrong = random.random(len(pairs.filmed)) < 0.15  # geometry that is not there yet
    pairs.filmed[wrong, 1] = random.random((int(wrong.sum()), 3))
    found = solve(pairs, directions(5))
    np.testing.assert_allclose(found[4].gain, WARM.gain, atol=0.03)
    assert found[:4] == [CameraColor()] * 4


def test_cameras_that_agree_are_left_alone() -> None:
    assert solve(filmed_pairs([CameraColor()] * 5, noise=0.03), directions(5)) == [CameraColor()] * 5


def test_a_camera_without_pairs_is_left_alone() -> None:
    pairs = filmed_pairs([CameraColor()] * 3 + [WARM])
    found = solve(pairs, directions(5))
    assert found[4] == CameraColor() and found[3] != CameraColor()
    few = ColorPairs(pairs.cameras[:10], pairs.filmed[:10], pairs.powers[:10])
    assert solve(few, directions(5)) == [CameraColor()] * 5


def test_colours_are_told_in_stops() -> None:
    gray = np.full((3, 3, 3), 0.5, np.float32)
    brighter = linear_to_srgb(2.0 * srgb_to_linear(gray))
    gain = 0.555 / (0.055 + float(brighter[0, 0, 0]))
    color = CameraColor((gain,) * 3, (0.055 * (gain - 1),) * 3)
    np.testing.assert_allclose(color.corrected(brighter), gray, atol=1e-6)
    assert describe(["cam00", "cam01"], [CameraColor(), color]) == ["cam01 +1.00 EV, red +0.00, blue +0.00"]


def odd_photos(tiny_photos: Path, folder: Path, odd: CameraColor) -> Path:
    """The tiny photos, one of them in other colours."""
    shutil.copytree(tiny_photos, folder)
    path = folder / "images" / "cam03_000.png"
    filmed = odd.filmed(cv2.imread(str(path))[..., ::-1].astype(np.float32) / 255.0)
    cv2.imwrite(str(path), np.rint(np.clip(filmed, 0.0, 1.0)[..., ::-1] * 255.0).astype(np.uint8))
    return folder


def test_training_takes_the_differences_out(tiny_photos: Path, tmp_path: Path) -> None:
    capture = odd_photos(tiny_photos, tmp_path / "photos", WARM)
    told: list[str] = []

    def listen(event: Event) -> None:
        if event.kind == "message":
            told.append(event.data["message"])

    scores = {}
    for match in (True, False):
        options = TrainOptions(
            str(capture),
            str(tmp_path / f"scene_{match}"),
            preset="small",
            steps=250,
            options={"count": 1500},
            test_cameras=("cam00_000",),
            match_colors=match,
        )
        scores[match] = train(options, listen, Control())["metrics"]["psnr"]
    assert scores[True] > scores[False] + 0.5, scores
    colors = Scene(tmp_path / "scene_True").read_info().camera_colors
    assert list(colors) == ["cam03_000"]
    gray = np.full((3, 3, 3), 0.5, np.float32)
    found = CameraColor(**colors["cam03_000"])
    np.testing.assert_allclose(found.filmed(gray)[1, 1], WARM.filmed(gray)[1, 1], atol=0.03)
    assert any("cam03_000" in message for message in told)
    assert Scene(tmp_path / "scene_False").read_info().camera_colors == {}


def test_a_resumed_training_goes_on_with_the_colours(tiny_photos: Path, tmp_path: Path) -> None:
    capture = odd_photos(tiny_photos, tmp_path / "photos", WARM)

    def run(scene: str, control: Control, listen: Callable[[Event], None], resume: bool = False) -> None:
        train(
            TrainOptions(
                str(capture),
                str(tmp_path / scene),
                preset="small",
                steps=60,
                options={"count": 500},
                resume=resume,
            ),
            listen,
            control,
        )

    run("whole", Control(), lambda event: None)
    control = Control()

    def cancel(event: Event) -> None:
        if event.kind == "metrics" and event.data.get("step", 0) >= 25:
            control.cancel()

    with pytest.raises(Cancelled):
        run("cut", control, cancel)
    run("cut", Control(), lambda event: None, resume=True)
    whole, cut = (Scene(tmp_path / name) for name in ("whole", "cut"))
    assert cut.read_info().camera_colors == whole.read_info().camera_colors != {}
    for name, tensor in whole.read_model().items():
        assert torch.equal(tensor, cut.read_model()[name]), name


def test_an_unknown_reference_camera_is_named(tiny_photos: Path, tmp_path: Path) -> None:
    options = TrainOptions(str(tiny_photos), str(tmp_path / "scene"), steps=5, color_reference="cam99")
    with pytest.raises(OptionError, match=r"no training camera is called 'cam99'; choose .* cam00_000"):
        train(options, lambda event: None, Control())
