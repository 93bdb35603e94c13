"""What the add-on keeps in the .blend: ``Scene.neural_render``, ``Object.neural_render``; and what it
keeps only while Blender runs: ``WindowManager.neural_render``."""

from __future__ import annotations

import bpy
from bpy.props import (
    BoolProperty,
    CollectionProperty,
    EnumProperty,
    FloatProperty,
    FloatVectorProperty,
    IntProperty,
    PointerProperty,
    StringProperty,
)

from ..timing import FieldTiming, TimeMapping
from . import capture as properties_capture
from . import light as properties_light
from . import method_choices
from .edit import CLASSES as EDIT_CLASSES
from .edit import EditProperties, tag_owner, tag_passes
from .progress import WithProgress
from .queue import CLASSES as QUEUE_CLASSES
from .queue import QueuedJob

TIME_MAPPINGS = (
    (TimeMapping.FOLLOW, "Follow Timeline", "The field runs with the timeline and holds at its ends"),
    (TimeMapping.LOOP, "Loop", "As Follow Timeline, but from the last moment on to the first"),
    (TimeMapping.PING_PONG, "Ping-Pong", "As Follow Timeline, but forwards and backwards in turn"),
    (
        TimeMapping.FIELD_TIME,
        "Freeze or Curve",
        "The field shows the moment Field Time: a value freezes it, keyframes make a free curve",
    ),
)

DEVICES = (
    ("auto", "Automatic", "The server's GPU where it has one, else its processor"),
    ("cpu", "CPU", "The server's processor"),
    ("cuda", "CUDA", "The server's NVIDIA GPU"),
)

TRANSFERS = (
    ("AUTO", "As the File Says", "Ordinary video, or HLG or PQ where the file is marked so"),
    ("SLOG3", "S-Log3", "Sony S-Log3 in S-Gamut3.Cine"),
    ("VLOG", "V-Log", "Panasonic V-Log in V-Gamut"),
    ("LOGC3", "LogC3", "ARRI LogC3 in Wide Gamut 3, exposure index 800"),
    ("HLG", "HLG", "Hybrid log-gamma in Rec.2020, in a file that does not say so"),
    ("PQ", "PQ", "Perceptual quantiser in Rec.2020, in a file that does not say so"),
)

STATES = (
    ("UNKNOWN", "Not connected", "Nobody has asked yet"),
    ("STARTING", "Starting", "The server is starting"),
    ("RUNNING", "Running", "The server answers"),
    ("STOPPED", "Stopped", "No server is running"),
)


# Paths below the .blend's own folder may start with ``//``, so that both can be moved together.
RELATIVE = {"PATH_SUPPORTS_BLEND_RELATIVE"}


def is_field(_owner: object, candidate: bpy.types.Object) -> bool:
    """Whether an object carries a radiance field."""
    return bool(candidate.neural_render.is_field)


