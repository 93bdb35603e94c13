"""Runs the queue: one job of each kind at a time, each in a worker process of its own."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from .error_bodies import HttpError
from .hub import EventHub
from .jobs import JOB_KINDS, Job, JobKind
from .store import JobStore
from .worker_process import WorkerProcess

# A cancel takes effect within 2 s: so long a worker may take to end by itself before it is killed.
CANCEL_SECONDS = 1.2
# When the server stops, a training may write a large checkpoint first.
STOP_SECONDS = 20.0
# While the database's disk is full, a job's start or end waits, and is tried again this often.
_STORAGE_RETRY_SECONDS = 1.0

_log = logging.getLogger(__name__)
_Answer = TypeVar("_Answer")

# Of each kind of job: what the work is called, and where it goes on after a crash.
_KINDS: dict[JobKind, tuple[str, str]] = {
    "train": ("training", "its last checkpoint"),
    "render": ("rendering", "the frames already finished"),
    "mesh": ("meshing", "the start"),
    "solve": ("solving", "the stages already finished"),
}


@dataclass(frozen=True)
class _Begun:
    """A job that was taken from the queue, and its worker, or why there is none."""

    job: Job
    worker: WorkerProcess | None
    fault: str = ""


class Supervisor:
    """Starts, commands and follows the workers. Its public methods may be called from any thread."""

    def __init__(
        self, store: JobStore, hub: EventHub, frame_cache: Path, held_files: Sequence[int] = ()
    ) -> None:
        """``frame_cache``: the folder where render jobs keep frames; ``held_files``: open files that stay
        locked until the last worker has ended too.
        """
        self._frame_cache = frame_cache
        self._held_files = held_files
        self._store = store
        self._hub = hub
        # Guards every change of a job's state, and wakes the lanes when there may be work.
        self._changed = threading.Condition(threading.RLock())
        self._workers: dict[str, WorkerProcess] = {}
        self._cancelling: set[str] = set()
        self._stopping = False
        self._lanes = [
            threading.Thread(target=self._run_lane, args=(kind,), name=f"{kind} lane", daemon=True)
            for kind in JOB_KINDS
        ]

    def start(self) -> None:
        """Queue again what the last server left running, and begin to work."""
        for job in self._store.requeue_interrupted():
            self._tell_state(job)
        for lane in self._lanes:
            lane.start()

    def stop(self) -> None:
        """End the workers, trainings with a checkpoint; their jobs go on when a server starts again."""
        with self._changed:
            self._stopping = True
            for worker in self._workers.values():
                worker.command("cancel")
                worker.kill_after(STOP_SECONDS)
            self._changed.notify_all()
        for lane in self._lanes:
            lane.join()

    def submit(self, kind: JobKind, params: dict[str, Any], client_id: str | None, priority: int = 0) -> Job:
        with self._changed:
            with self._store.transaction():
                job = self._store.add(kind, params, client_id, priority)
                self._tell_state(job)
            self._changed.notify_all()
        return job

    def get(self, job_id: str) -> Job:
        """
        Raises:
            HttpError: 404, there is no such job.
        """
        job = self._store.get(job_id)
        if job is None:
            raise HttpError(404, "not_found", f"there is no job {job_id!r}; list them with GET /v1/jobs")
        return job

    def cancel(self, job_id: str) -> Job:
        """End a job within 2 s and keep what it has finished; a finished job stays as it is."""
        with self._changed:
            job = self.get(job_id)
            worker = self._workers.get(job_id)
            if worker is not None:
                self._cancelling.add(job_id)
                worker.command("cancel")
                worker.kill_after(CANCEL_SECONDS)
                job = self._store.update(job, message="Cancelling")
            elif not job.is_finished:
                job = self._set_state(job, "cancelled", finished=time.time(), time_left=None)
        return job

    def pause(self, job_id: str) -> Job:
        """Hold a queued or running job.

        Raises:
            HttpError: 409, the job has finished.
        """
        with self._changed:
            job = self.get(job_id)
            if job.is_finished:
                raise HttpError(409, "conflict", f"job {job_id} is {job.state}, so it cannot be paused")
            if job_id in self._workers:
                self._workers[job_id].command("pause")
            if job.state != "paused":
                job = self._set_state(job, "paused", time_left=None)
        return job

    def resume(self, job_id: str) -> Job:
        """Let a paused job run on; queue a failed or cancelled one again, from where it stopped.

        Raises:
            HttpError: 409, the job is done.
        """
        with self._changed:
            job = self.get(job_id)
            if job.state == "done":
                raise HttpError(409, "conflict", f"job {job_id} is done; there is nothing left to resume")
            if job_id in self._workers:
                self._workers[job_id].command("resume")
                if job.state == "paused":
                    job = self._set_state(job, "running")
            elif job.state not in ("queued", "running"):
                resume = job.resume or job.started is not None
                with self._store.transaction():
                    self._store.forget_states(job_id)
                    job = self._set_state(job, "queued", resume=resume, error=None, finished=None, message="")
                self._changed.notify_all()
        return job

    def prioritise(self, job_id: str, priority: int) -> Job:
        """Change a job's place in the queue; one that runs is not interrupted."""
        with self._changed:
            job = self._store.update(self.get(job_id), priority=priority)
            self._tell_state(job)
        return job

    def delete(self, job_id: str) -> None:
        """Forget a finished job; its files stay.

        Raises:
            HttpError: 409, the job has not finished.
        """
        with self._changed:
            job = self.get(job_id)
            if not job.is_finished or job_id in self._workers:
                raise HttpError(409, "conflict", f"job {job_id} is {job.state}; cancel it before deleting it")
            self._store.delete(job_id)
        self._hub.notify(job_id)

    def _run_lane(self, kind: JobKind) -> None:
        while (begun := self._patiently(lambda: self._begin_next(kind))) is not None:
            if begun.worker is not None:
                self._follow(begun.job, begun.worker)
            else:
                self._give_up(begun.job, begun.fault)

    def _give_up(self, job: Job, fault: str) -> None:
        error = {"code": "worker", "message": fault}
        self._patiently(lambda: self._finish(job, "failed", error=error))

    def _patiently(self, act: Callable[[], _Answer]) -> _Answer | None:
        """``act``, again and again while the database cannot be written; None once the server stops.

        What is missing then, the next server finds: a job that was running is queued again.
        """
        is_told = False
        while True:
            try:
                with self._changed:
                    return act()
            except sqlite3.Error as error:
                if self._stopping:
                    return None
                if not is_told:
                    _log.warning(
                        "the job database cannot be written (%s); free some space on its disk", error
                    )
                    is_told = True
                time.sleep(_STORAGE_RETRY_SECONDS)

    def _begin_next(self, kind: JobKind) -> _Begun | None:
        """Wait for a queued job and start its worker; None when the server stops."""
        while not self._stopping:
            job = self._store.next_queued(kind)
            if job is None:
                self._changed.wait()
                continue
            started = job.started or time.time()
            changes: dict[str, Any] = {"message": "Starting", "error": None, "metrics": {}, "progress": 0.0}
            job = self._set_state(job, "running", started=started, **changes)
            return self._start_worker(job)
        return None

    def _start_worker(self, job: Job) -> _Begun:
        try:
            worker = WorkerProcess(
                {
                    "kind": job.kind,
                    "params": job.params,
                    "resume": job.resume,
                    "started": job.started,
                    "frame_cache": str(self._frame_cache),
                },
                self._held_files,
            )
        except OSError as error:
            fault = (
                f"the worker process could not start ({error.strerror}); free some memory and resume the job"
            )
            return _Begun(job, None, fault)
        self._workers[job.id] = worker
        return _Begun(job, worker)

    def _follow(self, job: Job, worker: WorkerProcess) -> None:
        end: dict[str, Any] = {}
        for message in worker.messages():
            if "end" in message:
                end = message
            else:
                self._take_event(job.id, message["event"], message["data"])
        self._patiently(lambda: self._end(job.id, worker, end))

    def _end(self, job_id: str, worker: WorkerProcess, end: dict[str, Any]) -> None:
        """Store how a worker ended, whose last word was ``end``."""
        job = self.get(job_id)
        if end.get("end") == "done":
            self._finish(job, "done", result=end["result"], progress=1.0)
        elif job_id in self._cancelling:
            self._finish(job, "cancelled", message="Cancelled; resume continues it")
        elif end.get("end") == "failed":
            self._finish(job, "failed", error=end["error"])
        elif self._stopping:
            state = "paused" if job.state == "paused" else "queued"
            self._set_state(job, state, resume=True, time_left=None)
        else:
            self._finish(job, "failed", error=_death(job, worker))
        del self._workers[job_id]
        self._cancelling.discard(job_id)

    def _take_event(self, job_id: str, kind: str, data: dict[str, Any]) -> None:
        """Store what a worker tells. While the disk is full it is lost; the work itself is not."""
        with self._changed, suppress(sqlite3.Error), self._store.transaction():
            job = self.get(job_id)
            if kind == "progress":
                self._store.update(
                    job,
                    progress=min(max(float(data["fraction"]), 0.0), 1.0),
                    time_left=data.get("time_left"),
                    message=data.get("message") or job.message,
                )
            elif kind == "metrics":
                self._store.update(job, metrics={**job.metrics, **data})
            elif kind == "preview":
                self._store.update(job, preview=data["path"])
            self._store.add_event(job_id, kind, data)
        self._hub.notify(job_id)

    def _finish(self, job: Job, state: str, **changes: Any) -> None:
        error = changes.get("error")
        if error is not None:
            changes.setdefault("message", error["message"])
        self._set_state(job, state, finished=time.time(), time_left=None, **changes)

    def _set_state(self, job: Job, state: str, **changes: Any) -> Job:
        with self._store.transaction():
            job = self._store.update(job, state=state, **changes)
            self._tell_state(job)
        return job

    def _tell_state(self, job: Job) -> None:
        self._store.add_event(job.id, "state", job.to_json())
        self._hub.notify(job.id)


def _death(job: Job, worker: WorkerProcess) -> dict[str, Any]:
    """The error of a job whose worker ended without a word."""
    work, kept = _KINDS[job.kind]
    tail = worker.stderr_tail()
    error: dict[str, Any] = {
        "code": "worker",
        "message": f"the {work} process ended unexpectedly ({worker.describe_end()}); "
        f"resume the job to go on from {kept}",
    }
    if tail:
        error["detail"] = tail
    return error
