"""The stages of a solve on disk: what is done is not done again, unless what it rests on has changed."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

from ..files import read_json, write_json

FOLDER = "solve"
_FILE = "stages.json"


class Stages:
    """The work folder of one solve. Stages come in one order; each rests on all before it."""

    def __init__(self, capture: Path) -> None:
        self.folder = capture / FOLDER
        self._key = ""
        self._index = 0
        self._done: list[list[str]] = []
        # Where there is none, or it was cut off, the work begins anew.
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            self._done = list(read_json(self.folder / _FILE)["done"])

    def begin(self, name: str, inputs: Any) -> bool:
        """Whether the next stage, with these (JSON-able) inputs, is still to be done; ``finish`` follows."""
        self._key = hashlib.sha256(json.dumps([self._key, name, inputs]).encode()).hexdigest()
        if self._done[self._index : self._index + 1] == [[name, self._key]]:
            self._index += 1
            return False
        self._done = self._done[: self._index]
        self._write()
        return True

    def finish(self, name: str) -> None:
        self._done.append([name, self._key])
        self._index += 1
        self._write()

    def clean(self, name: str) -> Path:
        """An empty folder for a stage's files."""
        folder = self.folder / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder

    def _write(self) -> None:
        write_json(self.folder / _FILE, {"done": self._done})
