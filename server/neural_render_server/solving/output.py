"""Writing a solved capture: ``transforms.json``, its pictures or videos, and the points."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..cameras import Camera, FloatArray
from ..captures.film import FOLDER_FPS
from ..captures.similarity import moved_camera, moved_points
from ..captures.timestamps import FILE as TIMESTAMPS_FILE
from ..errors import SolveError
from ..files import write_bytes, write_json
from .footage import Footage
from .model import SolvedModel
from .pictures import Pictures

POINTS_FILE = "points.ply"


def write_capture(
    out: Path, footage: Footage, pictures: Pictures, model: SolvedModel, matrix: FloatArray
) -> None:
    """Write the capture of a solved model, mapped by ``matrix`` (4, 4) to the guessed world.

    Photos and videos are linked into the capture's folder where the disk allows it, else copied.

    Raises:
        SolveError, SceneError: a file cannot be written.
    """
    cameras = {picture.name: moved_camera(picture.camera, matrix) for picture in model.pictures}
    frames: list[dict[str, Any]] = []
    fps: float | None = None
    for item in pictures.items:
        camera = cameras.get(item.name)
        if camera is None:
            continue
        if footage.kind == "photos":
            frames.append(_entry(camera, bring(footage.photos[item.source], out / "images", out)))
            continue
        recording = footage.recordings[item.source]
        rate = recording.fps or FOLDER_FPS
        if footage.kind == "moving":
            entry = _entry(camera, (pictures.folder / item.name).relative_to(out).as_posix())
            if footage.is_moving_rig:
                entry["time"], fps = item.moment, max(fps or 0.0, rate)
                if item.time_shift:
                    entry["time_shift"] = item.time_shift
            frames.append({**entry, "name": Path(item.name).stem})
            continue
        fps = max(fps or 0.0, rate)
        if not recording.images:
            path = bring(recording.path, out / "videos", out)
            frames.append({**_entry(camera, path), "name": recording.name, "time": 0.0})
            continue
        for frame, image in enumerate(recording.images):
            path = bring(image, out / "images" / recording.name, out)
            frames.append({**_entry(camera, path), "name": recording.name, "time": frame / rate})
    if footage.kind == "fixed":
        stated = footage.recordings[0].path.parent / TIMESTAMPS_FILE
        if stated.is_file():
            bring(stated, out, out)
    write_ply(out / POINTS_FILE, moved_points(model.positions, matrix), model.colors)
    write_json(
        out / "transforms.json",
        {**({} if fps is None else {"fps": fps}), "ply_file_path": POINTS_FILE, "frames": frames},
    )


def _entry(camera: Camera, file_path: str) -> dict[str, Any]:
    entry = camera.to_json()
    entry.pop("name", None)
    return {"file_path": file_path, **entry}


def bring(source: Path, folder: Path, root: Path) -> str:
    """Link (else copy) a file into ``folder``; its path relative to ``root``.

    Raises:
        SolveError: it can be neither linked nor copied.
    """
    target = folder / source.name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not (target.exists() and os.path.samefile(source, target)):
            target.unlink(missing_ok=True)
            try:
                os.link(source.resolve(), target)  # of a symbolic link, the file
            except OSError:  # another disk, or one without links
                part = target.with_name(f".{target.name}.part")
                shutil.copyfile(source, part)
                part.replace(target)
    except OSError as error:
        raise SolveError(
            f"{target}: cannot be written ({error.strerror or error}); "
            "free some space or choose another folder"
        ) from error
    return target.relative_to(root).as_posix()


def write_ply(path: Path, positions: FloatArray, colors: npt.NDArray[np.uint8]) -> None:
    """Write points as a binary PLY: ``positions`` (N, 3), ``colors`` (N, 3) sRGB.

    Raises:
        SceneError: it cannot be written.
    """
    vertices = np.empty(len(positions), dtype=[("position", "<f4", 3), ("color", "u1", 3)])
    vertices["position"], vertices["color"] = positions, colors
    header = (
        f"ply\nformat binary_little_endian 1.0\nelement vertex {len(positions)}\n"
        "property float x\nproperty float y\nproperty float z\n"
        "property uchar red\nproperty uchar green\nproperty uchar blue\nend_header\n"
    )
    write_bytes(path, header.encode("ascii") + vertices.tobytes())
