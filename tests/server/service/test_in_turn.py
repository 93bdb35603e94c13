"""The lock of the single frames: one at a time, and first come, first served."""

from __future__ import annotations

import threading
import time

import pytest

from neural_render_server.service.in_turn import InTurn


def test_those_who_wait_go_in_the_order_they_came() -> None:
    lock, order, inside = InTurn(), list[int](), 0
    threads = []

    def work(number: int) -> None:
        nonlocal inside
        with lock:
            inside += 1
            assert inside == 1
            time.sleep(0.001)
            order.append(number)
            inside -= 1

    with lock:
        for number in range(20):
            thread = threading.Thread(target=work, args=(number,))
            thread.start()
            while len(lock._waiting) <= number:  # the next one comes when this one waits
                time.sleep(0.001)
            threads.append(thread)
        assert order == []
    for thread in threads:
        thread.join(30)
    assert order == list(range(20))


def test_a_failure_gives_it_on() -> None:
    lock = InTurn()
    with pytest.raises(ValueError, match="broken"), lock:
        raise ValueError("broken")
    taken = threading.Event()

    def take() -> None:
        with lock:
            taken.set()

    threading.Thread(target=take, daemon=True).start()
    assert taken.wait(30)
