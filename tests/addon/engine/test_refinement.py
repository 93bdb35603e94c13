"""The viewport's state machine, by hand, with a clock of the test's own."""

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
    for seconds_per_pixel in (1e-8, 5e-7, 2e-6, 1e-4):
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


def test_fixed_costs_do_not_make_it_coarser_than_needed():
    """Each picture costs 50 ms and 0.5 microseconds a pixel: a quarter of each side still fits in 0.1 s."""
    machine = Refinement()
    machine.want("start", SIZE, 0.0)
    now = STILL_SECONDS
    for step in range(6):
        while machine.is_busy:
            order = machine.next_order(now)
            width, height = order.scaled_size
            now += STILL_SECONDS
            machine.deliver(order, 0.05 + width * height * 5e-7)
        machine.want(f"moved {step}", SIZE, now)
    assert machine.next_order(now).divisor == 4
