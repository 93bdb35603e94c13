"""The job store: what is put in comes back, also after a restart, and stays bounded."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from neural_render_server.errors import ServiceError
from neural_render_server.service.store import EVENTS_KEPT, JobStore


def test_jobs_come_back_from_disk(tmp_path: Path) -> None:
    store = JobStore(tmp_path / "jobs.sqlite")
    job = store.add("train", {"scene": "/a", "options": {"x": [1, 2]}}, "blender")
    changed = store.update(job, state="failed", error={"code": "x", "message": "y"}, metrics={"psnr": 20.5})
    store.close()
    assert JobStore(tmp_path / "jobs.sqlite").all() == [changed]


def test_the_queue_is_first_in_first_out_per_kind(tmp_path: Path) -> None:
    store = JobStore(tmp_path / "jobs.sqlite")
    first, render, second = store.add("train", {}), store.add("render", {}), store.add("train", {})
    assert store.next_queued("train") == first and store.next_queued("render") == render
    store.update(first, state="running")
    assert store.next_queued("train") == second


def test_a_higher_priority_comes_first_and_equals_keep_their_order(tmp_path: Path) -> None:
    store = JobStore(tmp_path / "jobs.sqlite")
    usual, later = store.add("train", {}), store.add("train", {}, priority=-1)
    urgent, also = store.add("train", {}, priority=5), store.add("train", {}, priority=5)
    order = []
    while (job := store.next_queued("train")) is not None:
        order.append(job.id)
        store.update(job, state="done")
    assert order == [urgent.id, also.id, usual.id, later.id]


def test_a_database_of_the_version_before_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "jobs.sqlite"
    store = JobStore(path)
    job = store.add("train", {"scene": "/a"})
    store.close()
    old = sqlite3.connect(path)
    old.execute("ALTER TABLE jobs DROP COLUMN priority")
    old.execute("PRAGMA user_version = 1")
    old.commit()
    old.close()
    assert JobStore(path).all() == [job]


def test_jobs_are_listed_by_client(tmp_path: Path) -> None:
    store = JobStore(tmp_path / "jobs.sqlite")
    mine = store.add("train", {}, "mine")
    store.add("train", {}, "yours")
    assert store.all("mine") == [mine] and len(store.all()) == 2


def test_what_ran_is_queued_again_and_resumes(tmp_path: Path) -> None:
    store = JobStore(tmp_path / "jobs.sqlite")
    running, waiting = store.add("train", {}), store.add("train", {})
    store.update(running, state="running")
    assert [job.id for job in store.requeue_interrupted()] == [running.id]
    again, untouched = store.get(running.id), store.get(waiting.id)
    assert again is not None and (again.state, again.resume) == ("queued", True)
    assert untouched is not None and (untouched.state, untouched.resume) == ("queued", False)


def test_events_are_bounded_and_the_newest_are_kept(tmp_path: Path) -> None:
    store = JobStore(tmp_path / "jobs.sqlite")
    job, other = store.add("train", {}), store.add("train", {})
    kept = store.add_event(other.id, "message", {"n": -1})
    for number in range(EVENTS_KEPT + 1000):
        newest = store.add_event(job.id, "progress", {"n": number})
    events = store.events_after(job.id, 0)
    assert EVENTS_KEPT <= len(events) < EVENTS_KEPT + 300
    assert events[-1].id == newest and events[-1].data == {"n": EVENTS_KEPT + 999}
    assert [event.id for event in store.events_after(other.id, 0)] == [kept]
    assert store.events_after(job.id, newest) == []


def test_a_deleted_job_takes_its_events_along(tmp_path: Path) -> None:
    store = JobStore(tmp_path / "jobs.sqlite")
    job = store.add("render", {})
    store.add_event(job.id, "state", {})
    store.delete(job.id)
    assert store.get(job.id) is None and store.events_after(job.id, 0) == []


def test_a_newer_database_is_refused(tmp_path: Path) -> None:
    JobStore(tmp_path / "jobs.sqlite").close()
    with sqlite3.connect(tmp_path / "jobs.sqlite") as database:
        database.execute("PRAGMA user_version = 99")
    with pytest.raises(ServiceError, match="version 99"):
        JobStore(tmp_path / "jobs.sqlite")
