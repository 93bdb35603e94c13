"""The bodies of requests and answers, as the OpenAPI description tells them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from ..solving.options import CameraMotion, Intrinsics, Lens, Mapper, Matching, Synchronise
from .jobs import JobKind, JobState
from .mesh_params import MeshParams
from .render_params import CROP, SAMPLES, SEED, RenderParams

# Above it is sooner; the bounds only keep it small.
PRIORITY: Any = Field(default=0, ge=-100, le=100, description="Higher ones of a kind come first; 0 is usual.")


class Request(BaseModel):
    """A request's body: an unknown name is a mistake and is told."""

    model_config = ConfigDict(extra="forbid")


class Error(BaseModel):
    code: str
    message: str = Field(description="One sentence with the remedy.")


class ErrorAnswer(BaseModel):
    error: Error


# What any call may answer beside its own; docs/api.md tells when.
ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorAnswer} for status in (400, 401, 403, 404, 405, 409, 413, 421, 422, 500, 503)
}


class Memory(BaseModel):
    """Bytes."""

    total: int
    available: int
    server: int = Field(description="Resident memory of the server and its workers.")


class JobCounts(BaseModel):
    queued: int
    running: int


class Health(BaseModel):
    name: str
    version: str
    api_version: int
    device: str = Field(description="cpu or cuda; 'unknown' in the first seconds, while it is found out.")
    device_name: str
    memory: Memory
    pid: int
    jobs: JobCounts


class Methods(BaseModel):
    methods: list[dict[str, Any]] = Field(
        description="Each: name, label, description, presets, default_preset, config_schema."
    )


class InspectCapture(Request):
    path: str = Field(description="The capture's folder or transforms.json, an absolute path.")
    downscale: float | None = Field(default=None, ge=1, description="Answer the cameras at this size.")
    test_cameras: list[str] | None = None
    every_nth_test: int | None = None
    test_timesteps: list[int] | None = None
    timesteps: tuple[int, int] | None = Field(default=None, description="First and last + 1.")


class CapturePoints(Request):
    path: str
    limit: int = Field(default=100_000, ge=1, le=5_000_000)


class Points(BaseModel):
    count: int
    positions: str = Field(description="base64 of float32 (N, 3), capture coordinates.")
    colors: str = Field(description="base64 of uint8 (N, 3), sRGB.")


class AlignCapture(Request):
    path: str = Field(description="The capture's folder, an absolute path.")
    matrix: list[list[float]] = Field(
        description="4x4: rotation, one scale and translation that the capture's coordinates are moved by."
    )


class Aligned(BaseModel):
    alignment: list[list[float]] = Field(description="4x4, from the files' coordinates.")


class CaptureReadout(Request):
    path: str = Field(description="The capture's folder, an absolute path.")
    seconds: float = Field(
        description="In which a rolling shutter reads a picture out, at most 0.5; 0 is a global shutter."
    )
    direction: Literal["down", "up", "left", "right"] = Field(
        default="down", description="Towards which side, of the picture as it is shown upright."
    )
    cameras: list[str] | None = Field(default=None, description="Names of cameras; none means all.")


class Readouts(BaseModel):
    readouts: dict[str, dict[str, Any]] = Field(
        description="Of each camera that has a rolling shutter, {seconds, direction}."
    )


class InspectScene(Request):
    path: str = Field(description="The scene folder, an absolute path.")


class TrainParams(Request):
    """A training; see ``neural-render train --help``. At most one of minutes, steps, cpu_seconds."""

    capture: str = Field(description="Absolute path.")
    scene: str = Field(description="The scene folder to write, an absolute path.")
    method: str | None = None
    preset: str | None = None
    options: dict[str, Any] | None = Field(default=None, description="Overrides of the method's config.")
    minutes: float | None = None
    steps: int | None = None
    cpu_seconds: float | None = None
    seed: int | None = None
    downscale: float | None = None
    test_cameras: list[str] | None = None
    every_nth_test: int | None = None
    test_timesteps: list[int] | None = None
    timesteps: tuple[int, int] | None = None
    match_colors: bool | None = Field(
        default=None, description="Take out how the cameras differ in exposure, white balance, vignetting."
    )
    color_reference: str | None = Field(default=None, description="The camera whose colours count.")
    transfer: str | None = Field(default=None, description="How log video was recorded: slog3, vlog, ...")
    resume: bool | None = None
    overwrite: bool | None = None
    device: str | None = None


class TrainRequest(Request):
    kind: Literal["train"]
    params: TrainParams
    client_id: str | None = Field(default=None, description="Any name; GET /v1/jobs can list by it.")
    priority: int = PRIORITY


class SolveParams(Request):
    """A solve of cameras from footage; see ``neural-render capture solve --help``."""

    footage: str = Field(description="A folder of photos or videos, or a video; an absolute path.")
    out: str = Field(description="The capture folder to write, an absolute path.")
    motion: CameraMotion | None = None
    intrinsics: Intrinsics | None = None
    lens: Lens | None = None
    matching: Matching | None = None
    mapper: Mapper | None = None
    frames: int | None = Field(default=None, description="Sharp frames to choose from a moving video.")
    picture_size: int | None = Field(default=None, description="Longest side for features, in pixels.")
    features: int | None = Field(default=None, description="Most features a picture.")
    synchronise: Synchronise | None = None


class SolveRequest(Request):
    kind: Literal["solve"]
    params: SolveParams
    client_id: str | None = Field(default=None, description="Any name; GET /v1/jobs can list by it.")
    priority: int = PRIORITY


class RenderRequest(Request):
    kind: Literal["render"]
    params: RenderParams
    client_id: str | None = Field(default=None, description="Any name; GET /v1/jobs can list by it.")
    priority: int = PRIORITY


class MeshRequest(Request):
    kind: Literal["mesh"]
    params: MeshParams
    client_id: str | None = Field(default=None, description="Any name; GET /v1/jobs can list by it.")
    priority: int = PRIORITY


JobRequest = Annotated[TrainRequest | RenderRequest | MeshRequest | SolveRequest, Field(discriminator="kind")]


class JobAnswer(BaseModel):
    id: str
    kind: JobKind
    params: dict[str, Any]
    state: JobState
    progress: float = Field(description="0 to 1.")
    time_left: float | None = Field(description="Seconds.")
    message: str
    metrics: dict[str, Any]
    result: dict[str, Any] | None
    error: dict[str, Any] | None = Field(description="code, message and, of a dead worker, detail.")
    created: float = Field(description="Unix seconds, as the next two.")
    started: float | None
    finished: float | None
    priority: int


class Priority(Request):
    priority: int = PRIORITY


class Jobs(BaseModel):
    jobs: list[JobAnswer]


class RenderFrame(Request):
    scene: str = Field(description="The scene folder, an absolute path.")
    camera: dict[str, Any] = Field(description="An entry of a camera file's frames, with w and h.")
    time: float = Field(default=0.0, description="Seconds from the capture's start.")
    passes: list[str] = Field(
        default=["combined", "depth"],
        description="Of combined, depth, motion, mattes, front, behind; the last two need the camera's "
        "split_depth.",
    )
    format: Literal["raw", "exr", "png"] = "raw"
    dtype: Literal["float16", "float32"] = "float16"
    crop: list[dict[str, Any]] | dict[str, Any] | None = CROP
    background: Literal["transparent", "field"] = "transparent"
    samples: int = SAMPLES
    seed: int = SEED


class CacheUse(BaseModel):
    path: str = Field(description="The folder they are in.")
    bytes: int
    frames: int


class Client(Request):
    pid: int = Field(gt=0)


class Accepted(BaseModel):
    message: str
