"""Ctrl-Z after every operator that changes the .blend, and Ctrl-Shift-Z after that: Blender's own undo."""

import bpy
import pytest

from neural_render_addon import versions
from tests.addon.layers_support import chosen_field, give_frames

SCENE_SETTINGS = ("camera", "frame_start", "frame_end")
RENDER_SETTINGS = (
    "resolution_x",
    "resolution_y",
    "fps",
    "fps_base",
    "film_transparent",
    "use_compositing",
    "use_sequencer",
)


@pytest.fixture
def field(connected):
    """A chosen field object in a scene with a camera."""
    return chosen_field(bpy.context.scene)


def snapshot() -> dict[str, object]:
    """What the .blend holds, as plain values: every datablock, and what our operators set in the scene."""
    scene = bpy.context.scene
    tree = versions.compositor_tree(scene)
    editor = scene.sequence_editor
    field = scene.neural_render.field
    datablocks = {
        item.identifier: sorted(block.name for block in getattr(bpy.data, item.identifier))
        for item in bpy.data.bl_rna.properties
        if item.type == "COLLECTION"
    }
    return {
        "datablocks": datablocks,
        "nodes": sorted(node.name for node in tree.nodes) if tree else None,
        "links": sorted((link.from_node.name, link.to_socket.path_from_id()) for link in tree.links)
        if tree
        else None,
        "strips": [(strip.name, strip.channel, len(strip.elements)) for strip in editor.strips]
        if editor
        else [],
        "scene": [str(getattr(scene, name)) for name in SCENE_SETTINGS],
        "render": [getattr(scene.render, name) for name in RENDER_SETTINGS],
        "custom": sorted(key for key in scene.keys() if key.startswith("neural_render_")),  # noqa: SIM118
        "field": None if field is None else [field.name, plain(field.neural_render)],
    }


def plain(value: object) -> object:
    """A custom property's value; groups and arrays are references into Blender's memory."""
    if isinstance(value, bpy.types.ID):
        return value.name
    if isinstance(value, list):
        return [plain(item) for item in value]
    if hasattr(value, "to_list"):
        return value.to_list()
    return {name: plain(item) for name, item in value.items()} if hasattr(value, "items") else value


def check_undo_and_redo(operator, **arguments):
    bpy.ops.ed.undo_push(message="Before")
    before = snapshot()
    # True: as a click does, Blender notes an undo step if the operator asks for one.
    assert operator("EXEC_DEFAULT", True, **arguments) == {"FINISHED"}
    after = snapshot()
    assert after != before
    bpy.ops.ed.undo()
    assert snapshot() == before
    bpy.ops.ed.redo()
    assert snapshot() == after


def test_import_capture(connected, tiny):
    check_undo_and_redo(bpy.ops.neural_render.import_capture, filepath=str(tiny / "n3dv"), set_scene=True)


def test_open_scene(connected, trained):
    check_undo_and_redo(bpy.ops.neural_render.open_scene, filepath=str(trained.path))


def test_train(connected, tiny, tmp_path):
    bpy.ops.neural_render.import_capture(filepath=str(tiny / "n3dv"))
    settings = bpy.context.scene.neural_render.train
    settings.budget, settings.steps, settings.preset = "STEPS", 5, "small"
    settings.folder = str(tmp_path / "tiny.scene")
    check_undo_and_redo(bpy.ops.neural_render.train)
    assert (tmp_path / "tiny.scene" / "scene.json").is_file()


def test_render_frames(field, trained, tmp_path):
    scene = bpy.context.scene
    field.neural_render.scene_path = str(trained.path)
    scene.frame_end, scene.neural_render.render.folder = 1, str(tmp_path)
    scene.render.resolution_x, scene.render.resolution_y = 16, 12
    check_undo_and_redo(bpy.ops.neural_render.render_frames)
    assert (tmp_path / "Stage_0001.exr").is_file()


@pytest.mark.parametrize("operator", ["crop_add", "copy_region"])
def test_crops(field, operator):
    check_undo_and_redo(getattr(bpy.ops.neural_render, operator))


def test_freeze_time(field):
    check_undo_and_redo(bpy.ops.neural_render.freeze_time)


@pytest.mark.parametrize("what", ["compositing", "strip"])
def test_layers_set_up_and_removed(field, tmp_path, what):
    give_frames(field, tmp_path, [1, 2])
    set_up = {"compositing": "setup_compositing", "strip": "add_strip"}[what]
    check_undo_and_redo(getattr(bpy.ops.neural_render, set_up))
    check_undo_and_redo(getattr(bpy.ops.neural_render, f"remove_{what}"))
