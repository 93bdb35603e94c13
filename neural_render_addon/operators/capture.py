"""Import Capture, Open Trained Scene, Export Rig."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import bpy
from bpy.props import BoolProperty, EnumProperty, IntProperty, StringProperty
from bpy_extras.io_utils import ExportHelper

from ..cameras.rigs import RigSampling, write_camera_file
from ..captures import ImportOptions, import_capture, new_field
from ..errors import AddonError
from ..fields import chosen_field, describe_scene
from ..service.jobs import Emit
from ..settings.preferences import server_settings
from .task_operator import Stopped, TaskOperator, Work, connect_and_tell

POINT_LIMIT = 200_000


class AskingFirst(TaskOperator):
    """Mixin: ask for the operator's properties when invoked, then go on as a modal operator."""

    # Properties of the operator that are handed over to the modal one.
    passed_on: ClassVar[tuple[str, ...]]

    if TYPE_CHECKING:  # Blender's properties, declared by each operator
        is_chosen: bool

    def ask(self, context: bpy.types.Context) -> set[str]:
        """Show a dialog, after which Blender calls ``execute``."""
        return set(context.window_manager.invoke_props_dialog(self))

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        if self.is_chosen or bpy.app.background:
            return super().invoke(context, event)
        return self.ask(context)

    def execute(self, context: bpy.types.Context) -> set[str]:
        if self.options.is_invoke and not bpy.app.background and not self.is_chosen:
            # Back from the dialog: start again as a modal operator, so that Blender stays awake.
            values = {key: getattr(self, key) for key in self.passed_on}
            # Of an instance, bl_idname is the name of Blender's own type: NEURAL_RENDER_OT_import_capture.
            operator = getattr(bpy.ops.neural_render, self.bl_idname.partition("_OT_")[2])
            operator("INVOKE_DEFAULT", is_chosen=True, **values)
            return {"FINISHED"}
        return super().execute(context)


class FolderChooser(AskingFirst):
    """Mixin: ask for a file or folder when invoked without one, then go on as a modal operator."""

    if TYPE_CHECKING:
        filepath: str

    def ask(self, context: bpy.types.Context) -> set[str]:
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        return TaskOperator.invoke(self, context, event) if self.filepath else self.ask(context)

    def chosen_path(self) -> str:
        if not self.filepath:
            raise AddonError("No file or folder is chosen; give filepath")
        return str(Path(bpy.path.abspath(self.filepath)))


class NEURALRENDER_OT_import_capture(FolderChooser, bpy.types.Operator):
    """Import a multi-camera capture: its cameras with their clips, its points, and the field object"""

    bl_idname = "neural_render.import_capture"
    bl_label = "Import Capture"
    bl_options = {"REGISTER", "UNDO"}
    task_name = "import"
    passed_on = ("filepath", "use_clips", "use_points", "set_scene")

    filepath: StringProperty(
        name="Capture",
        description=(
            "The capture's folder (N3DV, EasyMocap, COLMAP, nerfstudio, Blender-synthetic) or transforms.json"
        ),
        subtype="FILE_PATH",
    )
    use_clips: BoolProperty(
        name="Clips", description="Show each camera's clip as its background", default=True
    )
    use_points: BoolProperty(
        name="Points", description="Import the capture's points, where it has any", default=True
    )
    set_scene: BoolProperty(
        name="Set Scene",
        description="Give the scene the capture's frame range, frame rate and picture size",
    )
    is_chosen: BoolProperty(options={"HIDDEN", "SKIP_SAVE"})

    def prepare(self, context: bpy.types.Context) -> Work:
        path = capture_path(self.chosen_path())
        settings = server_settings(context)
        use_points = self.use_points

        def work(emit: Emit, stopped: Stopped) -> tuple[Any, Any]:
            client = connect_and_tell(settings, emit).client
            info = client.inspect_capture(path)
            points = client.capture_points(path, POINT_LIMIT) if use_points and info.points else None
            return info, points

        return work

    def finish(self, context: bpy.types.Context, result: Any) -> None:
        info, points = result
        options = ImportOptions(self.use_clips, self.use_points, self.set_scene)
        field, warnings = import_capture(context, info, points, options)
        for warning in warnings:
            self.report({"WARNING"}, warning)
        timesteps = len(info.times)
        self.report(
            {"INFO"},
            f"{field.name}: {len(info.cameras)} cameras, {timesteps} timestep{'s' * (timesteps != 1)}",
        )


