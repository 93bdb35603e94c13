"""Show and hide the field as the scene camera's background."""

from __future__ import annotations

import time

import bpy

from ..errors import AddonError
from ..fields import chosen_field, trained_scene
from ..light import camera_background

# Seconds between two looks at the worker, in a script that waits.
WAIT = 0.01


class NEURALRENDER_OT_show_background(bpy.types.Operator):
    """Show the field behind the scene in camera view, up to date with camera and time, in any shading"""

    bl_idname = "neural_render.show_background"
    bl_label = "Show in Camera View"
    bl_options = {"UNDO"}

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        """Blender goes on; the pictures come by themselves."""
        if bpy.app.background:
            return self.execute(context)
        return self._run(context, wait=False)

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Wait for this frame's picture in full size."""
        return self._run(context, wait=True)

    def _run(self, context: bpy.types.Context, wait: bool) -> set[str]:
        try:
            trained_scene(chosen_field(context))
            camera_background.camera_view(context, context.scene)  # tells what is wrong
            camera_background.place_image(context.scene)
            preview = camera_background.start(context)
            error = ""
            while wait and preview.poll(context) and preview.is_busy and not error:
                time.sleep(WAIT)
                error = context.window_manager.neural_render.task("background").error
            if error:
                raise AddonError(error)
        except AddonError as error_:
            camera_background.stop()
            camera_background.remove_image(context.scene)
            self.report({"ERROR"}, str(error_))
            return {"CANCELLED"}
        return {"FINISHED"}


class NEURALRENDER_OT_hide_background(bpy.types.Operator):
    """Take the field out of the camera view; the camera is as it was before"""

    bl_idname = "neural_render.hide_background"
    bl_label = "Hide in Camera View"
    bl_options = {"UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return camera_background.find_image(context.scene) is not None

    def execute(self, context: bpy.types.Context) -> set[str]:
        camera_background.stop()
        camera_background.remove_image(context.scene)
        return {"FINISHED"}


CLASSES = (NEURALRENDER_OT_show_background, NEURALRENDER_OT_hide_background)
