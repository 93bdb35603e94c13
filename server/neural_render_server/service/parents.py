"""The programs a server lives for: it ends when the last of them is gone."""

from __future__ import annotations

from collections.abc import Iterable

import psutil

from ..errors import ServiceError


class Parents:
    """Processes by pid and start time, so that a reused pid is not mistaken for the parent."""

    def __init__(self, pids: Iterable[int]) -> None:
        """
        Raises:
            ServiceError: a process does not exist.
        """
        self._processes: dict[int, psutil.Process] = {}
        for pid in pids:
            self.add(pid)

    def add(self, pid: int) -> None:
        """
        Raises:
            ServiceError: there is no such process.
        """
        try:
            self._processes[pid] = psutil.Process(pid)
        except (psutil.NoSuchProcess, ValueError, OverflowError) as error:
            raise ServiceError(f"no process has the pid {pid}; give that of a running program") from error

    def __bool__(self) -> bool:
        return bool(self._processes)

    def any_alive(self) -> bool:
        return any(_is_alive(process) for process in list(self._processes.values()))


def _is_alive(process: psutil.Process) -> bool:
    try:
        # is_running() compares the start time too; a zombie has ended, only nobody asked for its status.
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True
