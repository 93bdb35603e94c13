"""One frame at once, and the cache of those that render jobs keep."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response

from ..rendering.frame_cache import FrameCache
from .context import Context
from .schemas import CacheUse, RenderFrame


def render_routes(context: Context) -> APIRouter:
    router = APIRouter(tags=["frames"])

    @router.post("/render", response_class=Response)
    def render(request: RenderFrame) -> Response:
        """Render one camera at one time. ``raw``: the planes in the order of ``passes``, rows from the
        top, channels interleaved, little-endian; the ``X-Neural-Render-*`` headers tell size, type and
        planes."""
        context.paths.check_scene(request.scene)
        frame = context.frames.render(request, context.paths)
        return Response(frame.body, media_type=frame.media_type, headers=frame.headers)

    @router.get("/cache", response_model=CacheUse)
    def cache() -> dict[str, Any]:
        """The frames that render jobs keep to take them again."""
        return _use(FrameCache(context.frame_cache, 0).used(), context)

    @router.delete("/cache", response_model=CacheUse)
    def clear_cache() -> dict[str, Any]:
        """Remove them all; answers what there was."""
        return _use(FrameCache(context.frame_cache, 0).clear(), context)

    return router


def _use(used: tuple[int, int], context: Context) -> dict[str, Any]:
    return {"path": str(context.frame_cache), "bytes": used[0], "frames": used[1]}