class FieldProperties(bpy.types.PropertyGroup):
    """A field object: an Empty whose world matrix maps capture coordinates to the scene."""

    is_field: BoolProperty(name="Is Field", description="This object carries a radiance field")
    capture_path: StringProperty(
        name="Capture",
        description="The filmed capture that the field is trained on",
        subtype="FILE_PATH",
        options=RELATIVE,
    )
    scene_path: StringProperty(
        name="Trained Scene",
        description="Folder of the trained field; Train Scene fills it in",
        subtype="DIR_PATH",
        options=RELATIVE,
    )
    duration: FloatProperty(
        name="Duration", description="Length of the capture in seconds", min=0.0, unit="TIME_ABSOLUTE"
    )
    fps: FloatProperty(name="Capture Rate", description="Timesteps a second of the capture", min=0.0)
    camera_name: StringProperty(
        name="Camera", description="Name in its capture of the camera that was imported as this object"
    )
    readout: FloatProperty(
        name="Readout",
        description="Time in which the capture's slowest rolling shutter reads a picture out; 0 if none",
        min=0.0,
        unit="TIME_ABSOLUTE",
    )
    training_memory: FloatProperty(
        name="Training Memory",
        description="Gigabytes of memory that training the capture takes about, at full size; 0 if unknown",
        min=0.0,
    )
    training_disk: FloatProperty(
        name="Training Disk",
        description="Gigabytes of temporary disk space that training the capture takes, at full size",
        min=0.0,
    )
    is_dynamic: BoolProperty(name="Moving", description="The capture has more than one timestep")
    bounds_min: FloatVectorProperty(
        name="Bounds Minimum", description="Lower corner of what was filmed, in capture units", size=3
    )
    bounds_max: FloatVectorProperty(
        name="Bounds Maximum", description="Upper corner of what was filmed, in capture units", size=3
    )
    time_mapping: EnumProperty(
        name="Time",
        description="How the moment that the field shows follows from the scene's frame",
        items=TIME_MAPPINGS,
        update=tag_owner,
    )
    field_time: FloatProperty(
        name="Field Time",
        description="The moment shown, in seconds of the capture; a value freezes, keyframes are a curve",
        unit="TIME_ABSOLUTE",
        update=tag_owner,
    )
    frame_start: FloatProperty(
        name="Start Frame",
        description="Scene frame at which the field's time equals its offset",
        default=1.0,
        update=tag_owner,
    )
    time_offset: FloatProperty(
        name="Time Offset",
        description="Seconds of the capture shown at the start frame",
        unit="TIME_ABSOLUTE",
        update=tag_owner,
    )
    speed: FloatProperty(
        name="Speed",
        description="Speed of the field against the timeline: 0 stops it, -1 plays it backwards",
        default=1.0,
        update=tag_owner,
    )
    render_folder: StringProperty(
        name="Rendered Frames",
        description="Folder of the frames rendered last",
        subtype="DIR_PATH",
        options=RELATIVE,
    )
    render_prefix: StringProperty(
        name="File Prefix", description="Start of the rendered files' names, before the frame number"
    )
    render_start: IntProperty(name="First Frame", description="First scene frame that was rendered")
    render_end: IntProperty(name="Last Frame", description="Last scene frame that was rendered")
    edit: PointerProperty(
        type=EditProperties, name="Edit", description="What of the field is rendered, and how bright"
    )

    @property
    def timing(self) -> FieldTiming:
        return FieldTiming(
            self.frame_start, self.time_offset, self.speed, TimeMapping(self.time_mapping), self.field_time
        )


