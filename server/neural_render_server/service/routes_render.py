"""One frame at once."""

from __future__ import annotations

from fastapi import APIRouter, Response

from .context import Context
from .schemas import RenderFrame


def render_routes(context: Context) -> APIRouter:
    router = APIRouter(tags=["frames"])

    @router.post("/render", response_class=Response)
    def render(request: RenderFrame) -> Response:
        """Render one camera at one time. ``raw``: the planes in the order of ``passes``, rows from the
        top, channels interleaved, little-endian; the ``X-Neural-Render-*`` headers tell size, type and
        planes."""
        context.paths.check(request.scene, "scene")
        frame = context.frames.render(request, context.paths)
        return Response(frame.body, media_type=frame.media_type, headers=frame.headers)

    return router
