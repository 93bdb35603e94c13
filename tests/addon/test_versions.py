"""The nodes behind versions.py do in this Blender what their names say."""

import bpy
import numpy as np
import pytest

from neural_render_addon import versions
from tests.addon.layers_support import read_channels, read_rgba, render_scene, small_scene, write_frame

WIDTH, HEIGHT = 8, 6
A, B = (0.5, 0.25, 1.5, 0.5), (0.2, 0.8, 0.4, 1.0)


@pytest.fixture
def scene():
    return small_scene(WIDTH, HEIGHT)


@pytest.fixture
def tree(scene):
    return versions.ensure_compositor_tree(scene)[0]


def picture(tree, tmp_path, rgba, name):
    """An Image node of one colour, or of a whole picture."""
    pixels = np.broadcast_to(np.float32(rgba), (HEIGHT, WIDTH, 4))
    write_frame(tmp_path / f"{name}.exr", pixels, np.zeros((HEIGHT, WIDTH)))
    node = tree.nodes.new("CompositorNodeImage")
    node.image = bpy.data.images.load(str(tmp_path / f"{name}.exr"))
    return node.outputs["Combined"]


def result(scene, tree, tmp_path, socket):
    tree.links.new(socket, versions.ensure_output_node(tree)[0].inputs[0])
    return read_rgba(render_scene(scene, tmp_path / "result.exr"))


def test_tree_is_made_once_and_deleted(scene):
    assert not versions.uses_compositor_tree(scene)
    tree, created = versions.ensure_compositor_tree(scene)
    assert created and len(tree.nodes) == 1 and versions.output_node(tree) == tree.nodes[0]
    assert versions.uses_compositor_tree(scene)
    assert versions.ensure_compositor_tree(scene) == (tree, False)
    versions.delete_compositor_tree(scene)
    if versions.IS_5:
        assert versions.compositor_tree(scene) is None and not bpy.data.node_groups
    else:
        assert versions.output_node(scene.node_tree).inputs[0].is_linked


def test_output_node_is_made_where_the_artist_has_none(scene, tree):
    tree.nodes.clear()
    if versions.IS_5:
        tree.interface.clear()
    assert versions.output_node(tree) is None
    node, created = versions.ensure_output_node(tree)
    assert created and node.inputs[0].type == "RGBA"
    assert versions.ensure_output_node(tree) == (node, False)


def test_alpha_over_is_premultiplied(scene, tree, tmp_path):
    sockets = versions.alpha_over_node(tree)
    tree.links.new(picture(tree, tmp_path, B, "b"), sockets.background)
    tree.links.new(picture(tree, tmp_path, A, "a"), sockets.foreground)
    expected = np.array(A) + (1 - A[3]) * np.array(B)
    assert result(scene, tree, tmp_path, sockets.result)[2, 2] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("blend_type", "expected"),
    [("MIX", (0.275, 0.6625, 0.675)), ("MULTIPLY", (0.2, 0.2125, 0.825))],
)
def test_mix_is_unclamped_and_keeps_the_first_alpha(scene, tree, tmp_path, blend_type, expected):
    sockets = versions.mix_node(tree, blend_type)
    sockets.factor.default_value = 0.75
    tree.links.new(picture(tree, tmp_path, A, "a"), sockets.a)
    tree.links.new(picture(tree, tmp_path, B, "b"), sockets.b)
    pixel = result(scene, tree, tmp_path, sockets.result)[2, 2]
    assert pixel[:3] == pytest.approx(expected, abs=1e-6)
    if blend_type == "MULTIPLY":
        assert pixel[3] == pytest.approx(A[3])


def test_math_with_clamp(scene, tree, tmp_path):
    node = versions.math_node(tree, "SUBTRACT", clamp=True)
    value = versions.value_node(tree)
    value.outputs[0].default_value = 3.0
    tree.links.new(value.outputs[0], node.inputs[0])
    node.inputs[1].default_value = 0.5
    combine = tree.nodes.new("CompositorNodeCombineColor")
    tree.links.new(node.outputs[0], combine.inputs["Red"])
    # A picture gives the constant its size.
    add = versions.mix_node(tree, "ADD")
    tree.links.new(picture(tree, tmp_path, (0, 0, 0, 1), "black"), add.a)
    tree.links.new(combine.outputs[0], add.b)
    assert result(scene, tree, tmp_path, add.result)[2, 2, 0] == pytest.approx(1.0)


def test_erode_gives_the_least_of_the_neighbours(scene, tree, tmp_path):
    rgba = np.full((HEIGHT, WIDTH, 4), 1e10, np.float32)
    rgba[3, 4] = 2.5
    node = versions.erode_node(tree, 1)
    separate = tree.nodes.new("CompositorNodeSeparateColor")
    tree.links.new(picture(tree, tmp_path, rgba, "depth"), separate.inputs[0])
    tree.links.new(separate.outputs["Red"], node.inputs["Mask"])
    eroded = result(scene, tree, tmp_path, node.outputs[0])[..., 0]
    assert np.all(eroded[2:5, 3:6] == 2.5)
    assert np.count_nonzero(eroded == 2.5) == 9


@pytest.mark.parametrize("file_format", ["PNG", "OPEN_EXR", "OPEN_EXR_MULTILAYER"])
def test_image_formats_can_be_chosen_one_after_another(scene, file_format):
    settings = scene.render.image_settings
    versions.set_image_format(settings, "FFMPEG")
    versions.set_image_format(settings, file_format)
    assert settings.file_format == file_format


def test_multilayer_render_keeps_the_contracts_channel_names(scene, tmp_path):
    """Our frames are named as Blender names its own passes, in both versions."""
    scene.view_layers[0].use_pass_z = True
    channels = read_channels(render_scene(scene, tmp_path / "passes.exr", "OPEN_EXR_MULTILAYER"))
    assert {"ViewLayer.Combined.R", "ViewLayer.Combined.A", "ViewLayer.Depth.Z"} <= set(channels)


def test_sequencer_scene_is_the_pinned_one_or_the_contexts(scene):
    assert versions.sequencer_scene(bpy.context) == bpy.context.scene
    workspace = bpy.context.workspace
    if versions.IS_5 and workspace is not None:
        edit = bpy.data.scenes.new("Edit")
        workspace.sequencer_scene = edit
        assert versions.sequencer_scene(bpy.context) == edit
