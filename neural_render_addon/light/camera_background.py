"""The field behind the scene in camera view, for those who stay in EEVEE, Cycles or solid shading.

The scene camera's background image is the field as it sees it. Handlers only note that something has
changed; a timer, while one waits, looks at what is wanted and hands it to a worker's thread, which renders
coarse first and finer when things stand still (engine/refinement.py). Blender never waits.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import bpy
from bpy.app.handlers import persistent

from ..cameras.camera import evaluated_projection, render_size
from ..composite.layers import COLOR_SPACE
from ..engine.passes import Picture
from ..engine.refinement import Refinement
from ..engine.views import View, look, sample_fields
from ..engine.worker import PictureWorker
from ..errors import AddonError, CameraError
from ..settings.preferences import server_settings

# Custom properties: on the image, the scene's name; on a camera, that its backgrounds were switched off.
SCENE_KEY = "neural_render_background_of"
BEFORE_KEY = "neural_render_background_before"
IMAGE_NAME = "Field Background"
# Seconds between two looks while a picture is on its way, and while nothing happens.
TICK, REST = 0.02, 0.2
STOP_TIMEOUT = 5.0

_preview: BackgroundPreview | None = None


class BackgroundPreview:
    """Keeps a scene's background picture up to date; ``poll`` is its only step, in Blender's own thread."""

    def __init__(self, scene: bpy.types.Scene, tell: Callable[[str], None]) -> None:
        self.scene_name = scene.name
        self._tell = tell
        self._refinement: Refinement[View] = Refinement()
        self._worker = PictureWorker(self._refinement.is_dropped)
        self.has_changed = True

    @property
    def is_busy(self) -> bool:
        """Whether a finer or newer picture than the one shown is to come."""
        return self.has_changed or self._refinement.is_busy

    def poll(self, context: bpy.types.Context) -> bool:
        """Show what has come and order what is wanted; False where there is nothing to keep up any more."""
        scene = bpy.data.scenes.get(self.scene_name)
        if scene is None or find_image(scene) is None:
            return False
        if context.scene != scene or bpy.app.is_job_running("RENDER"):
            return True
        now = time.perf_counter()
        if self.has_changed:
            self.has_changed = False
            self._look(context, scene, now)
        while (outcome := self._worker.take()) is not None:
            if outcome.picture is not None:
                self._refinement.deliver(outcome.order, outcome.seconds)
                show_picture(scene, outcome.picture)
                self._tell("")
            elif outcome.error:
                self._refinement.fail(now)
                self._tell(outcome.error)
            else:
                self._refinement.drop()
        order = self._refinement.next_order(now)
        if order is not None:
            self._worker.give(order, server_settings(context))
        return True

    def stop(self) -> None:
        self._worker.stop()

    def join(self) -> None:
        self._worker.join(STOP_TIMEOUT)

    def _look(self, context: bpy.types.Context, scene: bpy.types.Scene, now: float) -> None:
        try:
            self._refinement.want(camera_view(context, scene), render_size(scene.render), now)
            place_image(scene)
        except AddonError as error:
            self._tell(str(error))


def camera_view(context: bpy.types.Context, scene: bpy.types.Scene) -> View:
    """What the scene's camera sees of the fields at this frame.

    Raises:
        AddonError: there is no camera or no field, or one that cannot be expressed.
    """
    if scene.camera is None:
        raise CameraError("The scene has no camera; add one, or make one the active camera")
    depsgraph = context.evaluated_depsgraph_get()
    aspect = scene.render.pixel_aspect_x, scene.render.pixel_aspect_y
    projection = evaluated_projection(scene.camera, depsgraph, *render_size(scene.render), aspect)
    return look(sample_fields(depsgraph), projection, scene.camera.evaluated_get(depsgraph).matrix_world)


# The image and its place in the camera


def find_image(scene: bpy.types.Scene) -> bpy.types.Image | None:
    return next((image for image in bpy.data.images if image.get(SCENE_KEY) == scene.name), None)


def place_image(scene: bpy.types.Scene) -> None:
    """Put the scene's background image, made if need be, behind its camera, and behind no other."""
    image = find_image(scene)
    if image is None:
        image = bpy.data.images.new(IMAGE_NAME, 1, 1, alpha=True, float_buffer=True)
        image[SCENE_KEY] = scene.name
        image.colorspace_settings.name = COLOR_SPACE
        image.alpha_mode = "PREMUL"
        image.use_view_as_render = True  # through the scene's view transform, as a render
    camera = scene.camera.data
    if any(slot.image == image for slot in camera.background_images):
        return
    _take_out(image)
    slot = camera.background_images.new()
    slot.image = image
    slot.alpha, slot.display_depth, slot.frame_method = 1.0, "BACK", "STRETCH"
    if not camera.show_background_images:
        camera.show_background_images = True
        camera[BEFORE_KEY] = False


