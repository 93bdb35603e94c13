"""The viewport's rendered shading: what it looks at goes to the worker, what comes back is drawn."""

from __future__ import annotations

import time
import weakref

import bpy
import gpu
import numpy as np
from gpu_extras.presets import draw_texture_2d

from ..cameras.projections import Projection, projection_from_matrix
from ..errors import AddonError
from ..service.server_process import ServerSettings
from ..settings.preferences import server_settings
from .passes import FloatArray, Picture
from .refinement import Order, Refinement
from .views import PlacedField, View, look, sample_fields
from .worker import Outcome, PictureWorker

# Seconds between two looks at the worker: a picture waits no longer than half a frame of the screen.
TICK = 0.008
# Seconds that a redraw waits for its own coarse picture: picture and overlays then move together, and a
# redraw, which can cost more than the picture, is saved. A little more than a coarse picture should take.
DRAW_WAIT = 0.12
# How long unregistering waits for a worker that is in the middle of a band.
STOP_TIMEOUT = 5.0

_viewports: weakref.WeakSet[Viewport] = weakref.WeakSet()


class Viewport:
    """One 3D viewport in rendered shading. Blender makes an engine for each; this is its other half."""

    def __init__(self, engine: bpy.types.RenderEngine) -> None:
        self._engine = weakref.ref(engine)
        self._refinement: Refinement[View] = Refinement()
        self._worker = PictureWorker(self._refinement.is_dropped)
        self._fields: tuple[PlacedField, ...] = ()
        self._settings: ServerSettings | None = None
        self._message = ""
        self._picture: Picture | None = None
        self._texture: gpu.types.GPUTexture | None = None
        _viewports.add(self)

    def update(self, context: bpy.types.Context, depsgraph: bpy.types.Depsgraph) -> None:
        """Take up what has changed in the scene."""
        self._settings = server_settings(context)
        try:
            self._fields = sample_fields(depsgraph)
            self._tell("")
        except AddonError as error:
            self._fields = ()
            self._texture = self._picture = None
            self._tell(str(error))

    def draw(self, context: bpy.types.Context, depsgraph: bpy.types.Depsgraph) -> None:
        """Draw the newest picture over the region, and order the one that belongs there."""
        region = context.region
        size = region.width, region.height
        if self._fields:
            projection, camera_to_world = region_camera(context.region_data, *size)
            now = time.perf_counter()
            self._refinement.want(look(self._fields, projection, camera_to_world), size, now)
            order = self._order(now)
            if order is not None and order.is_coarse:
                self._take(self._worker.take(DRAW_WAIT))
            _watch()
        if self._picture is not None:
            self._texture = texture_of(self._picture)
            self._picture = None
        engine = self._engine()
        if self._texture is None or engine is None:
            return
        gpu.state.blend_set("ALPHA_PREMULT")
        # Scene-linear colour goes in: Blender gives the viewport the scene's view transform.
        engine.bind_display_space_shader(depsgraph.scene)
        draw_texture_2d(self._texture, (0, 0), *size)
        engine.unbind_display_space_shader()
        gpu.state.blend_set("NONE")

    def poll(self) -> bool:
        """Take up what the worker has done; whether there is more to come. In Blender's own thread."""
        engine = self._engine()
        if engine is None:
            self.stop()
            return False
        while (outcome := self._worker.take()) is not None:
            self._take(outcome)
            engine.tag_redraw()
        self._order(time.perf_counter())
        return self._refinement.is_busy

    def _take(self, outcome: Outcome | None) -> None:
        if outcome is None:
            return
        if outcome.picture is not None:
            self._picture = outcome.picture
            self._refinement.deliver(outcome.order, outcome.seconds)
            self._tell("")
        elif outcome.error:
            self._refinement.fail(time.perf_counter())
            self._tell(outcome.error)
        else:
            self._refinement.drop()

    def stop(self) -> None:
        _viewports.discard(self)
        self._worker.stop()

    def join(self) -> None:
        self._worker.join(STOP_TIMEOUT)

    def _order(self, now: float) -> Order[View] | None:
        if self._settings is None:
            return None
        order = self._refinement.next_order(now)
        if order is not None:
            self._worker.give(order, self._settings)
        return order

    def _tell(self, message: str) -> None:
        """Show a sentence in the viewport's corner, and put a new one into the info log."""
        engine = self._engine()
        if engine is None or message == self._message:
            return
        self._message = message
        engine.update_stats("", message)
        if message:
            engine.report({"ERROR"}, message)
        engine.tag_redraw()


def region_camera(view: bpy.types.RegionView3D, width: int, height: int) -> tuple[Projection, FloatArray]:
    """The camera of a viewport's region, and its camera-to-world (4, 4): as the overlays are drawn.

    In camera view Blender's matrices have the zoom and offset of the frame in them.
    """
    window = np.array(view.window_matrix, dtype=np.float64)
    camera_to_world = np.linalg.inv(np.array(view.view_matrix, dtype=np.float64))
    projection = projection_from_matrix(window, width, height)
    if projection.model == "ORTHOGRAPHIC":
        # An orthographic view shows what is behind its centre, too: the camera goes back to the near plane.
        near = (window[2, 3] + 1.0) / window[2, 2]
        camera_to_world[:3, 3] -= camera_to_world[:3, 2] * min(near, 0.0)
    return projection, camera_to_world


def texture_of(picture: Picture) -> gpu.types.GPUTexture:
    height, width, _ = picture.shape
    data = gpu.types.Buffer("FLOAT", picture.size, picture.ravel())
    return gpu.types.GPUTexture((width, height), format="RGBA16F", data=data)


def _watch() -> None:
    if not bpy.app.timers.is_registered(_tick):
        bpy.app.timers.register(_tick, first_interval=TICK)


def _tick() -> float | None:
    """Blender's timer while any viewport waits for pictures; it ends by itself."""
    busy = [viewport.poll() for viewport in list(_viewports)]
    return TICK if any(busy) else None


def stop_all() -> None:
    """End all viewports' threads and the timer, for unregistering."""
    viewports = list(_viewports)
    for viewport in viewports:
        viewport.stop()
    for viewport in viewports:
        viewport.join()
    if bpy.app.timers.is_registered(_tick):
        bpy.app.timers.unregister(_tick)
