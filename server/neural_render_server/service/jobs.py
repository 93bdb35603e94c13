"""Jobs and their events as the service keeps them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, get_args

JobKind = Literal["train", "render", "mesh", "solve"]
JobState = Literal["queued", "running", "paused", "done", "failed", "cancelled"]

JOB_KINDS: tuple[JobKind, ...] = get_args(JobKind)
FINISHED_STATES: tuple[JobState, ...] = ("done", "failed", "cancelled")


@dataclass(frozen=True)
class Job:
    """A training, a rendering, a meshing or a solve. Times are Unix seconds; ``progress`` lies in [0, 1].

    Of the queued jobs of a kind the one of the highest ``priority`` is next, among equals the oldest.
    ``resume`` says that the next start goes on with what an earlier one finished; ``preview`` is
    the path of the newest preview image. Neither is part of the answer to a client.
    """

    id: str
    kind: JobKind
    params: dict[str, Any]
    state: JobState
    created: float
    progress: float = 0.0
    time_left: float | None = None
    message: str = ""
    metrics: dict[str, Any] = field(default_factory=dict)
    result: dict[str, Any] | None = None
    error: dict[str, Any] | None = None
    started: float | None = None
    finished: float | None = None
    client_id: str | None = None
    resume: bool = False
    preview: str | None = None
    priority: int = 0

    @property
    def is_finished(self) -> bool:
        return self.state in FINISHED_STATES

    def to_json(self) -> dict[str, Any]:
        """The job as clients see it."""
        return {
            "id": self.id,
            "kind": self.kind,
            "params": self.params,
            "state": self.state,
            "progress": self.progress,
            "time_left": self.time_left,
            "message": self.message,
            "metrics": self.metrics,
            "result": self.result,
            "error": self.error,
            "created": self.created,
            "started": self.started,
            "finished": self.finished,
            "priority": self.priority,
        }


@dataclass(frozen=True)
class JobEvent:
    """One event of a job; ``id`` grows from event to event."""

    id: int
    kind: str
    data: dict[str, Any]
