"""The viewport's state machine, by hand, with a clock of the test's own."""

import numpy as np
import pytest

from neural_render_addon.engine.pace import fitted
from neural_render_addon.engine.refinement import (
    COARSE_SECONDS,
    DIVISORS,
    FIRST_DIVISOR,
    RETRY_SECONDS,
    STILL_SECONDS,
    Refinement,
)

SIZE = (960, 540)
PIXELS = SIZE[0] * SIZE[1]
# Seconds a pixel with which the full picture is just in time while something moves.
IN_TIME = COARSE_SECONDS / PIXELS


def run(machine, now, seconds_per_pixel):
    """Run the next order to its end; returns it and the time then."""
    order = machine.next_order(now)
    assert order is not None
    width, height = order.scaled_size
    seconds = width * height * seconds_per_pixel
    machine.deliver(order, seconds)
    return order, now + seconds


def warmed_up(seconds_per_pixel):
    """A machine that knows its speed and shows ``start`` in full; and the time."""
    machine = Refinement()
    machine.want("start", SIZE, 0.0)
    now = STILL_SECONDS
    while machine.is_busy:
        _, now = run(machine, now, seconds_per_pixel)
    return machine, now


def test_first_coarse_then_full_when_it_stands_still():
    machine = Refinement()
    assert machine.next_order(0.0) is None
    machine.want("a", SIZE, 0.0)
    order, now = run(machine, 0.0, 1e-7)
    assert (order.view, order.divisor, order.is_coarse) == ("a", FIRST_DIVISOR, True)
    assert order.scaled_size == (240, 135)
    assert now < STILL_SECONDS
    assert machine.next_order(now) is None
    assert machine.is_busy
    order, now = run(machine, STILL_SECONDS, 1e-7)
    assert (order.divisor, order.is_coarse) == (1, False)
    assert machine.next_order(now + 10) is None
    assert not machine.is_busy


def test_one_order_at_a_time_and_the_newest_wins():
    machine, now = warmed_up(1e-6)
    machine.want("b", SIZE, now)
    running = machine.next_order(now)
    for index in range(20):
        machine.want(f"c{index}", SIZE, now + 0.01 * index)
        assert machine.next_order(now + 0.01 * index) is None
    assert running.view == "b"
    assert not machine.is_dropped(running), "a coarse picture is finished: else nothing is seen while moving"
    machine.deliver(running, 0.05)
    assert machine.next_order(now + 0.2).view == "c19"


def test_refining_is_given_up_when_the_view_moves_on():
    machine = Refinement()
    machine.want("a", SIZE, 0.0)
    run(machine, 0.0, 1e-6)
    fine = machine.next_order(STILL_SECONDS)
    assert not machine.is_dropped(fine)
    machine.want("b", SIZE, 0.5)
    assert machine.is_dropped(fine)
    machine.drop()
    assert machine.next_order(0.5).view == "b"


def test_it_is_as_coarse_as_the_method_is_slow():
    divisors = []
    for seconds_per_pixel in np.array([0.05, 2.6, 10.0, 500.0]) * IN_TIME:
        machine, now = warmed_up(seconds_per_pixel)
        machine.want("moved", SIZE, now)
        order, _ = run(machine, now, seconds_per_pixel)
        divisors.append(order.divisor)
        fits = PIXELS / order.divisor**2 * seconds_per_pixel <= COARSE_SECONDS
        assert fits or order.divisor == DIVISORS[-1]
    assert divisors == [1, 2, 4, 16]


def test_a_slow_method_is_refined_step_by_step():
    machine, now = warmed_up(1e-4)
    machine.want("moved", SIZE, now)
    seen = []
    while machine.is_busy:
        order, now = run(machine, now + STILL_SECONDS, 1e-4)
        seen.append(order.divisor)
    assert seen == [16, 8, 4, 2, 1]


