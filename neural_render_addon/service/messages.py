"""What the server's answers hold, as typed records. No ``bpy``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from ..cameras.projections import Projection


@dataclass(frozen=True)
class Health:
    """A running server; memory in bytes."""

    name: str
    version: str
    api_version: int
    device: str
    device_name: str
    memory_total: int
    memory_available: int
    memory_server: int
    pid: int
    jobs_queued: int
    jobs_running: int

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Health:
        memory, jobs = data.get("memory") or {}, data.get("jobs") or {}
        return Health(
            name=str(data["name"]),
            version=str(data["version"]),
            api_version=int(data["api_version"]),
            device=str(data["device"]),
            device_name=str(data.get("device_name") or data["device"]),
            memory_total=int(memory.get("total") or 0),
            memory_available=int(memory.get("available") or 0),
            memory_server=int(memory.get("server") or 0),
            pid=int(data["pid"]),
            jobs_queued=int(jobs.get("queued") or 0),
            jobs_running=int(jobs.get("running") or 0),
        )


@dataclass(frozen=True)
class MethodInfo:
    """A training method and its presets."""

    name: str
    label: str
    description: str
    presets: tuple[str, ...]
    default_preset: str

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> MethodInfo:
        presets = tuple(str(preset) for preset in data.get("presets", ()))
        return MethodInfo(
            name=str(data["name"]),
            label=str(data.get("label") or data["name"]),
            description=str(data.get("description") or ""),
            presets=presets,
            default_preset=str(data.get("default_preset") or (presets[0] if presets else "")),
        )


@dataclass(frozen=True)
class Clip:
    """Where a camera's pictures lie: ``kind`` is ``video``, ``sequence`` or ``image``.

    Frame ``numbers[k]`` was taken at ``times[k]`` seconds of the capture. A video's frames count from 0,
    those of a sequence as their files are numbered.
    """

    kind: str
    path: str
    numbers: tuple[int, ...] = ()
    times: tuple[float, ...] = ()

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Clip:
        return Clip(
            kind=str(data["kind"]),
            path=str(data["path"]),
            numbers=tuple(int(number) for number in data.get("numbers") or ()),
            times=tuple(float(time) for time in data.get("times") or ()),
        )


@dataclass(frozen=True, eq=False)
class CaptureCamera:
    """One camera of a capture; ``camera_to_world`` (4, 4) in capture coordinates, OpenGL axes."""

    name: str
    pinhole: Projection
    camera_to_world: npt.NDArray[np.float64]
    clip: Clip | None
    is_test: bool
    times: tuple[float, ...]
    is_distorted: bool

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> CaptureCamera:
        source = data.get("source")
        return CaptureCamera(
            name=str(data.get("name") or "camera"),
            pinhole=Projection(
                width=int(data["w"]),
                height=int(data["h"]),
                fl_x=float(data["fl_x"]),
                fl_y=float(data["fl_y"]),
                cx=float(data["cx"]),
                cy=float(data["cy"]),
            ),
            camera_to_world=np.array(data["transform_matrix"], dtype=np.float64),
            clip=Clip.from_json(source) if source else None,
            is_test=bool(data.get("is_test")),
            times=tuple(float(time) for time in data.get("times") or ()),
            # The server names a lens model only where it is no pinhole.
            is_distorted=data.get("camera_model", "PINHOLE") != "PINHOLE",
        )


@dataclass(frozen=True)
class CaptureInfo:
    """A capture as the server reads it; ``times`` in seconds, ``training_memory`` and ``_disk`` in bytes.

    ``readouts`` are the seconds, by camera, in which a rolling shutter reads a picture out.
    """

    name: str
    path: str
    format: str
    fps: float | None
    is_dynamic: bool
    times: tuple[float, ...]
    duration: float
    cameras: tuple[CaptureCamera, ...]
    points: int
    bounds: tuple[tuple[float, ...], tuple[float, ...]] | None
    warnings: tuple[str, ...]
    readouts: Mapping[str, float] = field(default_factory=dict)
    training_memory: int = 0
    training_disk: int = 0

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> CaptureInfo:
        bounds, needs = data.get("bounds"), data.get("needs") or {}
        return CaptureInfo(
            name=str(data["name"]),
            path=str(data["path"]),
            format=str(data["format"]),
            fps=float(data["fps"]) if data.get("fps") else None,
            is_dynamic=bool(data.get("is_dynamic")),
            times=tuple(float(time) for time in data.get("times") or ()),
            duration=float(data.get("duration") or 0.0),
            cameras=tuple(CaptureCamera.from_json(entry) for entry in data["cameras"]),
            points=int(data.get("points") or 0),
            bounds=(tuple(bounds["min"]), tuple(bounds["max"])) if bounds else None,
            warnings=tuple(str(warning) for warning in data.get("warnings") or ()),
            readouts={str(name): float(own["seconds"]) for name, own in (data.get("readouts") or {}).items()},
            training_memory=int(needs.get("memory") or 0),
            training_disk=int(needs.get("disk") or 0),
        )


@dataclass(frozen=True)
class Job:
    """Work in the server's queue; ``time_left`` in seconds where it is known, ``created`` Unix seconds.

    Of the queued jobs of a kind the one of the highest ``priority`` is next.
    """

    FINAL_STATES: ClassVar[frozenset[str]] = frozenset({"done", "failed", "cancelled"})

    id: str
    kind: str
    state: str
    params: Mapping[str, Any]
    progress: float
    time_left: float | None
    message: str
    metrics: Mapping[str, Any]
    result: Mapping[str, Any] | None
    error: str
    priority: int
    created: float
    raw: dict[str, Any] = field(repr=False)

    @property
    def is_final(self) -> bool:
        return self.state in self.FINAL_STATES

    @staticmethod
    def from_json(data: dict[str, Any]) -> Job:
        time_left = data.get("time_left")
        return Job(
            id=str(data["id"]),
            kind=str(data["kind"]),
            state=str(data["state"]),
            params=data.get("params") or {},
            progress=float(data.get("progress") or 0.0),
            time_left=None if time_left is None else float(time_left),
            message=str(data.get("message") or ""),
            metrics=data.get("metrics") or {},
            result=data.get("result"),
            error=str((data.get("error") or {}).get("message", "")),
            priority=int(data.get("priority") or 0),
            created=float(data.get("created") or 0.0),
            raw=data,
        )


@dataclass(frozen=True)
class Event:
    """One server-sent event of a job; ``kind`` is state, progress, metrics, message, preview or frame."""

    kind: str
    data: dict[str, Any]
    id: str = ""


@dataclass(frozen=True, eq=False)
class RenderedPlanes:
    """A rendered frame's passes by name, each (height, width, channels), rows from the top."""

    planes: dict[str, npt.NDArray[Any]]
    seconds: float

    @staticmethod
    def from_bytes(content: bytes, headers: Mapping[str, str]) -> RenderedPlanes:
        """Split the raw answer of ``POST /v1/render`` without copying it."""
        width, height = int(headers["X-Neural-Render-Width"]), int(headers["X-Neural-Render-Height"])
        dtype = np.dtype(headers["X-Neural-Render-Dtype"]).newbyteorder("<")
        planes: dict[str, npt.NDArray[Any]] = {}
        offset = 0
        for entry in headers["X-Neural-Render-Planes"].split(","):
            name, _, channels = entry.strip().partition(":")
            count = width * height * int(channels)
            planes[name] = np.frombuffer(content, dtype, count, offset).reshape(height, width, int(channels))
            offset += count * dtype.itemsize
        return RenderedPlanes(planes, float(headers.get("X-Neural-Render-Seconds") or 0.0))


@dataclass(frozen=True)
class CacheUse:
    """The frames that the server keeps, in the folder ``path`` on its machine."""

    path: str
    bytes: int
    frames: int

    @staticmethod
    def from_json(data: dict[str, Any]) -> CacheUse:
        return CacheUse(str(data["path"]), int(data["bytes"]), int(data["frames"]))
