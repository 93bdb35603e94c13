"""Captures and scenes: what is in them."""

from __future__ import annotations

import base64
import dataclasses
from typing import Any

import numpy as np
from fastapi import APIRouter

from .context import Context
from .schemas import (
    AlignCapture,
    Aligned,
    CapturePoints,
    CaptureReadout,
    InspectCapture,
    InspectScene,
    Points,
    Readouts,
)


def capture_routes(context: Context) -> APIRouter:
    allowed = context.paths.check_tree
    router = APIRouter(tags=["captures and scenes"])

    @router.post("/captures/inspect")
    def inspect_capture(request: InspectCapture) -> dict[str, Any]:
        """Cameras, timesteps, splits, bounds and warnings of a capture; no frame is decoded."""
        from ..captures.capture import SplitOptions
        from ..captures.describe import describe
        from ..captures.detect import open_capture

        split = SplitOptions(
            test_cameras=request.test_cameras or (),
            every_nth_test=request.every_nth_test,
            test_timesteps=request.test_timesteps or (),
            timesteps=request.timesteps,
        )
        capture = open_capture(allowed(request.path, "path"), split)
        if request.downscale is not None:
            smaller = [camera.downscaled(request.downscale) for camera in capture.cameras]
            capture = dataclasses.replace(capture, cameras=smaller)
        return describe(capture)

    @router.post("/captures/points", response_model=Points)
    def capture_points(request: CapturePoints) -> dict[str, Any]:
        """The capture's sparse points, at most ``limit`` of them, evenly chosen."""
        from ..captures.detect import open_capture

        points = open_capture(allowed(request.path, "path")).points
        if points is None:
            return {"count": 0, "positions": "", "colors": ""}
        total = len(points.positions)
        chosen = np.linspace(0, total - 1, min(total, request.limit)).round().astype(np.int64)
        positions = np.ascontiguousarray(points.positions[chosen], dtype="<f4")
        colors = np.ascontiguousarray(points.colors[chosen], dtype=np.uint8)
        return {
            "count": len(chosen),
            "positions": base64.b64encode(positions.tobytes()).decode(),
            "colors": base64.b64encode(colors.tobytes()).decode(),
        }

    @router.post("/captures/align", response_model=Aligned)
    def align_capture(request: AlignCapture) -> dict[str, Any]:
        """Turn, scale and move a capture's coordinates; scenes trained before keep theirs."""
        from ..captures.amendments import align
        from ..captures.detect import read_capture

        path = allowed(request.path, "path")
        read_capture(path)  # there is a capture
        return {"alignment": align(path, np.array(request.matrix)).tolist()}

    @router.post("/captures/readout", response_model=Readouts)
    def set_readout(request: CaptureReadout) -> dict[str, Any]:
        """Say how long the rolling shutter of a capture's cameras takes; training then counts with it."""
        from ..captures.amendments import set_readouts
        from ..captures.detect import read_capture
        from ..captures.readout import Readout, readouts_of

        capture = read_capture(allowed(request.path, "path"))
        values = {"seconds": request.seconds, "direction": request.direction}
        readout = Readout.from_json(values, request.path)
        whole = set_readouts(capture, readouts_of(capture, readout, request.cameras))
        return {"readouts": {name: own.to_json() for name, own in whole.items()}}

    @router.post("/scenes/inspect")
    def inspect_scene(request: InspectScene) -> dict[str, Any]:
        """What scene.json says, and the folder's path."""
        scene = context.paths.check_scene(request.path)
        return {**dataclasses.asdict(scene.read_info()), "path": str(scene.path)}

    return router
