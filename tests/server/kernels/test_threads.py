"""Work shared out over threads: all of it once, errors told, and nobody waits behind another's work."""

from __future__ import annotations

import threading
import time

import pytest

from neural_render_server.kernels import threads


@pytest.fixture(autouse=True)
def three_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEURAL_RENDER_THREADS", "3")


@pytest.mark.parametrize("count", [1, 2, 50])
def test_each_piece_of_work_is_done_once(count: int) -> None:
    done: list[int] = []
    threads.run_sliced(lambda low, high: done.extend(range(low, high)), threads.even_bounds(7 * count, count))
    assert sorted(done) == list(range(7 * count))


def test_an_error_is_raised_once_nobody_works_any_more() -> None:
    working: list[int] = []

    def work(low: int, high: int) -> None:
        if low == 3:
            raise ValueError("the fourth fails")
        working.append(low)
        time.sleep(0.01)
        working.remove(low)

    with pytest.raises(ValueError, match="the fourth fails"):
        threads.run_sliced(work, range(31))
    assert not working
    threads.run_all([])


def test_a_call_ends_while_another_holds_the_pool() -> None:
    go_on, held = threading.Event(), threading.Semaphore(0)

    def hold() -> None:
        held.release()
        assert go_on.wait(60.0)

    # each has its own thread and keeps helpers of the pool busy, more of them than there are
    others = [threading.Thread(target=threads.run_all, args=([hold] * 3,)) for _ in range(3)]
    for other in others:
        other.start()
    for _ in others:
        assert held.acquire(timeout=60.0)
    time.sleep(0.1)  # for the pool's threads to take what they can
    done: list[int] = []
    threads.run_sliced(lambda low, _: done.append(low), range(9))
    assert not go_on.is_set()
    go_on.set()
    for other in others:
        other.join()
    assert sorted(done) == list(range(8))
