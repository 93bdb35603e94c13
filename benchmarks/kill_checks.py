"""What must hold of a job's files while and after something was killed; for ``benchmarks.kills``."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from neural_render_server.captures.detect import open_capture
from neural_render_server.errors import NeuralRenderError
from neural_render_server.rendering.images import read_exr
from neural_render_server.scene import Scene


@contextmanager
def reading(folder: Path, faults: list[str]) -> Iterator[None]:
    """Read scene, frames and capture again and again, as a second program might; what is there is whole."""
    ended = threading.Event()

    def read() -> None:
        while not ended.wait(0.1):
            scene = Scene(folder / "scene")
            try:
                if scene.info_file.exists():
                    scene.read_info()
                    scene.read_model()
                    scene.read_checkpoint()
                for frame in (folder / "frames").glob("[!.]*.exr"):
                    read_exr(frame)
                if (folder / "capture" / "transforms.json").exists():
                    open_capture(folder / "capture")
            except (NeuralRenderError, OSError) as error:
                faults.append(f"half a file was read: {error}")

    thread = threading.Thread(target=read)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def check_scene(folder: Path, reference: Path) -> list[str]:
    """Faults of the scene folder ``folder``, which must equal ``reference``."""
    faults = []
    if not Scene(folder).read_info().finished:
        faults.append("the scene is not finished")
    ours, expected = Scene(folder).read_model(), Scene(reference).read_model()
    if any(not bool((ours[name] == expected[name]).all()) for name in expected):
        faults.append("the weights differ from those of an uninterrupted training")
    return faults


def check_frames(folder: Path, names: Sequence[str], finished: dict[Path, int]) -> list[str]:
    """Faults of the frames in ``folder``; ``finished``: those before the kill, and when they were written."""
    faults = []
    files = {file.name for file in folder.glob("[!.]*")}
    if files != set(names):
        faults.append(f"{len(files)} of {len(names)} frames")
    again = [file.name for file, written in finished.items() if file.stat().st_mtime_ns != written]
    if again:
        faults.append(f"finished frames were rendered again: {', '.join(again)}")
    return faults


def features_made(capture: Path) -> int | None:
    """The file number of the database that a solve's features were finished in; None before.

    The features' stage makes the file anew, later ones write into it.
    """
    try:
        done = json.loads((capture / "solve" / "stages.json").read_text())["done"]
        names = [name for name, _ in done]
        return (capture / "solve" / "database.db").stat().st_ino if "features" in names else None
    except FileNotFoundError:
        return None


def check_capture(folder: Path, placed: int, features: int | None) -> list[str]:
    """Faults of the solved capture ``folder``; ``features`` are ``features_made`` at the kill."""
    faults = []
    count = len(open_capture(folder).cameras)
    if count != placed:
        faults.append(f"{count} pictures are placed, undisturbed {placed}")
    if features is not None and features_made(folder) != features:
        faults.append("finished features were looked for again")
    return faults


def check_leftovers(folder: Path) -> list[str]:
    left = [file.name for file in folder.rglob(".*-partial-*")]
    return [f"left behind: {', '.join(left)}"] if left else []