def test_another_size_is_another_picture():
    machine, now = warmed_up(1e-7)
    machine.want("start", (480, 270), now)
    assert machine.next_order(now).size == (480, 270)


def test_a_failure_waits_and_a_change_does_not():
    machine = Refinement()
    machine.want("a", SIZE, 0.0)
    assert machine.next_order(0.0) is not None
    machine.fail(1.0)
    assert machine.next_order(1.1) is None
    assert machine.next_order(1.0 + RETRY_SECONDS) is not None
    machine.fail(4.0)
    machine.want("b", SIZE, 4.1)
    assert machine.next_order(4.1).view == "b"


def coarse_divisors(seconds_of, moves=8):
    """The divisors of the coarse pictures of ``moves`` moves, each refined; ``seconds_of(pixels, index)``."""
    machine = Refinement()
    now, index, coarse = 0.0, 0, []
    for step in range(moves):
        machine.want(f"view {step}", SIZE, now)
        while machine.is_busy:
            order = machine.next_order(now + STILL_SECONDS)
            width, height = order.scaled_size
            seconds = seconds_of(width * height, index)
            now, index = now + STILL_SECONDS + seconds, index + 1
            machine.deliver(order, seconds)
            if order.is_coarse:
                coarse.append(order.divisor)
    return coarse


def test_fixed_costs_do_not_make_it_coarser_than_needed():
    """Each picture costs half of what it may, and its pixels: a quarter of each side is still in time."""
    coarse = coarse_divisors(lambda pixels, index: 0.5 * COARSE_SECONDS + 2.6 * IN_TIME * pixels)
    assert set(coarse[-4:]) == {4}


def test_where_fixed_costs_are_too_much_it_shrinks_only_while_that_pays():
    """150 ms whatever the size: a half takes 163 ms, a sixteenth 150, neither in time. A half is shown."""
    assert set(coarse_divisors(lambda pixels, index: 0.15 + 1e-7 * pixels)[-4:]) == {2}
    # nothing but fixed costs: nothing is won by less than the full picture
    assert set(coarse_divisors(lambda pixels, index: 0.2)[-4:]) == {1}


def test_a_slow_first_picture_does_not_spoil_the_choice():
    """A scene's first picture takes two seconds: it is opened, kernels are loaded."""
    coarse = coarse_divisors(lambda pixels, index: 2.0 if index == 0 else 0.012 + 1.8e-7 * pixels)
    assert set(coarse[-4:]) == {2 if 0.012 + 1.8e-7 * PIXELS > COARSE_SECONDS else 1}


def test_noise_does_not_change_the_choice():
    random = np.random.default_rng(0)

    def seconds_of(pixels, index):
        return (0.3 * COARSE_SECONDS + 1.6 * IN_TIME * pixels) * random.uniform(0.8, 1.25)

    assert set(coarse_divisors(seconds_of, 40)[5:]) == {2}


def test_a_scene_that_gets_slower_is_noticed():
    slow = coarse_divisors(lambda pixels, index: pixels * IN_TIME * (0.05 if index < 8 else 10.0), 16)
    assert slow[3] == 1 and set(slow[-3:]) == {4}


@pytest.mark.parametrize(("fixed", "per_pixel"), [(0.05, 5e-7), (0.0, 1e-6), (0.2, 0.0)])
def test_a_pace_is_found_again(fixed, per_pixel):
    pace = fitted({n: fixed + per_pixel * n for n in (2000, 8000, 32000, 500000)})
    assert (pace.fixed, pace.per_pixel) == (
        pytest.approx(fixed, abs=1e-9),
        pytest.approx(per_pixel, abs=1e-14),
    )


def test_a_pace_is_never_negative():
    falling, steep = fitted({1000: 0.3, 100000: 0.1}), fitted({1000: 0.001, 2000: 0.1, 4000: 0.3})
    assert falling.per_pixel == 0.0 and 0.1 <= falling.fixed <= 0.3
    assert steep.fixed == 0.0 and steep.per_pixel > 0.0
