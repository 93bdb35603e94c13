"""Vectors of 16 numbers inside kernels against numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from neural_render_server.kernels.jit import kernel
from neural_render_server.kernels.lanes import (
    LANES,
    any_reaches,
    exp2_small,
    lane_numbers,
    lanes,
    larger,
    load,
    root,
    smaller,
    store,
    sum_of,
    to_floats,
    to_integers,
    truncated,
    where_less,
)

NAN = float("nan")


@kernel
def _combine(lines: Any, number: float, out: Any) -> None:
    a, b = load(lines, 0), load(lines, 1)
    total = lanes(np.float32(number))
    total += a
    store(out, 0, total)
    store(out, 1, number - a * b)
    store(out, 2, a / b)
    store(out, 3, larger(a, b))
    store(out, 4, smaller(a, number))
    store(out, 5, where_less(a, b, number, b))
    store(out, 6, lane_numbers())
    store(out, 7, exp2_small(a))


@kernel
def _reduce(lines: Any, line: int, number: float) -> Any:
    return sum_of(load(lines, line)), any_reaches(load(lines, line), number)


@kernel
def _bits(numbers: Any, floats: Any, out: Any, whole: Any, back: Any) -> None:
    a, b = load(numbers, 0), load(numbers, 1)
    store(out, 0, a * b + np.uint32(7))
    store(out, 1, (a ^ b) & np.uint32(0xFFFF))
    store(out, 2, (a - b) << np.uint32(3))
    store(out, 3, larger(a, b))
    store(out, 4, to_integers(load(floats, 0)))
    store(whole, 0, truncated(load(floats, 0)))
    store(back, 0, to_floats(to_integers(load(floats, 0))))


@kernel
def _of_numbers(a: Any, b: Any) -> Any:
    return larger(a, b), smaller(a, b), truncated(a), to_integers(a)


@kernel
def _roots(lines: Any, out: Any) -> Any:
    store(out, 0, root(load(lines, 0)))
    return root(lines[1, 0])


@pytest.fixture
def lines() -> np.ndarray:
    return np.random.default_rng(0).normal(0.0, 20.0, (2, LANES)).astype(np.float32)


def test_each_lane_is_combined_with_its_own(lines: np.ndarray) -> None:
    (a, b), out = lines, np.empty((8, LANES), np.float32)
    number = np.float32(0.7)
    _combine(lines, float(number), out)
    expected = (
        a + number,
        number - a * b,
        a / b,
        np.maximum(a, b),
        np.minimum(a, number),
        np.where(a < b, number, b),
        np.arange(LANES),
        np.exp2(a.astype(np.float64)),
    )
    for found, wanted in zip(out, expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=4e-7)


@pytest.mark.parametrize("real", [np.float32, np.float64])
def test_roots_of_lanes_and_of_numbers(lines: np.ndarray, real: type) -> None:
    squares, out = (lines.astype(real) ** 2), np.empty((1, LANES), real)
    number = _roots(squares, out)
    np.testing.assert_array_equal(out[0], np.sqrt(squares[0]))
    assert number == np.sqrt(squares[1, 0])


def test_what_is_no_number_is_neither_larger_nor_less(lines: np.ndarray) -> None:
    out = np.empty((8, LANES), np.float32)
    b = lines[1].copy()
    lines[0, 3] = NAN
    _combine(lines, 0.7, out)
    assert np.isnan(out[0, 3])
    assert out[3, 3] == b[3]
    assert out[4, 3] == np.float32(0.7)
    assert out[5, 3] == b[3]


def test_lanes_are_summed_and_searched(lines: np.ndarray) -> None:
    for line in range(2):
        total, reached = _reduce(lines, line, float(lines[line].max()))
        np.testing.assert_allclose(total, lines[line].sum(dtype=np.float64), rtol=1e-5)
        assert reached
        assert not _reduce(lines, line, float(np.nextafter(lines[line].max(), np.float32(np.inf))))[1]
    lines[0] = NAN
    assert not _reduce(lines, 0, -1e30)[1]


@pytest.mark.parametrize("real", [np.float32, np.float64])
def test_integers_wrap_and_whole_parts_lose_their_fraction(real: Any) -> None:
    random = np.random.default_rng(1)
    numbers = random.integers(0, 2**32, (2, LANES), dtype=np.uint32)
    floats = random.uniform(-50.0, 2e9, LANES).astype(real)
    floats[:2] = -0.9, 0.9
    out, whole = np.empty((5, LANES), np.uint32), np.empty(LANES, real)
    back = np.empty(LANES, np.float32)
    _bits(numbers, floats, out, whole, back)
    a, b = numbers
    for found, wanted in zip(out, (a * b + np.uint32(7), (a ^ b) & 0xFFFF, (a - b) << 3), strict=False):
        np.testing.assert_array_equal(found, wanted)
    np.testing.assert_array_equal(out[3], np.maximum(a, b))
    np.testing.assert_array_equal(out[4], np.trunc(floats).astype(np.int64).astype(np.uint32))
    np.testing.assert_array_equal(whole, np.trunc(floats))
    np.testing.assert_array_equal(back, np.trunc(floats).astype(np.float32))


def test_single_numbers_are_taken_too() -> None:
    assert _of_numbers(2.75, 1.5) == (2.75, 1.5, 2.0, 2)
    assert _of_numbers(NAN, 1.5)[:2] == (1.5, 1.5)
