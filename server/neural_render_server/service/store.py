"""The job store: jobs and their events in SQLite, so that the queue survives a restart."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from ..errors import ServiceError
from .jobs import Job, JobEvent, JobKind

# Events kept per job for late listeners; a long training makes tens of thousands.
EVENTS_KEPT = 2000
_TRIM_EVERY = 200

_SCHEMA_VERSION = 2
_SCHEMA = """
CREATE TABLE jobs (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT UNIQUE NOT NULL,
    kind TEXT NOT NULL,
    params TEXT NOT NULL,
    state TEXT NOT NULL,
    created REAL NOT NULL,
    progress REAL NOT NULL,
    time_left REAL,
    message TEXT NOT NULL,
    metrics TEXT NOT NULL,
    result TEXT,
    error TEXT,
    started REAL,
    finished REAL,
    client_id TEXT,
    resume INTEGER NOT NULL,
    preview TEXT,
    priority INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE events (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    job TEXT NOT NULL REFERENCES jobs(id) ON DELETE CASCADE,
    kind TEXT NOT NULL,
    data TEXT NOT NULL
);
CREATE INDEX events_of_job ON events (job, id);
"""
# What brings a database of a version to the next.
_MIGRATIONS = {1: "ALTER TABLE jobs ADD COLUMN priority INTEGER NOT NULL DEFAULT 0;"}
_COLUMNS = tuple(column.name for column in fields(Job))
_JSON_COLUMNS = ("params", "metrics", "result", "error")


class JobStore:
    """All jobs of one state folder. Safe to call from any thread."""

    def __init__(self, path: Path) -> None:
        """Open or create the database.

        Raises:
            ServiceError: it is no job database, is damaged, or belongs to a newer version.
        """
        self._path = path
        self._lock = threading.RLock()
        try:
            self._database = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = NORMAL")
            self._database.execute("PRAGMA foreign_keys = ON")
            (version,) = self._database.execute("PRAGMA user_version").fetchone()
            if version == 0:
                self._database.executescript(
                    f"BEGIN; {_SCHEMA} PRAGMA user_version = {_SCHEMA_VERSION}; COMMIT;"
                )
                version = _SCHEMA_VERSION
            while version in _MIGRATIONS:
                self._database.executescript(
                    f"BEGIN; {_MIGRATIONS[version]} PRAGMA user_version = {version + 1}; COMMIT;"
                )
                version += 1
        except sqlite3.OperationalError as error:  # of the disk, not of what is on it
            raise ServiceError(
                f"{path}: the job database cannot be written ({error}); free some space, or choose another "
                "--state-dir"
            ) from error
        except sqlite3.Error as error:
            raise ServiceError(
                f"{path}: the job database cannot be used ({error}); move it away to start with none"
            ) from error
        if version != _SCHEMA_VERSION:
            raise ServiceError(
                f"{path}: the job database is of version {version}, this server reads {_SCHEMA_VERSION}; "
                "update the server or choose another --state-dir"
            )

    def close(self) -> None:
        with self._lock:
            self._database.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """What is written within is written whole or, where the disk is full, not at all."""
        with self._lock:
            if self._database.in_transaction:  # a part of a larger one
                yield
                return
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._database.execute("COMMIT")
            except BaseException:
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                raise

    def add(
        self, kind: JobKind, params: dict[str, Any], client_id: str | None = None, priority: int = 0
    ) -> Job:
        """A new queued job."""
        now = time.time()
        job = Job(uuid.uuid4().hex[:12], kind, params, "queued", now, client_id=client_id, priority=priority)
        names = ", ".join(_COLUMNS)
        marks = ", ".join("?" for _ in _COLUMNS)
        with self._lock:
            self._database.execute(
                f"INSERT INTO jobs ({names}) VALUES ({marks})",
                [_to_column(name, getattr(job, name)) for name in _COLUMNS],
            )
        return job

    def get(self, job_id: str) -> Job | None:
        found = self._select("WHERE id = ?", job_id)
        return found[0] if found else None

    def all(self, client_id: str | None = None) -> list[Job]:
        """Every job, oldest first; of one client where ``client_id`` is given."""
        if client_id is None:
            return self._select("")
        return self._select("WHERE client_id = ?", client_id)

    def next_queued(self, kind: JobKind) -> Job | None:
        """The oldest of the queued jobs of the highest priority."""
        where, order = "WHERE state = 'queued' AND kind = ?", "priority DESC, number"
        found = self._select(where, kind, order=order, limit=1)
        return found[0] if found else None

    def count(self, state: str) -> int:
        with self._lock:
            row = self._database.execute("SELECT count(*) FROM jobs WHERE state = ?", [state]).fetchone()
        return int(row[0])

    def update(self, job: Job, **changes: Any) -> Job:
        """Store ``changes`` to a job and return it changed."""
        assignments = ", ".join(f"{name} = ?" for name in changes)
        values = [_to_column(name, value) for name, value in changes.items()]
        with self._lock:
            self._database.execute(f"UPDATE jobs SET {assignments} WHERE id = ?", [*values, job.id])
        return replace(job, **changes)

    def delete(self, job_id: str) -> None:
        with self._lock:
            self._database.execute("DELETE FROM jobs WHERE id = ?", [job_id])

    def requeue_interrupted(self) -> list[Job]:
        """Queue again what ran when the last server died, to go on where it stopped."""
        interrupted = self._select("WHERE state = 'running'")
        return [self.update(job, state="queued", resume=True, time_left=None) for job in interrupted]

    def add_event(self, job_id: str, kind: str, data: dict[str, Any]) -> int:
        """Append an event; the oldest of a job are dropped beyond ``EVENTS_KEPT``."""
        with self._lock:
            cursor = self._database.execute(
                "INSERT INTO events (job, kind, data) VALUES (?, ?, ?)", [job_id, kind, json.dumps(data)]
            )
            event_id = int(cursor.lastrowid or 0)
            if event_id % _TRIM_EVERY == 0:
                self._database.execute(
                    "DELETE FROM events WHERE job = ? AND id <= "
                    "(SELECT id FROM events WHERE job = ? ORDER BY id DESC LIMIT 1 OFFSET ?)",
                    [job_id, job_id, EVENTS_KEPT],
                )
        return event_id

    def forget_states(self, job_id: str) -> None:
        """Drop a job's past state events: a listener must not take an earlier end for the present one."""
        with self._lock:
            self._database.execute("DELETE FROM events WHERE job = ? AND kind = 'state'", [job_id])

    def events_after(self, job_id: str, event_id: int) -> list[JobEvent]:
        with self._lock:
            rows = self._database.execute(
                "SELECT id, kind, data FROM events WHERE job = ? AND id > ? ORDER BY id", [job_id, event_id]
            ).fetchall()
        return [JobEvent(row[0], row[1], json.loads(row[2])) for row in rows]

    def _select(self, where: str, *values: Any, order: str = "number", limit: int = -1) -> list[Job]:
        query = f"SELECT {', '.join(_COLUMNS)} FROM jobs {where} ORDER BY {order} LIMIT ?"
        with self._lock:
            rows = self._database.execute(query, [*values, limit]).fetchall()
        return [
            Job(**{name: _from_column(name, value) for name, value in zip(_COLUMNS, row, strict=True)})
            for row in rows
        ]


def _to_column(name: str, value: Any) -> Any:
    return json.dumps(value) if name in _JSON_COLUMNS and value is not None else value


def _from_column(name: str, value: Any) -> Any:
    if name == "resume":
        return bool(value)
    return json.loads(value) if name in _JSON_COLUMNS and value is not None else value
