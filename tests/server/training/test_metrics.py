"""Metrics against hand-made values."""

from __future__ import annotations

import numpy as np
import pytest

from neural_render_server.training.metrics import MovingRegion, psnr, ssim


def test_psnr_of_a_known_error() -> None:
    truth = np.zeros((8, 8, 3), dtype=np.float32)
    assert psnr(truth + np.float32(0.1), truth) == pytest.approx(20.0, abs=1e-4)


def test_psnr_counts_only_the_mask() -> None:
    truth = np.zeros((4, 4, 3), dtype=np.float32)
    image = truth.copy()
    image[0] = 0.1
    mask = np.zeros((4, 4), dtype=bool)
    mask[0] = True
    assert psnr(image, truth, mask) == pytest.approx(20.0, abs=1e-4)
    assert psnr(image, truth, ~mask) == pytest.approx(100.0)


def test_ssim_is_one_for_equal_and_falls_with_noise() -> None:
    generator = np.random.default_rng(0)
    truth = generator.random((32, 32, 3)).astype(np.float32)
    small, large = (
        np.clip(truth + generator.normal(0, s, truth.shape), 0, 1).astype(np.float32) for s in (0.05, 0.3)
    )
    assert ssim(truth, truth) == pytest.approx(1.0)
    assert 1.0 > ssim(small, truth) > ssim(large, truth)


def test_the_moving_region_is_what_changes() -> None:
    region = MovingRegion()
    for step in range(6):
        frame = np.full((4, 4, 3), 0.5, dtype=np.float32)
        frame[1, 2] = step / 5
        frame[0, 0] += 0.01 * (step % 2)  # below the threshold: noise
        region.add(frame)
    expected = np.zeros((4, 4), dtype=bool)
    expected[1, 2] = True
    assert np.array_equal(region.mask(), expected)


def test_ssim_counts_only_the_mask_and_is_not_reached_from_outside() -> None:
    generator = np.random.default_rng(0)
    truth = generator.random((40, 40, 3)).astype(np.float32)
    image, mask = truth.copy(), np.zeros((40, 40), dtype=bool)
    mask[:, :20] = True
    image[:, 20:] = 0.0
    assert ssim(image, truth, mask) == pytest.approx(1.0)
    assert ssim(image, truth) < 0.7
    image[:, :10] = 0.0
    assert ssim(image, truth, mask) < 0.7


def test_dssim_halves_with_twice_the_data_range() -> None:
    """The published DSSIM1 and DSSIM2 are of ranges 1 and 2, and must not be mixed up."""
    truth = np.random.default_rng(0).random((32, 32, 3)).astype(np.float32)
    image = np.clip(truth + np.random.default_rng(1).normal(0, 0.1, truth.shape), 0, 1).astype(np.float32)
    first, second = ((1 - ssim(image, truth, data_range=value)) / 2 for value in (1.0, 2.0))
    assert 0.0 < second < first


def test_a_picture_smaller_than_the_window_has_no_ssim() -> None:
    assert np.isnan(ssim(np.zeros((10, 30, 3), np.float32), np.zeros((10, 30, 3), np.float32)))
