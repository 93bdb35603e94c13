"""Solve Cameras: footage without poses becomes a capture, and the capture is imported."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
from bpy.props import BoolProperty, EnumProperty, IntProperty, StringProperty

from ..captures import ImportOptions, import_capture
from ..service.jobs import Emit, JobStarted, follow_job
from ..settings.preferences import server_settings
from .capture import POINT_LIMIT, FolderChooser
from .task_operator import Stopped, Work, connect_and_tell
from .train import JobControl

LENSES = (
    ("auto", "Automatic", "Radial distortion of one term, which holds for most lenses"),
    ("pinhole", "Pinhole", "No distortion, as of footage that was undistorted before"),
    ("simple_radial", "Simple Radial", "Radial distortion of one term"),
    ("radial", "Radial", "Radial distortion of two terms"),
    ("opencv", "OpenCV", "Radial and tangential distortion, focal lengths along both axes"),
    ("opencv_fisheye", "Fisheye", "A fisheye lens with four terms"),
)
INTRINSICS = (
    ("auto", "Automatic", "Shared where all pictures have one size, but for several moving cameras"),
    ("shared", "Shared", "All pictures were taken with one lens and zoom"),
    ("separate", "Separate", "Each photo or camera has a lens and zoom of its own"),
)
MOTIONS = (
    ("auto", "Automatic", "Frames of each video are compared to find out whether its camera moved"),
    ("fixed", "Fixed", "Each video was filmed from a tripod"),
    ("moving", "Moving", "The cameras moved while they filmed"),
)
CLOCKS = (
    ("none", "Together", "The cameras were started together, or nothing moves"),
    ("timecode", "Timecode", "By the timecode in the videos"),
    ("audio", "Sound", "By what the cameras heard: to parts of a frame"),
    ("flash", "Flash", "By a flash of light, or a lamp that goes on, that all cameras see"),
    ("picture", "Picture", "By what changes in the pictures: to about half a frame"),
)


class NEURALRENDER_OT_solve_cameras(FolderChooser, bpy.types.Operator):
    """Find the cameras' poses and lenses from photos, a moving video or videos of several cameras. Writes a
    capture, and imports it"""

    bl_idname = "neural_render.solve_cameras"
    bl_label = "Solve Cameras"
    bl_options = {"REGISTER", "UNDO"}
    task_name = "solve"
    passed_on = (
        "filepath",
        "folder",
        "motion",
        "intrinsics",
        "lens",
        "synchronise",
        "frames",
        "picture_size",
        "use_clips",
        "set_scene",
    )

    filepath: StringProperty(
        name="Footage",
        description="A folder of photos, of a video or a folder of frames for each camera; or one video",
        subtype="FILE_PATH",
    )
    folder: StringProperty(
        name="Capture Folder",
        description="Where the capture is written; empty is FOOTAGE.capture beside the footage",
        subtype="DIR_PATH",
    )
    motion: EnumProperty(
        name="Cameras", description="Whether the cameras of the videos stood still", items=MOTIONS
    )
    intrinsics: EnumProperty(
        name="Intrinsics", description="Which pictures share focal length and distortion", items=INTRINSICS
    )
    lens: EnumProperty(name="Lens", description="The model of the lens' distortion", items=LENSES)
    synchronise: EnumProperty(
        name="Synchronise", description="How fixed cameras are put on one clock", items=CLOCKS
    )
    frames: IntProperty(
        name="Frames", description="Sharp frames to choose from a moving video", default=60, min=2, max=2000
    )
    picture_size: IntProperty(
        name="Picture Size",
        description="Longest side at which features are looked for; smaller is quicker, larger finer",
        default=1600,
        min=100,
        max=16384,
        subtype="PIXEL",
    )
    use_clips: BoolProperty(
        name="Clips", description="Show each camera's clip as its background", default=True
    )
    set_scene: BoolProperty(
        name="Set Scene",
        description="Give the scene the capture's frame range, frame rate and picture size",
    )
    is_chosen: BoolProperty(options={"HIDDEN", "SKIP_SAVE"})

    def prepare(self, context: bpy.types.Context) -> Work:
        footage = Path(self.chosen_path())
        out = Path(bpy.path.abspath(self.folder)) if self.folder else capture_folder(footage)
        params = {
            "footage": str(footage),
            "out": str(out),
            "motion": self.motion,
            "intrinsics": self.intrinsics,
            "lens": self.lens,
            "synchronise": self.synchronise,
            "frames": self.frames,
            "picture_size": self.picture_size,
        }
        settings = server_settings(context)

        def work(emit: Emit, stopped: Stopped) -> tuple[Any, Any, dict[str, Any]]:
            client = connect_and_tell(settings, emit).client
            job = client.submit("solve", params)
            emit(JobStarted(job.id))
            result = dict(follow_job(client, job.id, emit, stopped).result or {})
            info = client.inspect_capture(result["capture"])
            points = client.capture_points(result["capture"], POINT_LIMIT) if info.points else None
            return info, points, result

        return work

    def finish(self, context: bpy.types.Context, result: Any) -> None:
        info, points, solved = result
        options = ImportOptions(self.use_clips, True, self.set_scene)
        field, warnings = import_capture(context, info, points, options)
        for warning in warnings:
            self.report({"WARNING"}, warning)
        joined, missing = len(solved["registered"]), len(solved["missing"])
        self.report(
            {"INFO"},
            f"{field.name}: {joined} of {joined + missing} joined, reprojection error "
            f"{solved['reprojection_error']:.2f} px, {solved['coverage']:.0%} of the pictures covered",
        )


class NEURALRENDER_OT_solve_cancel(JobControl, bpy.types.Operator):
    """Cancel the solve; what it has finished is kept, and Solve Cameras goes on from there"""

    bl_idname = "neural_render.solve_cancel"
    bl_label = "Cancel Solve"
    task_name, watched, call = "solve_cancel", "solve", "cancel"


def capture_folder(footage: Path) -> Path:
    """``FOOTAGE.capture`` beside the footage, a folder or a file."""
    return footage.with_name(f"{footage.stem if footage.is_file() else footage.name}.capture")


CLASSES = (NEURALRENDER_OT_solve_cameras, NEURALRENDER_OT_solve_cancel)