class TrainProperties(bpy.types.PropertyGroup):
    """Settings of Train Scene."""

    method: EnumProperty(
        name="Method",
        description="How the field is trained; the list comes from the server",
        items=method_choices.method_items,
    )
    preset: EnumProperty(
        name="Preset",
        description="The method's settings: small for a quick look, default, or as published",
        items=method_choices.preset_items,
    )
    budget: EnumProperty(
        name="Train For",
        description="What ends the training",
        items=(
            ("MINUTES", "Minutes", "Train for a time"),
            ("STEPS", "Steps", "Train for a number of optimisation steps"),
        ),
    )
    minutes: FloatProperty(
        name="Minutes",
        description="Training time in minutes; longer is sharper",
        default=2.0,
        min=0.01,
        soft_max=60.0,
    )
    steps: IntProperty(name="Steps", description="Optimisation steps", default=3000, min=1)
    downscale: FloatProperty(
        name="Downscale",
        description="Train on pictures this many times smaller",
        default=1.0,
        min=1.0,
        soft_max=8.0,
    )
    test_cameras: StringProperty(
        name="Test Cameras",
        description=(
            "Cameras to hold out of training and measure against, by name with commas between; "
            "empty keeps the capture's own split"
        ),
    )
    every_nth_test: IntProperty(
        name="Every Nth Test",
        description="Hold out every n-th camera, from the first; 0 keeps the capture's own split",
        default=0,
        min=0,
    )
    match_colors: BoolProperty(
        name="Match Colors",
        description=(
            "Take out of the footage how its cameras differ in exposure, white balance and vignetting, "
            "so that the field has one look"
        ),
        default=True,
    )
    color_reference: StringProperty(
        name="Reference",
        description="Name of the camera whose colors count; empty takes what most cameras show",
    )
    transfer: EnumProperty(
        name="Footage",
        description="How log footage was recorded; HLG, PQ and ordinary video say so themselves",
        items=TRANSFERS,
    )
    use_timesteps: BoolProperty(name="Limit Timesteps", description="Train on part of the capture only")
    timestep_first: IntProperty(
        name="First Timestep", description="First timestep to train on, from 0", min=0
    )
    timestep_end: IntProperty(
        name="End Timestep", description="The timestep before which training ends", default=24, min=1
    )
    seed: IntProperty(
        name="Seed",
        description="Start of the random numbers; the same seed trains the same field on a CPU",
        min=0,
    )
    device: EnumProperty(name="Device", description="Where the server trains", items=DEVICES)
    folder: StringProperty(
        name="Scene Folder",
        description=(
            "Folder for the trained field; empty is a folder named after the field beside the .blend, "
            "in neural_render"
        ),
        subtype="DIR_PATH",
        options=RELATIVE,
    )
    overwrite: BoolProperty(
        name="Overwrite",
        description="Replace a trained field that is already in the folder, once training has started",
    )


class RenderProperties(bpy.types.PropertyGroup):
    """Settings of Render Frames."""

    use_depth: BoolProperty(
        name="Depth", description="Write the depth pass, for merging with computer graphics", default=True
    )
    samples: IntProperty(
        name="Blur Samples",
        description=(
            "Pictures averaged where the camera has depth of field or the scene motion blur; more are "
            "smoother, and take as many times as long"
        ),
        default=32,
        min=1,
        max=4096,
        soft_max=256,
    )
    use_depth_layers: BoolProperty(
        name="Depth Layers Against CG",
        description=(
            "Render the field before and behind the CG as two layers, so that hair, smoke and soft edges "
            "are composited exactly. Needs the CG's depth"
        ),
    )
    cg_depth_folder: StringProperty(
        name="CG Depth",
        description=(
            "Folder of the CG's depth, one EXR a frame with the frame's number at the end of its name; "
            "empty is cg_depth/SCENE in neural_render beside the .blend"
        ),
        subtype="DIR_PATH",
    )
    folder: StringProperty(
        name="Output",
        description="Folder for the frames; empty is frames/FIELD in neural_render beside the .blend",
        subtype="DIR_PATH",
        options=RELATIVE,
    )
    keep_frames: BoolProperty(
        name="Keep Frames",
        description="Do not render again the frames that are already in the folder",
    )
    use_scene_range: BoolProperty(
        name="Scene Range", description="Render the scene's own frame range", default=True
    )
    frame_start: IntProperty(name="Start", description="First scene frame to render", default=1)
    frame_end: IntProperty(name="End", description="Last scene frame to render", default=24)
    frame_step: IntProperty(name="Step", description="Render every n-th frame", default=1, min=1)
    use_mattes: BoolProperty(
        name="Crop Mattes",
        description=(
            "Write a matte for each crop object that does not remove: how much of a pixel's alpha lies in it"
        ),
        update=tag_passes,
    )
    background: EnumProperty(
        name="Background",
        description="What lies behind the field",
        items=(
            ("transparent", "Transparent", "Nothing, with alpha, for compositing"),
            ("field", "Field", "The background colour that was learned"),
        ),
        update=tag_owner,
    )


