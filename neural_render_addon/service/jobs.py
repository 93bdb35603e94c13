"""Work beside Blender: a worker thread and the queue of its messages.

The worker never touches ``bpy``. Whoever started it drains the queue: a modal operator a little at a
time, a script in a blocking loop.
"""

from __future__ import annotations

import os
import queue
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import AddonError, JobCancelled, ServerError
from .messages import Health, Job, MethodInfo

if TYPE_CHECKING:
    from .client import Client


@dataclass(frozen=True)
class Connected:
    """A server answered."""

    address: str
    health: Health


@dataclass(frozen=True)
class MethodsListed:
    """The training methods that the server offers."""

    methods: list[MethodInfo]


@dataclass(frozen=True)
class JobsListed:
    """The server's queue and what it has finished, whoever asked for it."""

    jobs: list[Job]


@dataclass(frozen=True)
class JobStarted:
    """The server took the job on."""

    job_id: str


@dataclass(frozen=True)
class StateChanged:
    """The job is ``queued``, ``running``, ``paused``, ``done``, ``failed`` or ``cancelled``."""

    state: str


@dataclass(frozen=True)
class Progress:
    """``fraction`` in [0, 1]; ``time_left`` in seconds where it is known."""

    fraction: float
    time_left: float | None
    text: str


@dataclass(frozen=True)
class Metrics:
    """Figures of a training, such as ``psnr`` and ``step``."""

    values: dict[str, Any]


@dataclass(frozen=True)
class Note:
    """A sentence for the user while the work goes on."""

    text: str
    is_warning: bool = False


@dataclass(frozen=True)
class PreviewReady:
    """A new preview picture has been written to ``path``."""

    path: str


@dataclass(frozen=True)
class FrameDone:
    """A frame has been written; ``kept`` says that it was there before."""

    name: str
    path: str
    kept: bool


@dataclass(frozen=True)
class Finished:
    """The work is done; ``result`` is what it returned."""

    result: Any


@dataclass(frozen=True)
class Failed:
    """The work failed; ``text`` is one sentence with the remedy."""

    text: str
    was_cancelled: bool = False


Message = (
    Connected
    | MethodsListed
    | JobsListed
    | JobStarted
    | StateChanged
    | Progress
    | Metrics
    | Note
    | PreviewReady
    | FrameDone
    | Finished
    | Failed
)
Emit = Callable[[Message], None]


@dataclass(eq=False)
class Task:
    """Runs ``work(emit, stopped)`` in a thread; its messages end with one Finished or Failed."""

    name: str
    work: Callable[[Emit, Callable[[], bool]], Any]
    _queue: queue.SimpleQueue[Message] = field(default_factory=queue.SimpleQueue, init=False)
    _stop: threading.Event = field(default_factory=threading.Event, init=False)
    _thread: threading.Thread | None = field(default=None, init=False)

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name=f"neural-render-{self.name}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ask the worker to end at its next chance. A job on the server goes on."""
        self._stop.set()

    def join(self, timeout: float) -> None:
        if self._thread is not None:
            self._thread.join(timeout)

    @property
    def is_alive(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def messages(self, budget: float) -> Iterator[Message]:
        """The messages that wait, for at most ``budget`` seconds; never blocks."""
        end = time.perf_counter() + budget
        while time.perf_counter() < end:
            try:
                yield self._queue.get_nowait()
            except queue.Empty:
                return

    def wait_for_messages(self) -> Iterator[Message]:
        """All messages to the last, waiting for each."""
        while True:
            message = self._queue.get()
            yield message
            if isinstance(message, Finished | Failed):
                return

    def _run(self) -> None:
        try:
            result = self.work(self._queue.put, self._stop.is_set)
        except JobCancelled as error:
            self._queue.put(Failed(str(error), was_cancelled=True))
        except AddonError as error:
            self._queue.put(Failed(str(error)))
        except Exception as error:
            # A fault of ours must still end the operator; the trace goes to the console.
            traceback.print_exc()
            self._queue.put(Failed(f"Unexpected {type(error).__name__}: {error}; see the system console"))
        else:
            self._queue.put(Finished(result))


def follow_job(
    client: Client,
    job_id: str,
    emit: Emit,
    stopped: Callable[[], bool],
    preview_path: Path | None = None,
) -> Job:
    """Tell a job's events as messages until it is done, and return it.

    A training's preview is written to ``preview_path`` whenever there is a new one; where that fails, a
    warning says so once, and the training is followed on.

    Raises:
        JobCancelled: the job was cancelled, or ``stopped()`` turned true.
        ServerError: the job failed; the message is the server's.
        ServerUnreachable: the server is gone.
    """
    for event in client.events(job_id, stopped):
        data = event.data
        if event.kind == "state":
            emit(StateChanged(str(data.get("state"))))
        elif event.kind == "progress":
            time_left = data.get("time_left")
            emit(Progress(float(data.get("fraction") or 0.0), time_left, str(data.get("message") or "")))
        elif event.kind == "metrics":
            emit(Metrics(data))
        elif event.kind == "message":
            emit(Note(str(data.get("message") or ""), data.get("level") == "warning"))
        elif event.kind == "frame":
            emit(FrameDone(str(data["name"]), str(data["path"]), bool(data.get("kept"))))
        elif event.kind == "preview" and preview_path is not None:
            picture = client.preview(job_id)
            if not picture:
                continue
            try:
                write_atomically(preview_path, picture)
                emit(PreviewReady(str(preview_path)))
            except OSError as error:
                why = error.strerror or error
                emit(Note(f"{preview_path}: no preview can be written ({why}); free some space", True))
                preview_path = None
    if stopped():
        raise JobCancelled("Stopped watching; the job goes on in the server")
    job = client.job(job_id)
    if job.state == "cancelled":
        raise JobCancelled("Cancelled; what was finished is kept")
    if job.state == "failed":
        raise ServerError(job.error or "The job failed; see the server's log")
    return job


def continue_training(client: Client, scene: str) -> Job | None:
    """The training of the folder ``scene`` that the server has not finished, held no longer; else None."""
    for job in client.jobs():
        if job.kind == "train" and not job.is_final and job.params.get("scene") == scene:
            return client.resume(job.id) if job.state == "paused" else job
    return None


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that a reader sees the old content or the new, never half."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        temporary.write_bytes(content)
        os.replace(temporary, path)
    except OSError:
        temporary.unlink(missing_ok=True)  # half a file on a full disk
        raise