def show_picture(scene: bpy.types.Scene, picture: Picture) -> None:
    """Write ``picture`` (H, W, 4), premultiplied linear, rows from the bottom, into the image."""
    image = find_image(scene)
    if image is None:
        return
    height, width, _ = picture.shape
    if tuple(image.size) != (width, height):
        image.scale(width, height)
    image.pixels.foreach_set(picture.ravel())
    image.update()
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type == "VIEW_3D":
                area.tag_redraw()


def remove_image(scene: bpy.types.Scene) -> None:
    """Take the image out of the cameras, which are as they were before, and delete it."""
    image = find_image(scene)
    if image is not None:
        _take_out(image)
        bpy.data.images.remove(image)


def _take_out(image: bpy.types.Image) -> None:
    for camera in bpy.data.cameras:
        slots = [slot for slot in camera.background_images if slot.image == image]
        for slot in slots:
            camera.background_images.remove(slot)
        if slots and BEFORE_KEY in camera:
            camera.show_background_images = bool(camera[BEFORE_KEY])
            del camera[BEFORE_KEY]


# On and off


def start(context: bpy.types.Context) -> BackgroundPreview:
    """Watch over the context's scene from now on; another scene's preview stands still then."""
    global _preview
    stop()
    scene_task = context.window_manager.neural_render.task("background")
    scene_task.error = ""
    _preview = BackgroundPreview(context.scene, _tell)
    for handlers in (bpy.app.handlers.depsgraph_update_post, bpy.app.handlers.frame_change_post):
        handlers.append(_note_change)
    if not bpy.app.background:  # timers never fire there: whoever started it polls
        bpy.app.timers.register(_tick, first_interval=TICK)
    return _preview


def stop() -> None:
    """End the thread, the timer and the handlers; the image stays."""
    global _preview
    if _preview is not None:
        _preview.stop()
        _preview.join()
        _preview = None
    for handlers in (bpy.app.handlers.depsgraph_update_post, bpy.app.handlers.frame_change_post):
        if _note_change in handlers:
            handlers.remove(_note_change)
    if bpy.app.timers.is_registered(_tick):
        bpy.app.timers.unregister(_tick)


def is_on(scene: bpy.types.Scene) -> bool:
    return _preview is not None and _preview.scene_name == scene.name and find_image(scene) is not None


def _tell(message: str) -> None:
    task = bpy.context.window_manager.neural_render.task("background")
    if task.error != message:
        task.error = message


@persistent  # type: ignore[untyped-decorator]
def _note_change(*_: object) -> None:
    if _preview is not None:
        _preview.has_changed = True


def _tick() -> float | None:
    if _preview is None or not _preview.poll(bpy.context):
        stop()
        return None
    return TICK if _preview.is_busy else REST


@persistent  # type: ignore[untyped-decorator]
def _resume(*_: object) -> None:
    """A file was opened: its preview goes on where it was saved."""
    stop()
    if not bpy.app.background and find_image(bpy.context.scene) is not None:
        start(bpy.context)


def register() -> None:
    bpy.app.handlers.load_post.append(_resume)


def unregister() -> None:
    stop()
    bpy.app.handlers.load_post.remove(_resume)
