"""What must hold of a job's files while and after something was killed; for ``benchmarks.kills``."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from neural_render_server.errors import NeuralRenderError
from neural_render_server.rendering.images import read_exr
from neural_render_server.scene import Scene


@contextmanager
def reading(folder: Path, faults: list[str]) -> Iterator[None]:
    """Read scene and frames again and again, as a second program might; what is there must be whole."""
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


def check_leftovers(folder: Path) -> list[str]:
    left = [file.name for file in folder.rglob(".*-partial-*")]
    return [f"left behind: {', '.join(left)}"] if left else []
