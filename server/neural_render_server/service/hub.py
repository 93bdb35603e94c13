"""Wakes those who listen to a job's events when a worker thread has stored a new one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

from .jobs import JobEvent
from .store import JobStore

# A comment this often shows a client that the server lives.
_KEEPALIVE_SECONDS = 5.0


class EventHub:
    """Joins worker threads, which notify, with the event loop, where listeners wait."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._listeners: dict[str, set[asyncio.Event]] = {}
        self.is_closed = False

    def bind(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def notify(self, job_id: str) -> None:
        """Wake the listeners of a job; from any thread."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wake, job_id)

    def close(self) -> None:
        """End every stream, as the server stops; in the event loop."""
        self.is_closed = True
        for job_id in self._listeners:
            self._wake(job_id)

    def _wake(self, job_id: str) -> None:
        for listener in self._listeners.get(job_id, ()):
            listener.set()

    async def stream(self, store: JobStore, job_id: str, last_id: int) -> AsyncIterator[bytes]:
        """A job's events after ``last_id`` as server-sent events, until its last state."""
        changed = asyncio.Event()
        self._listeners.setdefault(job_id, set()).add(changed)
        try:
            while not self.is_closed:
                changed.clear()
                # The job is read before its events: no event can come after a finished job's.
                job = await asyncio.to_thread(store.get, job_id)
                events = await asyncio.to_thread(store.events_after, job_id, last_id)
                if events:
                    last_id = events[-1].id
                    yield b"".join(encode_event(event) for event in events)
                if job is None or job.is_finished:
                    return
                try:
                    await asyncio.wait_for(changed.wait(), _KEEPALIVE_SECONDS)
                except TimeoutError:
                    yield b": keepalive\n\n"
        finally:
            listeners = self._listeners[job_id]
            listeners.discard(changed)
            if not listeners:
                del self._listeners[job_id]


def encode_event(event: JobEvent) -> bytes:
    """One event of a ``text/event-stream``."""
    return f"id: {event.id}\nevent: {event.kind}\ndata: {json.dumps(event.data)}\n\n".encode()
