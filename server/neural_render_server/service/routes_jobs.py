"""Jobs: the queue, their events, previews and finished frames."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Body, Header, Response
from fastapi.responses import FileResponse, StreamingResponse

from .context import Context
from .error_bodies import HttpError
from .jobs import Job
from .mesh_params import MeshParams
from .paths import AllowedPaths
from .render_params import RenderParams
from .schemas import (
    JobAnswer,
    JobRequest,
    Jobs,
    MeshRequest,
    Priority,
    SolveParams,
    SolveRequest,
    TrainParams,
    TrainRequest,
)

_MEDIA_TYPES = {"exr": "image/x-exr", "png": "image/png"}


def job_routes(context: Context) -> APIRouter:
    router = APIRouter(prefix="/jobs", tags=["jobs"])
    supervisor = context.supervisor

    @router.post("", response_model=JobAnswer)
    def submit(request: Annotated[JobRequest, Body()]) -> dict[str, Any]:
        """Queue a training, a rendering, a meshing or a solve; its parameters are checked first."""
        params = request.params.model_dump(mode="json", exclude_unset=True)
        if isinstance(request, TrainRequest):
            check_training(request.params, params, context.paths)
        elif isinstance(request, MeshRequest):
            check_meshing(request.params, context.paths)
        elif isinstance(request, SolveRequest):
            check_solve(request.params, params, context.paths)
        else:
            check_rendering(request.params, context.paths)
        return supervisor.submit(request.kind, params, request.client_id, request.priority).to_json()

    @router.get("", response_model=Jobs)
    def jobs(client_id: str | None = None) -> dict[str, Any]:
        """Every job, oldest first; with ``client_id`` those of one client."""
        return {"jobs": [job.to_json() for job in context.store.all(client_id)]}

    @router.get("/{job_id}", response_model=JobAnswer)
    def job(job_id: str) -> dict[str, Any]:
        return supervisor.get(job_id).to_json()

    @router.post("/{job_id}/cancel", response_model=JobAnswer)
    def cancel(job_id: str) -> dict[str, Any]:
        """End the job within 2 s; what it has finished is kept."""
        return supervisor.cancel(job_id).to_json()

    @router.post("/{job_id}/pause", response_model=JobAnswer)
    def pause(job_id: str) -> dict[str, Any]:
        """Hold the job; a running one keeps its place and its memory."""
        return supervisor.pause(job_id).to_json()

    @router.post("/{job_id}/resume", response_model=JobAnswer)
    def resume(job_id: str) -> dict[str, Any]:
        """Let a paused job run on, or queue a failed or cancelled one again from where it stopped."""
        return supervisor.resume(job_id).to_json()

    @router.post("/{job_id}/priority", response_model=JobAnswer)
    def prioritise(job_id: str, request: Priority) -> dict[str, Any]:
        """Change the job's place in the queue; one that runs is not interrupted."""
        return supervisor.prioritise(job_id, request.priority).to_json()

    @router.delete("/{job_id}", status_code=204)
    def delete(job_id: str) -> Response:
        """Forget a finished job; its files stay."""
        supervisor.delete(job_id)
        return Response(status_code=204)

    @router.get("/{job_id}/events", response_class=StreamingResponse)
    async def events(job_id: str, last_event_id: Annotated[str, Header()] = "0") -> StreamingResponse:
        """Server-sent events: state, progress, metrics, message, preview, frame; from the first, or after
        ``Last-Event-ID``."""
        supervisor.get(job_id)
        if not last_event_id.isdigit():
            raise HttpError(400, "invalid_request", "Last-Event-ID must be the number of an event")
        stream = context.hub.stream(context.store, job_id, int(last_event_id))
        return StreamingResponse(
            stream, media_type="text/event-stream", headers={"cache-control": "no-store"}
        )

    @router.get("/{job_id}/preview", response_class=FileResponse)
    def preview(job_id: str) -> Response:
        """The newest preview image (PNG)."""
        path = supervisor.get(job_id).preview
        if path is None or not Path(path).is_file():
            raise HttpError(404, "not_found", f"job {job_id} has no preview yet; ask again in a few seconds")
        # Read whole: a file that is being replaced would change under a stream.
        return Response(
            Path(path).read_bytes(), media_type="image/png", headers={"cache-control": "no-store"}
        )

    @router.get("/{job_id}/frames/{name}", response_class=FileResponse)
    def frame(job_id: str, name: str) -> FileResponse:
        """A finished frame, by its name in the camera file."""
        path = finished_frame(supervisor.get(job_id), name)
        context.paths.check_links([path], "frame")
        return FileResponse(path, media_type=_MEDIA_TYPES[path.suffix[1:]])

    return router


def check_training(params: TrainParams, given: dict[str, Any], paths: AllowedPaths) -> None:
    """
    Raises:
        NeuralRenderError: what can be told before the training starts.
    """
    from ..methods.registry import get_method, make_config
    from ..training.options import TrainOptions

    paths.check_scene(params.scene)
    if not paths.check_tree(params.capture, "capture").exists():
        raise HttpError(400, "capture", f"{params.capture}: there is no such file or folder; check the path")
    options = TrainOptions.from_json(given)
    make_config(get_method(options.method), options.preset, options.options)


def check_solve(params: SolveParams, given: dict[str, Any], paths: AllowedPaths) -> None:
    """
    Raises:
        NeuralRenderError: what can be told before the solve starts.
    """
    from ..captures.amendments import FILE as AMENDMENTS_FILE
    from ..solving.options import SolveOptions
    from ..solving.solve import check_out
    from ..solving.stages import FOLDER

    SolveOptions.from_json(given)
    if not paths.check_tree(params.footage, "footage").exists():
        raise HttpError(400, "solve", f"{params.footage}: there is no such file or folder; check the path")
    out = paths.check(params.out, "out")
    paths.check_links([out / FOLDER, out / AMENDMENTS_FILE], "out")
    check_out(out)  # what is no solve's, however large, is not looked through
    paths.check_tree(params.out, "out")


def check_rendering(params: RenderParams, paths: AllowedPaths) -> None:
    """
    Raises:
        NeuralRenderError: what can be told before the rendering starts.
    """
    out = paths.check(params.out, "out")
    if isinstance(params.cameras, str):
        paths.check(params.cameras, "cameras")
    cameras = params.camera_path()
    paths.check_frames(cameras)
    paths.check_links((out / f"{frame.name}.{params.format}" for frame in cameras.frames), "out")
    params.options()
    paths.check_scene(params.scene).read_info()


def check_meshing(params: MeshParams, paths: AllowedPaths) -> None:
    """
    Raises:
        NeuralRenderError: what can be told before the meshing starts.
    """
    paths.check(params.out, "out")
    params.options()
    paths.check_scene(params.scene).read_info()


def finished_frame(job: Job, name: str) -> Path:
    """The file of a frame that ``job`` has finished, named with or without its suffix.

    Raises:
        HttpError: 404, there is none (yet), or ``name`` would leave the job's folder.
    """
    missing = HttpError(404, "not_found", f"job {job.id} has finished no frame {name!r}")
    if job.kind != "render" or job.started is None or re.search(r"[/\\:\0]", name):
        raise missing
    suffix = f".{job.params.get('format', 'exr')}"
    path = Path(str(job.params["out"]), name.removesuffix(suffix) + suffix)
    if not path.is_file():
        raise missing
    # An older file of this name counts only where the job keeps the frames that exist.
    if job.params.get("overwrite", True) and path.stat().st_mtime < job.started:
        raise missing
    return path
