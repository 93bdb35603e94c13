"""The compiled plane sweep equals the numpy one, and finds the depth of a plane."""

from __future__ import annotations

import numpy as np
import pytest

from neural_render_server.kernels import stereo, stereo_reference

FOCAL = 40.0


def textured(height: int, width: int, channels: int, seed: int) -> np.ndarray:
    """Smooth random texture, (H, W, C) in [0, 1], fine enough to be matched and coarse enough to sample."""
    random = np.random.default_rng(seed)
    rows, columns = np.meshgrid(np.arange(height), np.arange(width), indexing="ij")
    image = np.zeros((height, width, channels))
    for _ in range(12):
        frequency = random.uniform(-0.9, 0.9, size=2)
        phase = random.uniform(0, 2 * np.pi, size=channels)
        image += np.sin(rows[..., None] * frequency[0] + columns[..., None] * frequency[1] + phase)
    return ((image - image.min()) / (image.max() - image.min())).astype(np.float32)


def sideways(width: int, height: int, baselines: list[float]) -> tuple[np.ndarray, np.ndarray]:
    """Homographies of cameras shifted along x: pixel x falls on x - f b q."""
    rotations = np.tile(np.eye(3, dtype=np.float32), (len(baselines), 1, 1))
    translations = np.array([[-FOCAL * b, 0.0, 0.0] for b in baselines], dtype=np.float32)
    return rotations, translations


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("masked", [False, True])
def test_costs_equal_the_reference(channels: int, masked: bool) -> None:
    random = np.random.default_rng(1)
    height, width = 23, 31
    reference = textured(height, width, channels, 2)
    sources = np.stack([np.moveaxis(textured(19, 37, channels, 3 + k), -1, 0) for k in range(3)])
    # general homographies, some of which put pixels behind the camera or outside its image
    rotations = (np.eye(3) + random.normal(0, 0.02, (3, 3, 3))).astype(np.float32)
    translations = random.normal(0, 10.0, (3, 3)).astype(np.float32)
    planes = np.linspace(0.1, 1.0, 7).astype(np.float32)
    active = random.uniform(size=(height, width)) < 0.4 if masked else np.ones((height, width), dtype=bool)
    arguments = (reference, sources, np.array([0, 1, 1]), rotations, translations, planes, active)
    costs = stereo.sweep_costs(*arguments)
    expected = stereo_reference.sweep_costs(*arguments)
    assert costs.shape == (len(planes), np.count_nonzero(active))
    assert (expected < stereo.COST_LIMIT).mean() > 0.05
    # A pixel on the very edge of a source may fall on either side of it by rounding.
    assert np.mean(np.abs(costs - expected) < 1e-4) > 0.995
    np.testing.assert_allclose(
        stereo.best_planes(expected, planes), stereo_reference.best_planes(expected, planes), atol=1e-5
    )


def test_finds_the_depth_of_a_plane_between_two_swept_planes() -> None:
    height, width = 24, 48
    wide = textured(height, width + 40, 3, 5)
    inverse_depth = 0.31
    reference = wide[:, 20 : 20 + width]
    columns = np.arange(width)
    sources = []
    for baseline in (0.5, -0.5):
        position = columns + 20 + FOCAL * baseline * inverse_depth
        left = np.floor(position).astype(int)
        part = (position - left)[None, :, None].astype(np.float32)
        sources.append(np.moveaxis(wide[:, left] * (1 - part) + wide[:, left + 1] * part, -1, 0))
    rotations, translations = sideways(width, height, [0.5, -0.5])
    planes = np.linspace(0.1, 0.9, 33).astype(np.float32)
    active = np.ones((height, width), dtype=bool)
    costs = stereo.sweep_costs(
        reference, np.stack(sources), np.array([0, 1]), rotations, translations, planes, active
    )
    found, ratio = stereo.best_planes(costs, planes)
    inside = np.broadcast_to((columns > 14) & (columns < width - 14), active.shape).ravel()
    assert np.abs(found[inside] - inverse_depth).max() < 0.25 * (planes[1] - planes[0])
    assert ratio[inside].max() < 0.5


def test_cheaper_side_counts_where_the_other_is_hidden() -> None:
    image = textured(20, 30, 3, 7)
    hidden = np.ones((3, 20, 30), dtype=np.float32)
    rotations, translations = sideways(30, 20, [0.5, -0.5])
    planes = np.array([0.0, 0.1, 0.2], dtype=np.float32)
    active = np.ones((20, 30), dtype=bool)
    sources = np.stack([np.moveaxis(image, -1, 0), hidden])
    apart = stereo.sweep_costs(image, sources, np.array([0, 1]), rotations, translations, planes, active)
    together = stereo.sweep_costs(image, sources, np.array([0, 0]), rotations, translations, planes, active)
    assert apart[0].max() < 1e-5
    assert together[0].mean() > 0.1


def test_costs_do_not_depend_on_the_thread_count(monkeypatch: pytest.MonkeyPatch) -> None:
    image = textured(20, 30, 3, 8)
    rotations, translations = sideways(30, 20, [0.4, -0.7])
    sources = np.stack([np.moveaxis(textured(20, 30, 3, 9 + k), -1, 0) for k in range(2)])
    planes = np.linspace(0.1, 1.0, 9).astype(np.float32)
    active = np.ones((20, 30), dtype=bool)
    arguments = (image, sources, np.array([0, 1]), rotations, translations, planes, active)
    many = stereo.sweep_costs(*arguments)
    monkeypatch.setenv("NEURAL_RENDER_THREADS", "1")
    np.testing.assert_array_equal(many, stereo.sweep_costs(*arguments))
