"""Set Rolling Shutter: how long the cameras of a capture take to read a picture out, kept in the capture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
from bpy.props import BoolProperty, EnumProperty, FloatProperty

from ..captures import describe_capture, field_cameras
from ..errors import AddonError
from ..fields import chosen_field, field_named
from ..service.jobs import Emit
from ..settings.preferences import server_settings
from .capture import AskingFirst
from .task_operator import Stopped, Work, connect_and_tell

DIRECTIONS = (
    ("down", "Down", "From the top row to the bottom one, as most cameras do"),
    ("up", "Up", "From the bottom row to the top one: a camera upside down"),
    ("right", "Right", "From the left to the right: a camera on its side"),
    ("left", "Left", "From the right to the left: a camera on its other side"),
)


class NEURALRENDER_OT_set_readout(AskingFirst, bpy.types.Operator):
    """Tell how long the cameras' rolling shutters take, which then no longer shear what moves: training takes
    every row at its own time. Kept in the capture; undo does not take it back"""

    bl_idname = "neural_render.set_readout"
    bl_label = "Set Rolling Shutter"
    task_name = "readout"
    passed_on = ("readout", "direction", "only_selected")

    readout: FloatProperty(
        name="Readout",
        description="Time from a picture's first row to its last: 5 to 30 ms for most cameras, told in tests "
        "of the camera. 0 is a global shutter",
        default=0.0,
        min=0.0,
        max=0.5,
        step=1,
        precision=4,
        unit="TIME_ABSOLUTE",
    )
    direction: EnumProperty(
        name="Direction", description="Way of the rows, as the picture is shown upright", items=DIRECTIONS
    )
    only_selected: BoolProperty(
        name="Only Selected", description="Set it for the selected cameras of the field only, instead of all"
    )
    is_chosen: BoolProperty(options={"HIDDEN", "SKIP_SAVE"})

    def prepare(self, context: bpy.types.Context) -> Work:
        field = chosen_field(context)
        path = field.neural_render.capture_path
        if not path:
            raise AddonError(f"{field.name!r} has no capture; set its path in the Capture panel")
        cameras = None
        if self.only_selected:
            cameras = [
                camera.neural_render.camera_name for camera in field_cameras(field) if camera.select_get()
            ]
            if not cameras:
                raise AddonError(f"No camera of {field.name!r} is selected; select some, or set it for all")
        # A name, not the object: undo replaces objects while the server works.
        self.field_name = field.name
        capture, seconds, direction = str(Path(bpy.path.abspath(path))), self.readout, self.direction
        settings = server_settings(context)

        def work(emit: Emit, stopped: Stopped) -> Any:
            client = connect_and_tell(settings, emit).client
            client.set_readout(capture, seconds, direction, cameras)
            return client.inspect_capture(capture)

        return work

    def finish(self, context: bpy.types.Context, result: Any) -> None:
        field = field_named(self.field_name)
        describe_capture(field, result, int(field.neural_render.frame_start))
        count = len(result.readouts)
        self.report({"INFO"}, f"{self.field_name}: {count} camera{'s' * (count != 1)} with a rolling shutter")


CLASSES = (NEURALRENDER_OT_set_readout,)