class SceneProperties(bpy.types.PropertyGroup):
    """``Scene.neural_render``."""

    field: PointerProperty(
        name="Field",
        description="The field object that Train Scene and Render Frames work on",
        type=bpy.types.Object,
        poll=is_field,
    )
    train: PointerProperty(type=TrainProperties, name="Train", description="Settings of Train Scene")
    render: PointerProperty(type=RenderProperties, name="Render", description="Settings of Render Frames")
    capture: PointerProperty(
        type=properties_capture.CaptureProperties,
        name="Capture",
        description="Settings of Render Capture and Capture Tracked Clip",
    )
    proxy: PointerProperty(
        type=properties_light.ProxyProperties, name="Proxy", description="Settings of Make Proxy Mesh"
    )
    probe: PointerProperty(
        type=properties_light.ProbeProperties, name="Probe", description="Settings of Light CG by Field"
    )


class TaskState(WithProgress, bpy.types.PropertyGroup):
    """What the panel shows of one kind of running work. ``name`` is the task's name."""

    is_running: BoolProperty(name="Running", description="The work goes on")
    is_paused: BoolProperty(name="Paused", description="The job waits in the server until it is resumed")
    text: StringProperty(name="Message", description="What is being done")
    error: StringProperty(name="Error", description="Why the last run ended early")
    psnr: FloatProperty(name="PSNR", description="Likeness to the training pictures in dB; 0 where unknown")
    step: IntProperty(name="Step", description="Optimisation steps done")
    job_id: StringProperty(name="Job", description="The job's id in the server")
    frames_done: IntProperty(name="Frames Done", description="Frames that are written")


class FindingState(bpy.types.PropertyGroup):
    """One line of Check Server. ``name`` is what was checked."""

    status: EnumProperty(
        name="Status",
        description="Whether it is as it should be",
        items=(
            ("OK", "Good", "It is as it should be"),
            ("WARNING", "Warning", "The work goes, slower or not all of it"),
            ("ERROR", "Error", "The server cannot work so"),
        ),
    )
    text: StringProperty(name="Found", description="What is there")
    remedy: StringProperty(name="Remedy", description="What to do about it; empty where all is well")


class WindowManagerProperties(bpy.types.PropertyGroup):
    """``WindowManager.neural_render``: what is true only while Blender runs."""

    server_state: EnumProperty(name="Server", description="Whether the server answers", items=STATES)
    server_address: StringProperty(name="Address", description="Host and port of the server")
    server_version: StringProperty(name="Version", description="Version of the server")
    server_device: StringProperty(name="Device", description="What the server trains and renders on")
    server_memory: FloatProperty(name="Memory", description="The server's memory in gigabytes")
    findings: CollectionProperty(
        type=FindingState, name="Findings", description="What Check Server found last"
    )
    tasks: CollectionProperty(type=TaskState, name="Tasks", description="Running work by name")
    jobs: CollectionProperty(
        type=QueuedJob, name="Jobs", description="The server's queue, when it was last read"
    )
    active_job: IntProperty(name="Active Job", description="The job that the buttons beside the list act on")

    def task(self, name: str) -> TaskState:
        """The state of the work called ``name``, made on first use (not while drawing)."""
        state: TaskState | None = self.tasks.get(name)
        if state is None:
            state = self.tasks.add()
            state.name = name
        return state


CLASSES = (
    *properties_capture.CLASSES,
    *properties_light.CLASSES,
    *EDIT_CLASSES,
    FieldProperties,
    TrainProperties,
    RenderProperties,
    SceneProperties,
    TaskState,
    FindingState,
    *QUEUE_CLASSES,
    WindowManagerProperties,
)

POINTERS = (
    (bpy.types.Scene, SceneProperties),
    (bpy.types.Object, FieldProperties),
    (bpy.types.WindowManager, WindowManagerProperties),
)


def register() -> None:
    for owner, group in POINTERS:
        owner.neural_render = PointerProperty(type=group, name="Neural Render")


def unregister() -> None:
    for owner, _ in reversed(POINTERS):
        del owner.neural_render