class NEURALRENDER_OT_open_scene(FolderChooser, bpy.types.Operator):
    """Open a trained scene folder as a field object"""

    bl_idname = "neural_render.open_scene"
    bl_label = "Open Trained Scene"
    bl_options = {"REGISTER", "UNDO"}
    task_name = "open"
    passed_on = ("filepath",)

    filepath: StringProperty(
        name="Scene Folder", description="The folder of a trained field", subtype="DIR_PATH"
    )
    is_chosen: BoolProperty(options={"HIDDEN", "SKIP_SAVE"})

    def prepare(self, context: bpy.types.Context) -> Work:
        path = self.chosen_path()
        settings = server_settings(context)

        def work(emit: Emit, stopped: Stopped) -> dict[str, Any]:
            return connect_and_tell(settings, emit).client.inspect_scene(path)

        return work

    def finish(self, context: bpy.types.Context, result: dict[str, Any]) -> None:
        field = new_field(Path(result["path"]).stem, 1.0)
        context.collection.objects.link(field)
        field.neural_render.frame_start = context.scene.frame_start
        describe_scene(field, result)
        context.scene.neural_render.field = field
        self.report({"INFO"}, f"{field.name}: opened {result['path']}")


class NEURALRENDER_OT_export_rig(bpy.types.Operator, ExportHelper):
    """Write cameras over a frame range to a camera file, in the capture coordinates of the chosen field"""

    bl_idname = "neural_render.export_rig"
    bl_label = "Export Rig"
    filename_ext = ".json"

    filter_glob: StringProperty(default="*.json", options={"HIDDEN"})
    cameras: EnumProperty(
        name="Cameras",
        description="Which cameras to write",
        items=(
            ("SCENE", "Scene Camera", "The active camera, which markers may switch"),
            ("SELECTED", "Selected", "All selected cameras"),
        ),
    )
    use_scene_range: BoolProperty(
        name="Scene Range", description="Write the scene's own frame range", default=True
    )
    frame_start: IntProperty(name="Start", description="First scene frame to write", default=1)
    frame_end: IntProperty(name="End", description="Last scene frame to write", default=1)

    def execute(self, context: bpy.types.Context) -> set[str]:
        try:
            count = self._write(context)
        except AddonError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        self.report({"INFO"}, f"{self.filepath}: {count} cameras written")
        return {"FINISHED"}

    def _write(self, context: bpy.types.Context) -> int:
        scene = context.scene
        first, last = self.frame_start, self.frame_end
        if self.use_scene_range:
            first, last = scene.frame_start, scene.frame_end
        if last < first:
            raise AddonError(f"The frame range {first} to {last} is empty; make the end at least the start")
        selected = []
        if self.cameras == "SELECTED":
            selected = [obj for obj in context.selected_objects if obj.type == "CAMERA"]
            if not selected:
                raise AddonError("No camera is selected; select cameras, or export the scene camera")
        rig = RigSampling(range(first, last + 1), selected, chosen_field(context, required=False))
        for _ in rig.steps(context):
            pass
        write_camera_file(Path(bpy.path.abspath(self.filepath)), rig.camera_file(scene))
        return len(rig.entries)


def capture_path(path: str) -> str:
    """The capture that a chosen path means: a folder, or a JSON file; any other file means its folder."""
    chosen = Path(path)
    if chosen.is_file() and chosen.suffix.lower() != ".json":
        chosen = chosen.parent
    return str(chosen)


CLASSES = (
    NEURALRENDER_OT_import_capture,
    NEURALRENDER_OT_open_scene,
    NEURALRENDER_OT_export_rig,
)
